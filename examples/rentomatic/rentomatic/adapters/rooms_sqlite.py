"""Rooms held in an SQLite file that several worker processes share."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from rentomatic.domain.room import Room, RoomStatus
from rentomatic.use_cases.repository import RoomFilter, city_key

SCHEMA_VERSION = 1

_CREATE_TABLE = """
CREATE TABLE rooms (
    code      TEXT    PRIMARY KEY,
    title     TEXT    NOT NULL,
    city      TEXT    NOT NULL,
    city_key  TEXT    NOT NULL,
    size_m2   INTEGER NOT NULL CHECK (size_m2 > 0),
    price_eur INTEGER NOT NULL CHECK (price_eur >= 0),
    latitude  REAL    NOT NULL,
    longitude REAL    NOT NULL,
    status    TEXT    NOT NULL CHECK (status IN ('available', 'rented', 'maintenance'))
) WITHOUT ROWID
"""

_CREATE_INDEX = "CREATE INDEX rooms_by_price ON rooms (price_eur, code)"

_INSERT = """
INSERT INTO rooms
    (code, title, city, city_key, size_m2, price_eur, latitude, longitude, status)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_SELECT = "SELECT code, title, city, size_m2, price_eur, latitude, longitude, status FROM rooms"


class RoomFileUnusable(Exception):
    """The file cannot serve as a room database; the message says why."""


@dataclass(frozen=True, slots=True)
class _Held:
    pid: int
    connection: sqlite3.Connection


# Connections that a forked child found in its memory. They belong to the parent:
# using or even closing them here could harm the file, so they are only kept.
_inherited: list[_Held] = []


class SqliteRooms:
    """A repository over one SQLite file.

    Every thread of every process opens a connection of its own, on first use.
    Making an instance opens nothing, so it may be made before a server forks.
    """

    def __init__(self, path: str | os.PathLike[str], busy_timeout_s: float = 15.0) -> None:
        # Absolute, so that a later change of directory cannot lead elsewhere.
        self._path = os.path.abspath(path)
        self._busy_timeout_s = busy_timeout_s
        self._local = threading.local()

    def prepare(self, rooms: Iterable[Room]) -> None:
        """Create the table and fill it with `rooms`, unless that was done before.

        Safe when many processes start together: all of it is one write
        transaction, so one process does the work, the others wait for it, and
        nobody ever sees a table half filled. A file prepared once is left as it
        is, even when its rooms have since been changed or removed.
        """
        with closing(self._open()) as connection:
            if self._is_prepared(connection):
                return
            # IMMEDIATE takes the write lock before anything is decided.
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not self._is_prepared(connection):
                    self._refuse_foreign_tables(connection)
                    connection.execute(_CREATE_TABLE)
                    connection.execute(_CREATE_INDEX)
                    connection.executemany(_INSERT, map(_to_row, rooms))
                    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def find(self, wanted: RoomFilter) -> list[Room]:
        conditions: list[str] = []
        values: list[str | int] = []

        def narrow(condition: str, value: str | int | None) -> None:
            if value is not None:
                conditions.append(condition)
                values.append(value)

        narrow("status = ?", None if wanted.status is None else wanted.status.value)
        narrow("price_eur >= ?", wanted.price_min)
        narrow("price_eur <= ?", wanted.price_max)
        narrow("size_m2 >= ?", wanted.size_min)
        narrow("city_key = ?", None if wanted.city is None else city_key(wanted.city))

        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        statement = f"{_SELECT}{where} ORDER BY price_eur, code"
        return [_to_room(row) for row in self._connection().execute(statement, values)]

    def get(self, code: str) -> Room | None:
        row = self._connection().execute(f"{_SELECT} WHERE code = ?", (code,)).fetchone()
        return None if row is None else _to_room(row)

    def close(self) -> None:
        """Close the connection of the calling thread, if it has one."""
        held: _Held | None = self._local.__dict__.pop("held", None)
        if held is None:
            return
        if held.pid == os.getpid():
            held.connection.close()
        else:
            _inherited.append(held)

    def _connection(self) -> sqlite3.Connection:
        held: _Held | None = self._local.__dict__.get("held")
        if held is None or held.pid != os.getpid():
            if held is not None:
                _inherited.append(held)
            held = _Held(os.getpid(), self._open())
            self._local.held = held
        return held.connection

    def _open(self) -> sqlite3.Connection:
        try:
            # Without an isolation level the module never opens a transaction by itself.
            return sqlite3.connect(
                self._path, timeout=self._busy_timeout_s, isolation_level=None
            )
        except sqlite3.OperationalError as error:
            raise RoomFileUnusable(
                f"cannot open {self._path}: {error}; "
                "its directory must exist and be writable"
            ) from error

    def _is_prepared(self, connection: sqlite3.Connection) -> bool:
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise RoomFileUnusable(f"cannot read {self._path}: {error}") from error
        if version not in (0, SCHEMA_VERSION):
            raise RoomFileUnusable(
                f"{self._path} has schema version {version}, this program knows "
                f"{SCHEMA_VERSION}; name another file"
            )
        return version == SCHEMA_VERSION

    def _refuse_foreign_tables(self, connection: sqlite3.Connection) -> None:
        (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if count:
            raise RoomFileUnusable(
                f"{self._path} already holds something else; name another file"
            )


def _to_row(room: Room) -> tuple[str | int | float, ...]:
    return (
        room.code,
        room.title,
        room.city,
        city_key(room.city),
        room.size_m2,
        room.price_eur,
        room.latitude,
        room.longitude,
        room.status.value,
    )


def _to_room(row: tuple) -> Room:
    code, title, city, size_m2, price_eur, latitude, longitude, status = row
    return Room(
        code=code,
        title=title,
        city=city,
        size_m2=size_m2,
        price_eur=price_eur,
        latitude=latitude,
        longitude=longitude,
        status=RoomStatus(status),
    )
