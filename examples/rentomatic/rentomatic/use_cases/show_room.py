"""Show one room."""

from __future__ import annotations

from dataclasses import dataclass

from rentomatic.domain.room import Room, is_room_code
from rentomatic.use_cases.repository import RoomRepository


@dataclass(frozen=True, slots=True)
class ShowRoomRequest:
    code: str


@dataclass(frozen=True, slots=True)
class RoomShown:
    room: Room


@dataclass(frozen=True, slots=True)
class RoomNotFound:
    code: str


ShowRoomResponse = RoomShown | RoomNotFound


class ShowRoom:
    def __init__(self, repository: RoomRepository) -> None:
        self._repository = repository

    def execute(self, request: ShowRoomRequest) -> ShowRoomResponse:
        code = request.code.lower()
        # Text that is no code names no room: there is no need to ask for it.
        room = self._repository.get(code) if is_room_code(code) else None
        return RoomNotFound(request.code) if room is None else RoomShown(room)
