from __future__ import annotations

import pytest

from rentomatic.domain.room import RoomStatus
from rentomatic.use_cases.list_rooms import (
    ListRooms,
    ListRoomsRequest,
    ParameterError,
    RequestRejected,
    RoomsListed,
    read_filter,
)
from rentomatic.use_cases.repository import RoomFilter, city_key


class RecordingRooms:
    """A repository that notes what it was asked and answers with fixed rooms."""

    def __init__(self, rooms=()):
        self.asked = []
        self._rooms = list(rooms)

    def find(self, wanted):
        self.asked.append(wanted)
        return self._rooms

    def get(self, code):
        raise AssertionError("listing must not fetch single rooms")


def read(*pairs):
    return read_filter(ListRoomsRequest.of(pairs))


def rejected_names(*pairs):
    outcome = read(*pairs)
    assert isinstance(outcome, RequestRejected)
    return [error.parameter for error in outcome.errors]


def test_no_parameters_ask_for_every_room(make_room):
    repository = RecordingRooms([make_room(1), make_room(2)])
    response = ListRooms(repository).execute(ListRoomsRequest())
    assert response == RoomsListed((make_room(1), make_room(2)))
    assert repository.asked == [RoomFilter()]


def test_every_parameter_reaches_the_repository_typed():
    repository = RecordingRooms()
    request = ListRoomsRequest.of(
        [
            ("city", " Málaga "),
            ("size_min", "12"),
            ("price_max", "120"),
            ("price_min", "0"),
            ("status", "maintenance"),
        ]
    )
    assert ListRooms(repository).execute(request) == RoomsListed(())
    assert repository.asked == [
        RoomFilter(
            status=RoomStatus.MAINTENANCE,
            price_min=0,
            price_max=120,
            size_min=12,
            city="Málaga",
        )
    ]


def test_a_rejected_request_never_reaches_the_repository():
    repository = RecordingRooms()
    response = ListRooms(repository).execute(ListRoomsRequest.of([("price_min", "cheap")]))
    assert isinstance(response, RequestRejected)
    assert repository.asked == []


@pytest.mark.parametrize(
    "text",
    ["-1", "+1", "1.5", "1e3", " 5", "5 ", "0x10", "1_000", "٣", "²", "1000001", "9" * 5000, "NaN"],
)
@pytest.mark.parametrize("name", ["price_min", "price_max", "size_min"])
def test_numbers_are_plain_digits_within_bounds(name, text):
    assert read((name, text)) == RequestRejected(
        (ParameterError(name, "must be a whole number from 0 to 1000000, in digits only"),)
    )


def test_the_largest_number_is_accepted():
    assert read(("price_max", "1000000")) == RoomFilter(price_max=1_000_000)


@pytest.mark.parametrize("text", ["open", "AVAILABLE", "available "])
def test_an_unknown_status_is_answered_with_the_known_ones(text):
    assert read(("status", text)) == RequestRejected(
        (ParameterError("status", "must be one of available, rented, maintenance"),)
    )


@pytest.mark.parametrize("text", ["x" * 81, "Por\0to", "Por\nto", "\ud800"])
def test_a_city_is_short_printable_text(text):
    assert rejected_names(("city", text)) == ["city"]


@pytest.mark.parametrize("name", ["status", "price_min", "price_max", "size_min", "city"])
@pytest.mark.parametrize("text", ["", "  "])
def test_a_parameter_without_a_value_is_an_error(name, text):
    assert read((name, text)) == RequestRejected(
        (ParameterError(name, "has no value; give one or leave it out"),)
    )


def test_an_unknown_parameter_is_answered_with_the_known_ones():
    assert read(("colour", "red")) == RequestRejected(
        (
            ParameterError(
                "colour",
                "is not a known parameter; "
                "use any of status, price_min, price_max, size_min, city",
            ),
        )
    )


def test_a_repeated_parameter_is_an_error_even_with_equal_values():
    assert read(("city", "Porto"), ("city", "Porto"), ("city", "Porto")) == RequestRejected(
        (ParameterError("city", "was given 3 times; give it once"),)
    )


def test_prices_in_the_wrong_order_are_an_error_and_equal_ones_are_not():
    assert read(("price_min", "50"), ("price_max", "50")) == RoomFilter(
        price_min=50, price_max=50
    )
    assert read(("price_max", "49"), ("price_min", "50")) == RequestRejected(
        (
            ParameterError(
                "price_min",
                "is above the highest price (50 > 49); lower price_min or raise price_max",
            ),
        )
    )


def test_all_errors_are_told_at_once_in_the_order_of_the_request():
    assert rejected_names(
        ("size_min", "big"), ("sort", "up"), ("status", "open"), ("city", "Porto")
    ) == ["size_min", "sort", "status"]


def test_city_names_compare_without_case_space_or_encoding_but_with_accents():
    assert city_key(" MA\u0301LAGA ") == city_key("M\u00e1laga")
    assert city_key("New  York") == city_key("new york")
    assert city_key("Malaga") != city_key("Málaga")
