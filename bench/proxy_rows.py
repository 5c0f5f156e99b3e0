"""The rows of the proxy, as data.

In:     -
Out:    for each row: what is asked, the load, the upstream, what hallway has to stay below.
Actors: none.
Never:  is a bar set by what was measured here: it was promised before.
"""

from collections.abc import Callable
from dataclasses import dataclass

import edge_load
import proxy_load
from candidates import Place
from edge_rows import COST, KIB, Bar, EdgeRow, file_row
from proxy_servers import echo_upstream, files_upstream
from rows import Request, Row

ALL = ("hallway", "nginx", "haproxy")
LATENCY = (("p99 us of 250 ms", 0), ("p99 us of all", 0), ("p50 us", 0), ("CPU us/request", 1))
MESSAGES = (("CPU us/message", 1), ("messages/s", 0), ("busy %", 0))


def both(most: float) -> tuple[Bar, ...]:
    return (Bar(most, "nginx"), Bar(most, "haproxy"))


@dataclass(frozen=True)
class ProxyRow(EdgeRow):
    """One table of the report; `upstream` is the server behind."""

    upstream: Callable[[Place], list[str]] = files_upstream


ECHO = Row("websocket", "WebSocket echo, 1,000 connections", "", Request(b"echo", path="/"), ALL, connections=1_000)

ROWS = [
    ProxyRow(
        file_row("proxy-1k", "1 KiB over plain HTTP/1.1", KIB, ALL),
        "hallway-load: 64 connections that are kept, on both sides.",
        COST, edge_load.files, both(0.92),
    ),
    ProxyRow(
        file_row("proxy-tls", "1 KiB, TLS 1.3 in front, HTTP/1.1", KIB, ALL),
        "h2load --h1: 64 connections that are kept, one request at a time on each.",
        COST, edge_load.requests("http/1.1", 64, 1), both(0.85),
    ),
    ProxyRow(
        file_row("proxy-h2", "1 KiB, HTTP/2 and TLS 1.3 in front", KIB, ALL),
        "h2load: 4 connections, 10 streams at a time on each.",
        COST, edge_load.requests("h2", 4, 10), (Bar(0.9, "nginx"), Bar(1.15, "haproxy")),
    ),
    ProxyRow(
        file_row("proxy-100k", "100 KiB over plain HTTP/1.1", 100 * KIB, ALL),
        "hallway-load: 64 connections that are kept.",
        COST, edge_load.files, both(1.0),
    ),
    ProxyRow(
        ECHO,
        "websocket_load.py: each connection says 100 bytes and waits until they come back.",
        MESSAGES, proxy_load.messages, (Bar(1.0, "nginx"),), seconds_min=2, upstream=echo_upstream,
    ),
    ProxyRow(
        file_row("proxy-latency", "latency of 1 KiB over plain HTTP/1.1, open loop", KIB, ALL),
        f"hallway-load: {proxy_load.RATE:,} requests a second on 16 connections, whenever they are due: less than half of "
        "what the slowest can do. The p99 that counts is that of a quarter of a second, in the median of all of them: what "
        "the whole machine does not get around to for some milliseconds spoils few of them.",
        LATENCY, proxy_load.latency, both(1.0), rounds_max=7, seconds_min=4,
    ),
]
