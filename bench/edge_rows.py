"""The rows of the edge, as data.

In:     -
Out:    for each row: the file, the load, who takes part, what hallway has to stay below.
Actors: none.
Never:  is a bar set by what was measured here: it was promised before.
"""

from collections.abc import Callable
from dataclasses import dataclass

import edge_idle
import edge_load
from measure import Spans
from procs import Server
from rows import Request, Row, letters

KIB = 1024
ALL = ("hallway", "nginx", "haproxy", "caddy")
WITH_FILES = ("hallway", "nginx", "caddy")

# Memory differs little from round to round, and a round opens thousands of connections.
MEMORY_ROUNDS = 3

# The name and the digits of each figure; the first is the one that counts.
COST = (("CPU us/request", 1), ("requests/s", 0), ("busy %", 0))
OPENED = (("CPU us/connection", 1), ("connections/s", 0), ("busy %", 0))
HELD = (("KiB/connection", 2), ("PSS before, MiB", 1), ("PSS with them, MiB", 1))


@dataclass(frozen=True)
class Bar:
    """What the first figure of hallway may be at most: a share of a peer's in the same round, or so much."""

    most: float
    peer: str | None = "nginx"


@dataclass(frozen=True)
class EdgeRow:
    """One table of the report."""

    row: Row
    how: str
    figures: tuple[tuple[str, int], ...]
    measure: Callable[[Server, Spans], tuple[float, ...]]
    bars: tuple[Bar, ...]
    rounds_max: int = 1000
    seconds_min: float = 0  # of a measured run

    def spans(self, spans: Spans) -> Spans:
        return Spans(max(spans.measured, self.seconds_min), spans.warmup)


def file_row(key: str, title: str, length: int, members: tuple[str, ...] = ALL, connections: int = 64) -> Row:
    """The file repeats itself every KiB: made letter by letter, 10 MiB would take seconds."""
    answer = letters(KIB) * (length // KIB)
    name = f"{length // KIB}k.txt"
    request = Request(answer, path=f"/{name}")
    return Row(key, title, "", request, members, connections=connections, files=((name, length),))


ROWS = [
    EdgeRow(
        file_row("tls-h1", "1 KiB over TLS 1.3, HTTP/1.1", KIB),
        "h2load --h1: 64 connections that are kept, one request at a time on each.",
        COST, edge_load.requests("http/1.1", 64, 1), (Bar(0.85),),
    ),
    EdgeRow(
        file_row("tls-h2", "1 KiB over TLS 1.3, HTTP/2, 4 connections", KIB),
        "h2load: 4 connections, 10 streams at a time on each.",
        COST, edge_load.requests("h2", 4, 10), (Bar(0.9),),
    ),
    EdgeRow(
        file_row("tls-h2-one", "1 KiB over TLS 1.3, HTTP/2, 16 connections", KIB),
        "h2load: 16 connections, one stream at a time on each.",
        COST, edge_load.requests("h2", 16, 1), (Bar(0.9),),
    ),
    EdgeRow(
        file_row("tls-new", "new TLS 1.3 connections", KIB),
        "openssl s_time, 4 at a time: handshake without resumption (ECDSA P-256, X25519), one request for 1 KiB, the "
        "end. The clients need more CPU for it than a server: the rate is theirs.",
        OPENED, edge_load.new_connections, (Bar(0.65),),
    ),
    EdgeRow(
        file_row("file-100k", "100 KiB over plain HTTP/1.1", 100 * KIB, WITH_FILES),
        "hallway-load: 64 connections that are kept.",
        COST, edge_load.files, (Bar(1.0),),
    ),
    EdgeRow(
        file_row("file-10m", "10 MiB over plain HTTP/1.1", 10 * KIB * KIB, WITH_FILES, connections=8),
        "hallway-load: 8 connections that are kept.",
        COST, edge_load.files, (Bar(1.0),),
    ),
    EdgeRow(
        file_row("idle", "idle HTTP/1.1 connections", KIB),
        f"{edge_idle.CONNECTIONS:,} connections, each with one answer of 1 KiB behind it. "
        "Memory of all processes of the server; that of the kernel is not in it.",
        HELD, edge_idle.plain, (Bar(6, peer=None),), rounds_max=MEMORY_ROUNDS,
    ),
    EdgeRow(
        file_row("idle-tls", "idle TLS 1.3 connections", KIB),
        f"{edge_idle.CONNECTIONS:,} connections, each with one answer of 1 KiB behind it, HTTP/1.1.",
        HELD, edge_idle.encrypted, (Bar(24, peer=None),), rounds_max=MEMORY_ROUNDS,
    ),
]
