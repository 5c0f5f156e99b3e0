"""The servers that are compared, as data.

In:     a place: port, row, and where things lie.
Out:    the command that starts the server there, and the one that says its version.
Actors: none: procs.py starts them.
Never:  is a peer run with settings that are worse for it than those we know; access logs are off for all.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import join

from debian import program
from rows import Row

APPS = Path(__file__).resolve().parent / "apps"
# The key of another hallway, which takes part wherever hallway does.
AGAINST, AGAINST_TITLE = "against", "the other hallway"


@dataclass(frozen=True)
class Tools:
    """The programs that a bench runs."""

    hallway: Path
    load: Path
    peers: Path  # the folder that debian.py filled
    python: Path | None = None  # of the venv that holds the peers and frameworks; rows of the edge need none
    against: Path | None = None  # another hallway, to be measured in the same rounds


@dataclass(frozen=True)
class Encrypted:
    """What rows of the edge have besides: a port for TLS, and the same certificate for all."""

    port: int
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Place:
    """Where one server runs. Files it needs (a configuration) go into `scratch`, which is also its directory."""

    tools: Tools
    row: Row
    port: int
    scratch: Path
    encrypted: Encrypted | None = None
    upstream_port: int | None = None  # of the server behind, in rows of the proxy


@dataclass(frozen=True)
class Candidate:
    """One server."""

    key: str
    title: str
    command: Callable[[Place], list[str]]
    version: Callable[[Tools], list[str]]


def hallway(place: Place) -> list[str]:
    """One event loop beside one worker; as many as cores where there are several workers."""
    threads = place.row.server_cpus if place.row.workers > 1 else 1
    command = [str(place.tools.hallway), "run", "--bind", f"127.0.0.1:{place.port}", "--access-log", "off"]
    command += ["--workers", str(place.row.workers), "--edge-threads", str(threads)]
    if place.row.files:
        command += ["--static", f"/files={place.scratch / 'files'}"]
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


NGINX = """{user}
daemon off;
worker_processes 1;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx.log warn;
events {{ worker_connections 2048; }}
http {{
    include {etc}/mime.types;
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    scgi_temp_path {scratch}/scgi;
    uwsgi_temp_path {scratch}/uwsgi;
    open_file_cache max=1000 inactive=60s;
    open_file_cache_valid 60s;
    server {{
        listen 127.0.0.1:{port};
        location /files/ {{ root {scratch}; }}
        location / {{ include {etc}/uwsgi_params; uwsgi_pass unix:{scratch}/uwsgi.sock; }}
    }}
}}
"""


def nginx(place: Place) -> list[str]:
    configuration = place.scratch / "nginx.conf"
    # Started as root its workers are somebody else, who may not look into the scratch directory.
    user = "user root;" if os.geteuid() == 0 else ""
    etc = place.tools.peers / "etc" / "nginx"
    configuration.write_text(NGINX.format(scratch=place.scratch, port=place.port, user=user, etc=etc))
    return run_nginx(place, configuration)


def run_nginx(place: Place, configuration: Path | str) -> list[str]:
    command = program(place.tools.peers, "usr/sbin/nginx")
    return [*command, "-c", str(configuration), "-e", str(place.scratch / "nginx.log")]


def nginx_version(tools: Tools) -> list[str]:
    return [*program(tools.peers, "usr/sbin/nginx"), "-v"]


def nginx_uwsgi(place: Place) -> list[str]:
    """Both in one session, which ends as one."""
    uwsgi = [str(place.tools.python.with_name("uwsgi")), "--socket", str(place.scratch / "uwsgi.sock")]
    uwsgi += ["--processes", str(place.row.workers), "--master", "--disable-logging", "--die-on-term", "--need-app"]
    uwsgi += ["--virtualenv", str(place.tools.python.parent.parent), "--chdir", str(APPS), "--module", place.row.app]
    return ["/bin/sh", "-c", f"trap 'kill 0' TERM; {join(uwsgi)} & {join(nginx(place))} & wait"]


def bjoern(place: Place) -> list[str]:
    module, name = place.row.app.split(":")
    program = f"import bjoern; from {module} import {name} as app; bjoern.run(app, '127.0.0.1', {place.port})"
    return ["/usr/bin/env", f"PYTHONPATH={APPS}", str(place.tools.python), "-c", program]


def uvicorn(place: Place) -> list[str]:
    """The same app for ASGI: what it calls has no more to do."""
    module, name = place.row.app.split(":")
    command = [str(place.tools.python), "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(place.port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return command + ["--app-dir", str(APPS), f"{module}_asgi:{name}"]


def with_against(candidates: list[Candidate], tools: Tools) -> list[Candidate]:
    """Puts the other hallway beside the first one, if there is one."""
    if tools.against is None:
        return candidates
    own = next(one for one in candidates if one.key == "hallway")

    def command(place: Place) -> list[str]:
        return own.command(replace(place, tools=replace(place.tools, hallway=place.tools.against)))

    other = Candidate(AGAINST, AGAINST_TITLE, command, lambda tools: [str(tools.against), "--version"])
    return [own, other, *(one for one in candidates if one is not own)]


def takes_part(key: str, row: Row) -> bool:
    return (key if key != AGAINST else "hallway") in row.candidates


def package_version(name: str) -> Callable[[Tools], list[str]]:
    program = f"from importlib.metadata import version; print({name!r}, version({name!r}))"
    return lambda tools: [str(tools.python), "-c", program]


CANDIDATES = [
    Candidate("hallway", "hallway", hallway, lambda tools: [str(tools.hallway), "--version"]),
    Candidate("nginx", "nginx (open_file_cache)", nginx, nginx_version),
    Candidate("nginx-uwsgi", "nginx + uWSGI", nginx_uwsgi, package_version("uwsgi")),
    Candidate("gunicorn", "Gunicorn (sync)", gunicorn, package_version("gunicorn")),
    Candidate("granian", "Granian", granian, package_version("granian")),
    Candidate("uvicorn", "Uvicorn (ASGI, uvloop)", uvicorn, package_version("uvicorn")),
    Candidate("bjoern", "bjoern", bjoern, package_version("bjoern")),
]
BY_KEY = {candidate.key: candidate for candidate in CANDIDATES}
