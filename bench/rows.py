"""The rows of the benchmark, as data.

In:     -
Out:    for each row: the app, the one request, the one right answer, who takes part.
Actors: none.
Never:  does a row depend on a candidate; what a server needs to serve it stands in candidates.py.
"""

from dataclasses import dataclass

TEXT = b"hello, world"


def letters(count: int) -> bytes:
    """The body that the load generator sends for `--body-bytes`: the same generator, the same seed."""
    state, out = 1, bytearray()
    for _ in range(count):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
        out.append(ord("a") + (state >> 16) % 26)
    return bytes(out)


@dataclass(frozen=True)
class Request:
    """The request that is sent again and again, and the body that must come back."""

    answer: bytes
    method: str = "GET"
    path: str = "/"
    body_bytes: int = 0

    @property
    def body(self) -> bytes:
        return letters(self.body_bytes)


@dataclass(frozen=True)
class Row:
    """One table of the report."""

    key: str
    title: str
    app: str  # MODULE:APP below apps/; empty for rows without Python
    request: Request
    candidates: tuple[str, ...] = ("hallway", "gunicorn", "granian")
    workers: int = 1
    server_cpus: int = 1
    connections: int = 64  # of the closed loop, which CPU is taken from
    open_connections: int = 16  # of the open loop, which latency is taken from
    paced_by: tuple[str, ...] = ("hallway", "granian")  # the open loop runs at half of the slowest of these
    layout: str = "one"  # a key of LAYOUTS
    files: tuple[tuple[str, int], ...] = ()  # names and lengths of what lies below files/ in the scratch directory


# Where the processes of a server run.
LAYOUTS = {
    "one": "every process of a server on one core",
    "each": "hallway's edge on one core and its worker on another, which the load shares; others on both",
    "free": "nothing pinned, the load neither",
}


def static(length: int) -> Row:
    """A file; both servers keep it in memory or open."""
    name = f"{length}.bin"
    return Row(
        key=f"static-{length // 1024}k",
        title=f"a static file of {length // 1024} KiB",
        app="bare:app",
        request=Request(letters(length), path=f"/files/{name}"),
        candidates=("hallway", "nginx"),
        paced_by=("hallway", "nginx"),
        files=((name, length),),
    )


ECHO = Request(letters(10_240), "POST", "/echo", 10_240)

ALL = ("hallway", "nginx-uwsgi", "gunicorn", "granian", "bjoern")
WITH_ASGI = (*ALL, "uvicorn")
BOTH = ("hallway", "granian")

ROWS = [
    Row("bare", "bare WSGI, 12 bytes", "bare:app", Request(TEXT), WITH_ASGI),
    Row("flask", "Flask, 12 bytes", "flask_app:app", Request(TEXT), ALL),
    Row("bare-echo", "bare WSGI, POST of 10 KiB sent back", "bare:app", ECHO, WITH_ASGI),
    static(1024),
    static(100 * 1024),
    Row("bare-two", "bare WSGI, two workers on one core", "bare:app", Request(TEXT), BOTH, workers=2),
    Row("bare-each", "bare WSGI, a core each", "bare:app", Request(TEXT), BOTH, server_cpus=2, layout="each"),
    Row("flask-each", "Flask, a core each", "flask_app:app", Request(TEXT), BOTH, server_cpus=2, layout="each"),
    Row("bare-free", "bare WSGI, unpinned", "bare:app", Request(TEXT), BOTH, server_cpus=2, layout="free"),
    Row("flask-free", "Flask, unpinned", "flask_app:app", Request(TEXT), BOTH, server_cpus=2, layout="free"),
    Row(
        "bare-two-two", "bare WSGI, two workers and two event loops, unpinned", "bare:app", Request(TEXT), BOTH,
        workers=2, server_cpus=2, layout="free",
    ),
]
