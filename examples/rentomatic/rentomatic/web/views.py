"""The routes. Each reads HTTP, runs one use case and writes HTTP."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from rentomatic.use_cases.list_rooms import (
    LARGEST_NUMBER,
    LONGEST_CITY,
    PARAMETERS,
    ListRooms,
    ListRoomsRequest,
    RequestRejected,
    RoomsListed,
)
from rentomatic.use_cases.repository import RoomRepository, city_key
from rentomatic.use_cases.show_room import RoomNotFound, RoomShown, ShowRoom, ShowRoomRequest
from rentomatic.web import presenters

FIELD_LABELS = {
    "city": "City",
    "status": "Status",
    "price_min": "Price from",
    "price_max": "Price to",
    "size_min": "Size from",
}


def rooms_blueprint(repository: RoomRepository) -> Blueprint:
    blueprint = Blueprint("rooms", __name__)
    list_rooms = ListRooms(repository)
    show_room = ShowRoom(repository)

    @blueprint.get("/")
    def index():
        # A form sends its empty fields too, and links to a page may carry
        # parameters of others: here, unlike in the API, neither is an error.
        pairs = [
            (name, value.strip())
            for name, value in request.args.items(multi=True)
            if name in PARAMETERS and value.strip()
        ]
        match list_rooms.execute(ListRoomsRequest.of(pairs)):
            case RoomsListed(rooms):
                found, errors, status = rooms, (), 200
            case RequestRejected(errors):
                found, status = (), 400

        values = dict(pairs)
        page = render_template(
            "index.html",
            cards=[presenters.card(room) for room in found],
            blank_card=presenters.blank_card(),
            found=presenters.rooms_found(len(found)),
            errors=errors,
            labels=FIELD_LABELS,
            values=values,
            pairs=pairs,
            wrong={error.parameter for error in errors},
            cities=known_cities(values.get("city")),
            statuses=presenters.STATUS_LABELS,
            largest_number=LARGEST_NUMBER,
        )
        return page, status

    def known_cities(chosen: str | None) -> list[tuple[str, bool]]:
        """Every city with rooms, and whether it is the chosen one."""
        everything = list_rooms.execute(ListRoomsRequest())
        names = sorted({room.city for room in everything.rooms}, key=city_key)
        wanted = city_key(chosen or "")
        if wanted and wanted not in map(city_key, names):
            names.append(chosen[:LONGEST_CITY])
            wanted = city_key(names[-1])
        return [(name, city_key(name) == wanted) for name in names]

    @blueprint.get("/rooms")
    def rooms():
        asked = ListRoomsRequest.of(request.args.items(multi=True))
        match list_rooms.execute(asked):
            case RoomsListed(found):
                return [presenters.room_json(room) for room in found]
            case RequestRejected(errors):
                return presenters.errors_json(errors), 400

    @blueprint.get("/rooms/<code>")
    def room(code: str):
        match show_room.execute(ShowRoomRequest(code)):
            case RoomShown(found):
                return presenters.room_json(found)
            case RoomNotFound():
                return presenters.errors_json([presenters.NO_SUCH_ROOM]), 404

    @blueprint.get("/health")
    def health():
        return {"status": "ok"}, {"Cache-Control": "no-store"}

    return blueprint
