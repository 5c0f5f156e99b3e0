"""The contract of the repository port, checked on every adapter alike."""

from __future__ import annotations

import pytest

from rentomatic.adapters.rooms_memory import MemoryRooms
from rentomatic.adapters.rooms_sqlite import SqliteRooms
from rentomatic.domain.room import RoomStatus
from rentomatic.use_cases.repository import RoomFilter


@pytest.fixture(params=["memory", "sqlite"])
def repository_of(request, tmp_path):
    opened = []

    def build(rooms):
        if request.param == "memory":
            return MemoryRooms(rooms)
        repository = SqliteRooms(tmp_path / "rooms.db")
        repository.prepare(rooms)
        opened.append(repository)
        return repository

    yield build
    for repository in opened:
        repository.close()


@pytest.fixture
def town(make_room):
    return [
        make_room(1, price_eur=80, size_m2=30, city="Málaga"),
        make_room(2, price_eur=40, size_m2=10, city="Porto", status=RoomStatus.RENTED),
        make_room(3, price_eur=60, size_m2=20, city="Porto"),
        make_room(4, price_eur=40, size_m2=15, city="Århus", status=RoomStatus.MAINTENANCE),
    ]


def numbers(rooms):
    return [int(room.code[-1]) for room in rooms]


def test_everything_comes_cheapest_first_and_then_by_code(repository_of, town):
    assert numbers(repository_of(town).find(RoomFilter())) == [2, 4, 3, 1]


def test_the_order_of_filling_does_not_matter(repository_of, town):
    assert numbers(repository_of(reversed(town)).find(RoomFilter())) == [2, 4, 3, 1]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (RoomFilter(status=RoomStatus.AVAILABLE), [3, 1]),
        (RoomFilter(status=RoomStatus.RENTED), [2]),
        (RoomFilter(status=RoomStatus.MAINTENANCE), [4]),
        (RoomFilter(price_min=60), [3, 1]),
        (RoomFilter(price_min=61), [1]),
        (RoomFilter(price_max=60), [2, 4, 3]),
        (RoomFilter(price_max=39), []),
        (RoomFilter(price_max=0), []),
        (RoomFilter(price_min=41, price_max=79), [3]),
        (RoomFilter(size_min=15), [4, 3, 1]),
        (RoomFilter(size_min=31), []),
        (RoomFilter(city="Porto"), [2, 3]),
        (RoomFilter(city="pORTO"), [2, 3]),
        (RoomFilter(city="MÁLAGA"), [1]),
        (RoomFilter(city="Ma\u0301laga"), [1]),
        (RoomFilter(city="århus"), [4]),
        (RoomFilter(city="Malaga"), []),
        (RoomFilter(city="%"), []),
        (RoomFilter(city="' OR ''='"), []),
        (RoomFilter(status=RoomStatus.AVAILABLE, city="Porto", price_max=60), [3]),
    ],
    ids=str,
)
def test_filters_narrow_the_list(repository_of, town, wanted, expected):
    assert numbers(repository_of(town).find(wanted)) == expected


def test_a_room_comes_back_exactly_as_it_went_in(repository_of, make_room):
    room = make_room(
        title="O'Hara's “blue” room; DROP TABLE rooms",
        city="São João",
        latitude=41.123456789,
        longitude=-8.1,
        price_eur=0,
        status=RoomStatus.MAINTENANCE,
    )
    repository = repository_of([room])
    assert repository.get(room.code) == room
    assert repository.find(RoomFilter()) == [room]


def test_an_unknown_code_gives_none(repository_of, town):
    repository = repository_of(town)
    assert repository.get("00000000-0000-0000-0000-000000000009") is None
    assert repository.get("' OR 1=1 --") is None


def test_no_rooms_at_all_is_fine(repository_of):
    assert repository_of([]).find(RoomFilter()) == []
