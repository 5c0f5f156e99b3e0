"""Rooms held in memory: for tests, and for trying the application out."""

from __future__ import annotations

from collections.abc import Iterable

from rentomatic.domain.room import Room
from rentomatic.use_cases.repository import RoomFilter, city_key


class MemoryRooms:
    """A fixed set of rooms. Nothing changes after construction, so threads may share it."""

    def __init__(self, rooms: Iterable[Room]) -> None:
        in_order = sorted(rooms, key=lambda room: (room.price_eur, room.code))
        self._rooms = {room.code: room for room in in_order}

    def find(self, wanted: RoomFilter) -> list[Room]:
        return [room for room in self._rooms.values() if _matches(room, wanted)]

    def get(self, code: str) -> Room | None:
        return self._rooms.get(code)


def _matches(room: Room, wanted: RoomFilter) -> bool:
    return (
        (wanted.status is None or room.status is wanted.status)
        and (wanted.price_min is None or room.price_eur >= wanted.price_min)
        and (wanted.price_max is None or room.price_eur <= wanted.price_max)
        and (wanted.size_min is None or room.size_m2 >= wanted.size_min)
        and (wanted.city is None or city_key(room.city) == city_key(wanted.city))
    )
