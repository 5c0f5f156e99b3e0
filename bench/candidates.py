"""The servers that are compared, as data.

In:     a place: port, row, and where things lie.
Out:    the command that starts the server there, and the one that says its version.
Actors: none: procs.py starts them.
Never:  is a peer run with settings that are worse for it than those we know; access logs are off for all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rows import Row

APPS = Path(__file__).resolve().parent / "apps"


@dataclass(frozen=True)
class Tools:
    """The programs that a bench runs."""

    hallway: Path
    load: Path
    python: Path  # of the venv that holds the peers and frameworks


@dataclass(frozen=True)
class Place:
    """Where one server runs. Files it needs (a configuration) go into `scratch`, which is also its directory."""

    tools: Tools
    row: Row
    port: int
    scratch: Path


@dataclass(frozen=True)
class Candidate:
    """One server."""

    key: str
    title: str
    command: Callable[[Place], list[str]]
    version: Callable[[Tools], list[str]]


def hallway(place: Place) -> list[str]:
    command = [str(place.tools.hallway), "run", "--bind", f"127.0.0.1:{place.port}", "--access-log", "off"]
    command += ["--workers", str(place.row.workers), "--edge-threads", str(place.row.server_cpus)]
    return command + ["--chdir", str(APPS), "--python", str(place.tools.python), place.row.app]


def gunicorn(place: Place) -> list[str]:
    command = [str(place.tools.python), "-m", "gunicorn", "--bind", f"127.0.0.1:{place.port}"]
    command += ["--worker-class", "sync", "--workers", str(place.row.workers), "--no-control-socket"]
    return command + ["--log-level", "warning", "--chdir", str(APPS), place.row.app]


def granian(place: Place) -> list[str]:
    """One thread for Python: its default is many, which wait for one another and cost it more CPU (measured)."""
    command = [str(place.tools.python), "-m", "granian", "--host", "127.0.0.1", "--port", str(place.port)]
    command += ["--interface", "wsgi", "--workers", str(place.row.workers), "--blocking-threads", "1"]
    return command + ["--no-access-log", "--log-level", "warning", "--working-dir", str(APPS), place.row.app]


def package_version(name: str) -> Callable[[Tools], list[str]]:
    program = f"from importlib.metadata import version; print({name!r}, version({name!r}))"
    return lambda tools: [str(tools.python), "-c", program]


CANDIDATES = [
    Candidate("hallway", "hallway", hallway, lambda tools: [str(tools.hallway), "--version"]),
    Candidate("gunicorn", "Gunicorn (sync)", gunicorn, package_version("gunicorn")),
    Candidate("granian", "Granian", granian, package_version("granian")),
]
BY_KEY = {candidate.key: candidate for candidate in CANDIDATES}
