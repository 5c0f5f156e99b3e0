"""The room, the one entity of this application."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class RoomStatus(StrEnum):
    """Whether a room can be booked tonight."""

    AVAILABLE = "available"
    RENTED = "rented"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Room:
    """A room for rent. A room that exists is a valid room."""

    code: str
    title: str
    city: str
    size_m2: int
    price_eur: int
    latitude: float
    longitude: float
    status: RoomStatus

    def __post_init__(self) -> None:
        if not is_room_code(self.code):
            raise ValueError(f"code must be a lower-case UUID, got {self.code!r}")
        for name in ("title", "city"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} must not be blank")
        if self.size_m2 <= 0:
            raise ValueError(f"size_m2 must be positive, got {self.size_m2}")
        if self.price_eur < 0:
            raise ValueError(f"price_eur must not be negative, got {self.price_eur}")
        _require_within("latitude", self.latitude, 90)
        _require_within("longitude", self.longitude, 180)
        # Accepts the plain text too, so that adapters need not convert it first.
        object.__setattr__(self, "status", RoomStatus(self.status))


def is_room_code(text: str) -> bool:
    """True for a UUID in its canonical form: lower case, with hyphens."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _require_within(name: str, value: float, limit: float) -> None:
    if not math.isfinite(value) or abs(value) > limit:
        raise ValueError(f"{name} must lie between -{limit} and {limit}, got {value}")
