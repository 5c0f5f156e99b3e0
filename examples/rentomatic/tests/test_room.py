from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from rentomatic.domain.room import RoomStatus, is_room_code
from rentomatic.seed import seed_rooms


def test_a_room_cannot_be_changed(make_room):
    room = make_room()
    with pytest.raises(FrozenInstanceError):
        room.price_eur = 1


def test_rooms_with_the_same_values_are_equal(make_room):
    assert make_room(7) == make_room(7)
    assert make_room(7) != make_room(8)


def test_a_status_may_be_given_as_text(make_room):
    assert make_room(status="rented").status is RoomStatus.RENTED


@pytest.mark.parametrize(
    "changes",
    [
        {"code": ""},
        {"code": "12"},
        {"code": "{00000000-0000-0000-0000-000000000001}"},
        {"code": "0000000000000000000000000000000A"},
        {"code": "00000000-0000-0000-0000-00000000000A"},
        {"title": " "},
        {"city": ""},
        {"size_m2": 0},
        {"price_eur": -1},
        {"latitude": 90.1},
        {"latitude": float("nan")},
        {"longitude": -180.1},
        {"longitude": float("inf")},
        {"status": "sold"},
    ],
    ids=lambda changes: "{}={!r}".format(*next(iter(changes.items()))),
)
def test_an_impossible_room_is_refused(make_room, changes):
    with pytest.raises(ValueError):
        make_room(**changes)


def test_a_room_may_be_free_of_charge_and_at_the_pole(make_room):
    room = make_room(price_eur=0, latitude=-90, longitude=180)
    assert room.price_eur == 0


def test_only_the_canonical_form_is_a_code():
    assert is_room_code("6f1d8a52-0c1e-4b7a-9d35-2e84c7b0a916")
    assert not is_room_code("urn:uuid:6f1d8a52-0c1e-4b7a-9d35-2e84c7b0a916")


def test_the_seed_is_the_same_every_time_and_has_every_status():
    rooms = seed_rooms()
    assert rooms == seed_rooms()
    assert len({room.code for room in rooms}) == len(rooms) == 24
    assert {room.status for room in rooms} == set(RoomStatus)
