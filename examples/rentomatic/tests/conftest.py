from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from rentomatic.domain.room import Room, RoomStatus


@pytest.fixture
def make_room() -> Callable[..., Room]:
    """Make a valid room; name only what matters to the test."""

    def make(number: int = 1, **changes) -> Room:
        values = {
            "code": str(UUID(int=number)),
            "title": f"Room {number}",
            "city": "Porto",
            "size_m2": 20,
            "price_eur": 60,
            "latitude": 41.15,
            "longitude": -8.61,
            "status": RoomStatus.AVAILABLE,
        }
        return Room(**values | changes)

    return make
