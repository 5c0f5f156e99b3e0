"""How rooms look from outside: as JSON, and on a card of the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rentomatic.domain.room import Room
from rentomatic.use_cases.list_rooms import ParameterError

STATUS_LABELS = {
    "available": "Available",
    "rented": "Rented",
    "maintenance": "Maintenance",
}

NO_SUCH_ROOM = ParameterError("code", "names no room; GET /rooms lists the codes there are")

# The page draws one of so many scenes, in one of so many palettes, on each card.
# The script chooses in the same way.
SCENES = 6
PALETTES = 6


def room_json(room: Room) -> dict[str, Any]:
    return {
        "code": room.code,
        "title": room.title,
        "city": room.city,
        "size_m2": room.size_m2,
        "price_eur": room.price_eur,
        "latitude": room.latitude,
        "longitude": room.longitude,
        "status": room.status.value,
    }


def errors_json(errors: Iterable[ParameterError]) -> dict[str, Any]:
    return {
        "errors": [
            {"parameter": error.parameter, "message": error.message} for error in errors
        ]
    }


def card(room: Room) -> dict[str, Any]:
    """The texts of one card, ready to print."""
    return {
        "code": room.code,
        "title": room.title,
        "city": room.city,
        "price": f"€{room.price_eur}",
        "size": f"{room.size_m2} m²",
        "place": place(room.latitude, room.longitude),
        "status": room.status.value,
        "status_label": STATUS_LABELS[room.status.value],
        "scene": int(room.code[0:2], 16) % SCENES,
        "palette": int(room.code[2:4], 16) % PALETTES,
    }


def blank_card() -> dict[str, Any]:
    """The card that the script copies and fills in."""
    texts = ("code", "title", "city", "price", "size", "place", "status_label")
    return dict.fromkeys(texts, "") | {"status": "available", "scene": 0, "palette": 0}


def place(latitude: float, longitude: float) -> str:
    north_south = "N" if latitude >= 0 else "S"
    east_west = "E" if longitude >= 0 else "W"
    return f"{abs(latitude):.3f}° {north_south}, {abs(longitude):.3f}° {east_west}"


def rooms_found(count: int) -> str:
    return {0: "No rooms", 1: "1 room"}.get(count, f"{count} rooms")
