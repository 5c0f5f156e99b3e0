"""List the rooms that match a filter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rentomatic.domain.room import Room, RoomStatus
from rentomatic.use_cases.repository import RoomFilter, RoomRepository

PARAMETERS = ("status", "price_min", "price_max", "size_min", "city")
LARGEST_NUMBER = 1_000_000
LONGEST_CITY = 80


@dataclass(frozen=True, slots=True)
class ListRoomsRequest:
    """The parameters just as the caller gave them: any names, any text, any order."""

    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> ListRoomsRequest:
        return cls(tuple(pairs))


@dataclass(frozen=True, slots=True)
class ParameterError:
    """One thing wrong with a request, and what to do about it."""

    parameter: str
    message: str


@dataclass(frozen=True, slots=True)
class RoomsListed:
    rooms: tuple[Room, ...]


@dataclass(frozen=True, slots=True)
class RequestRejected:
    errors: tuple[ParameterError, ...]


ListRoomsResponse = RoomsListed | RequestRejected


class ListRooms:
    def __init__(self, repository: RoomRepository) -> None:
        self._repository = repository

    def execute(self, request: ListRoomsRequest) -> ListRoomsResponse:
        wanted = read_filter(request)
        if isinstance(wanted, RequestRejected):
            return wanted
        return RoomsListed(tuple(self._repository.find(wanted)))


def read_filter(request: ListRoomsRequest) -> RoomFilter | RequestRejected:
    """Turn a request into a filter, or tell everything that is wrong with it."""
    errors: list[ParameterError] = []
    values: dict[str, Any] = {}
    times_given = Counter(name for name, _ in request.parameters)

    for name, text in dict(request.parameters).items():
        read = _READERS.get(name)
        if read is None:
            known = ", ".join(PARAMETERS)
            errors.append(ParameterError(name, f"is not a known parameter; use any of {known}"))
        elif times_given[name] > 1:
            errors.append(
                ParameterError(name, f"was given {times_given[name]} times; give it once")
            )
        elif not text.strip():
            errors.append(ParameterError(name, "has no value; give one or leave it out"))
        else:
            try:
                values[name] = read(text)
            except _Unreadable as problem:
                errors.append(ParameterError(name, str(problem)))

    lowest, highest = values.get("price_min"), values.get("price_max")
    if lowest is not None and highest is not None and lowest > highest:
        errors.append(
            ParameterError(
                "price_min",
                f"is above the highest price ({lowest} > {highest}); "
                "lower price_min or raise price_max",
            )
        )

    return RequestRejected(tuple(errors)) if errors else RoomFilter(**values)


class _Unreadable(Exception):
    """A value that cannot be used. Never leaves this module."""


def _read_status(text: str) -> RoomStatus:
    try:
        return RoomStatus(text)
    except ValueError:
        raise _Unreadable(f"must be one of {', '.join(RoomStatus)}") from None


def _read_number(text: str) -> int:
    # The length is bounded before the conversion, which is slow for long digits.
    if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_NUMBER)):
        number = int(text)
        if number <= LARGEST_NUMBER:
            return number
    raise _Unreadable(f"must be a whole number from 0 to {LARGEST_NUMBER}, in digits only")


def _read_city(text: str) -> str:
    city = text.strip()
    if len(city) > LONGEST_CITY or not city.isprintable():
        raise _Unreadable(f"must be plain text of at most {LONGEST_CITY} characters")
    return city


_READERS: dict[str, Callable[[str], Any]] = {
    "status": _read_status,
    "price_min": _read_number,
    "price_max": _read_number,
    "size_min": _read_number,
    "city": _read_city,
}
