"""What the SQLite adapter promises beyond the contract: many processes, one file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
from contextlib import closing

import pytest

from rentomatic.adapters.rooms_sqlite import RoomFileUnusable, SqliteRooms
from rentomatic.seed import seed_rooms
from rentomatic.use_cases.repository import RoomFilter

PROCESSES = 8
ROUNDS = 5


def start_and_count(directory, start_line, answers):
    """The life of a worker: wait for the others, prepare the file, read it at once."""
    for number in range(ROUNDS):
        repository = SqliteRooms(f"{directory}/{number}.db")
        start_line.wait(timeout=20)
        try:
            repository.prepare(seed_rooms())
            answers.put((number, len(repository.find(RoomFilter()))))
        except Exception as error:
            answers.put((number, repr(error)))
        finally:
            repository.close()


def test_processes_starting_together_seed_the_file_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    start_line = context.Barrier(PROCESSES)
    answers = context.Queue()
    workers = [
        context.Process(target=start_and_count, args=(str(tmp_path), start_line, answers))
        for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    try:
        seen = sorted(answers.get(timeout=30) for _ in range(PROCESSES * ROUNDS))
    finally:
        for worker in workers:
            worker.join(timeout=10)
            if worker.is_alive():
                worker.kill()
        answers.close()

    assert seen == sorted((number, 24) for number in range(ROUNDS) for _ in range(PROCESSES))
    for number in range(ROUNDS):
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_seeding_that_breaks_off_leaves_nothing_behind(tmp_path, make_room):
    def breaking_off():
        yield make_room(1)
        raise RuntimeError("power cut")

    repository = SqliteRooms(tmp_path / "rooms.db")
    with pytest.raises(RuntimeError, match="power cut"):
        repository.prepare(breaking_off())

    repository.prepare([make_room(1), make_room(2)])
    assert len(repository.find(RoomFilter())) == 2
    repository.close()


def test_a_prepared_file_is_left_as_it_is(tmp_path, make_room):
    path = tmp_path / "rooms.db"
    repository = SqliteRooms(path)
    repository.prepare([make_room(1), make_room(2)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM rooms")

    repository.prepare([make_room(3)])
    assert repository.find(RoomFilter()) == []
    repository.close()


def test_preparing_waits_for_another_writer(tmp_path, make_room):
    path = tmp_path / "rooms.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: writer.execute("ROLLBACK"))
    release.start()

    repository = SqliteRooms(path)
    repository.prepare([make_room()])
    assert len(repository.find(RoomFilter())) == 1
    release.join()
    repository.close()
    writer.close()


def test_every_thread_has_a_connection_of_its_own(tmp_path, make_room):
    repository = SqliteRooms(tmp_path / "rooms.db")
    repository.prepare([make_room()])
    connections = []

    def use():
        assert len(repository.find(RoomFilter())) == 1
        assert repository._connection() is repository._connection()
        connections.append(repository._connection())
        repository.close()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(connection) for connection in connections}) == 4


def test_a_forked_child_opens_its_own_connection(tmp_path, make_room):
    repository = SqliteRooms(tmp_path / "rooms.db")
    repository.prepare([make_room()])
    of_parent = repository._connection()

    child = os.fork()
    if child == 0:
        signal.alarm(10)
        try:
            fine = len(repository.find(RoomFilter())) == 1
            fine = fine and repository._connection() is not of_parent
        except BaseException:
            fine = False
        os._exit(0 if fine else 1)

    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert repository._connection() is of_parent
    assert len(repository.find(RoomFilter())) == 1
    repository.close()


def test_a_later_change_of_directory_does_not_matter(tmp_path, make_room, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repository = SqliteRooms("rooms.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    repository.prepare([make_room()])
    assert (tmp_path / "rooms.db").exists()
    repository.close()


def test_closing_twice_is_harmless_and_reading_opens_again(tmp_path, make_room):
    repository = SqliteRooms(tmp_path / "rooms.db")
    repository.prepare([make_room()])
    repository.close()
    repository.close()
    assert len(repository.find(RoomFilter())) == 1
    repository.close()


def test_files_of_others_are_refused_and_not_touched(tmp_path, make_room):
    foreign, newer, text = (tmp_path / name for name in ("foreign.db", "newer.db", "text.db"))
    with closing(sqlite3.connect(foreign)) as connection, connection:
        connection.execute("CREATE TABLE accounts (id INTEGER)")
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    text.write_text("This is a letter, not a database. " * 50)

    for path, reason in (
        (foreign, "already holds something else"),
        (newer, "schema version 99"),
        (text, "not a database"),
        (tmp_path / "missing" / "rooms.db", "directory must exist"),
    ):
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(RoomFileUnusable, match=reason):
            SqliteRooms(path).prepare([make_room()])
        assert (path.read_bytes() if path.exists() else None) == before
