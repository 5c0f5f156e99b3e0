"""The port to the stored rooms, and the filter it is asked with."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Protocol

from rentomatic.domain.room import Room, RoomStatus


@dataclass(frozen=True, slots=True)
class RoomFilter:
    """Which rooms are wanted. A field left at None does not narrow the list."""

    status: RoomStatus | None = None
    price_min: int | None = None
    price_max: int | None = None
    size_min: int | None = None
    city: str | None = None


class RoomRepository(Protocol):
    """Where rooms come from. Every adapter passes the same contract tests."""

    def find(self, wanted: RoomFilter) -> list[Room]:
        """The rooms matching every field that is set, cheapest first.

        Limits are inclusive. Cities are compared by `city_key`. Rooms of equal
        price are ordered by code, so that the order never varies.
        """
        ...

    def get(self, code: str) -> Room | None:
        """The room with exactly this code, or None."""
        ...


def city_key(city: str) -> str:
    """The form in which two spellings of one city's name are equal.

    Letter case, surrounding space and the way accents are encoded do not
    matter; the accents themselves do.
    """
    return unicodedata.normalize("NFC", " ".join(city.split())).casefold()
