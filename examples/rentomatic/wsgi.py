"""The entry point for a WSGI server: `wsgi:app`.

This is the one place that knows every layer. It picks the adapter and hands it
to the web: RENTOMATIC_DB names an SQLite file; without it, rooms are in memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rentomatic.adapters.rooms_memory import MemoryRooms
from rentomatic.adapters.rooms_sqlite import SqliteRooms
from rentomatic.seed import seed_rooms
from rentomatic.use_cases.repository import RoomRepository
from rentomatic.web import create_app


def choose_repository(environ: Mapping[str, str]) -> RoomRepository:
    path = environ.get("RENTOMATIC_DB", "").strip()
    if not path:
        return MemoryRooms(seed_rooms())
    repository = SqliteRooms(path)
    repository.prepare(seed_rooms())
    return repository


app = create_app(choose_repository(os.environ))
