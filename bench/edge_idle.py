"""What an idle connection costs in memory.

In:     a running server.
Out:    the growth of its memory for each of thousands of connections that had one answer and then keep still.
Actors: threads of this program, on the generator's CPU.
Never:  is memory divided by connections that the server has closed.
"""

import http.client
import os
import resource
import select
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

from edge_servers import CONNECTIONS_MAX
from measure import Spans
from procs import Server

# A hundred are left for connections that are not counted: those that asked before, those being closed.
CONNECTIONS = min(10_000, CONNECTIONS_MAX - 100)
OPENERS = 4
# What a server allocates once and for all, at its first connections, is not theirs.
FIRST_CONNECTIONS = 100
STILL_SECONDS = 2

Held = tuple[float, float, float]  # KiB for each connection; MiB before and with them


def plain(server: Server, spans: Spans) -> Held:
    return hold(server, None)


def encrypted(server: Server, spans: Spans) -> Held:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # thousands of times the same certificate
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return hold(server, context)


def hold(server: Server, context: ssl.SSLContext | None) -> Held:
    # Each is held twice for a moment.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    close_all(open_many(server, context, FIRST_CONNECTIONS))
    time.sleep(STILL_SECONDS)
    before = pss_kib(server)
    connections = open_many(server, context, CONNECTIONS)
    try:
        time.sleep(STILL_SECONDS)
        after = pss_kib(server)
        check_open(server, connections)
    finally:
        close_all(connections)
    return (after - before) / CONNECTIONS, before / 1024, after / 1024


def pss_kib(server: Server) -> int:
    memory = server.tree.memory()
    if not memory.exact:
        raise server.fault("the kernel does not let us read its PSS")
    return memory.pss


def open_many(server: Server, context: ssl.SSLContext | None, count: int) -> list[socket.socket]:
    cpus = server.cpus.load
    with ThreadPoolExecutor(OPENERS, initializer=lambda: os.sched_setaffinity(0, cpus)) as openers:
        try:
            return list(openers.map(lambda _: open_one(server, context), range(count)))
        except (OSError, http.client.HTTPException) as fault:
            raise server.fault(f"not all of {count} connections were served: {fault!r}") from fault


def open_one(server: Server, context: ssl.SSLContext | None) -> socket.socket:
    """A connection that had its answer. Of an encrypted one only the socket is kept: this side need not hold it all."""
    port = server.place.encrypted.port if context else server.place.port
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else Caddy gets the request 40 ms later
    held = connection.dup() if context else connection
    link = context.wrap_socket(connection, server_hostname="127.0.0.1") if context else connection
    link.sendall(f"GET {server.place.row.request.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    answer = http.client.HTTPResponse(link)
    answer.begin()
    if answer.status != 200 or answer.read() != server.place.row.request.answer:
        raise server.fault("a wrong answer before a connection became idle")
    if context:
        link.close()  # says nothing to the server, which still has the other descriptor's connection
    return held


def check_open(server: Server, connections: list[socket.socket]) -> None:
    ended = select.poll()
    for connection in connections:
        ended.register(connection, select.POLLRDHUP)
    closed = len(ended.poll(0))
    if closed:
        raise server.fault(f"it closed {closed} of {len(connections)} idle connections")


def close_all(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()
