from __future__ import annotations

import pytest

from rentomatic.use_cases.show_room import RoomNotFound, RoomShown, ShowRoom, ShowRoomRequest


class OneRoom:
    def __init__(self, room):
        self.room = room
        self.asked = []

    def find(self, wanted):
        raise AssertionError("showing a room must not list rooms")

    def get(self, code):
        self.asked.append(code)
        return self.room if code == self.room.code else None


def test_a_known_code_shows_the_room(make_room):
    room = make_room()
    assert ShowRoom(OneRoom(room)).execute(ShowRoomRequest(room.code)) == RoomShown(room)


def test_upper_case_names_the_same_room(make_room):
    room = make_room(code="6f1d8a52-0c1e-4b7a-9d35-2e84c7b0a916")
    assert ShowRoom(OneRoom(room)).execute(ShowRoomRequest(room.code.upper())) == RoomShown(room)


def test_an_unknown_code_is_not_found(make_room):
    code = make_room(2).code
    assert ShowRoom(OneRoom(make_room(1))).execute(ShowRoomRequest(code)) == RoomNotFound(code)


@pytest.mark.parametrize("text", ["", "1", "' OR 1=1 --", "\0", "\ud800", "x" * 10_000])
def test_text_that_is_no_code_is_not_found_and_not_looked_up(make_room, text):
    repository = OneRoom(make_room())
    assert ShowRoom(repository).execute(ShowRoomRequest(text)) == RoomNotFound(text)
    assert repository.asked == []
