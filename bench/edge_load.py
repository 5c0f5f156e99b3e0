"""The loads of the edge rows: files, many requests on few encrypted connections, many new connections.

In:     a running server, how long.
Out:    CPU time per request or connection, and how many of them a second.
Actors: hallway-load, h2load, openssl s_time: children on their own CPU.
Never:  is a figure given for a run with one answer missing, too short or too long, or with another cipher or group.
"""

import math
import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

from faults import BenchFault
from measure import Spans, metered, run_child, run_closed
from procs import Server

# The same for all, whatever a server would choose; X25519 is what both clients offer first.
SUITE = "TLS_AES_128_GCM_SHA256"
AGREED = {"TLS Protocol": "TLSv1.3", "Cipher": SUITE, "Server Temp Key": "X25519 253 bits"}
# So many processes that each open one connection after another: what keeps the generator's core busy.
OPENERS = 4
OPENSSL_SETTINGS = """openssl_conf = all
[all]
ssl_conf = programs
[programs]
system_default = every
[every]
Groups = X25519
"""

Cost = tuple[float, float, float]  # CPU us of one, how many a second, percent of its core that the server was busy


def cost(used_seconds: float, count: int, rate: float) -> Cost:
    cpu_us = used_seconds * 1e6 / count
    return cpu_us, rate, busy(cpu_us, rate)


def busy(cpu_us: float, rate: float) -> float:
    return cpu_us * rate / 1e4


def files(server: Server, spans: Spans) -> Cost:
    """The closed loop of the other rows: it compares every byte."""
    closed = run_closed(server, spans)
    return closed.cpu_us, closed.rate, busy(closed.cpu_us, closed.rate)


def requests(protocol: str, connections: int, streams: int):
    """A closed loop by h2load. The warm-up says how many requests fill the time; exactly so many are then measured.
    What it costs to connect is measured by itself and taken off: a run is too short to hide it."""

    def run(server: Server, spans: Spans) -> Cost:
        check_answer(server, protocol)
        words = ["--clients", str(connections), "--max-concurrent-streams", str(streams), f"--tls13-ciphers={SUITE}"]
        words += ["--h1"] if protocol == "http/1.1" else []
        warm = run_h2load(server, [*words, "--duration", f"{spans.warmup * 1000:.0f}ms"], spans.warmup)
        check_agreed(server, warm, protocol)
        first = connections * streams
        _, connecting = counted(server, words, first, spans)
        count = max(2 * first, round(rate_of(warm) * spans.measured))
        said, used = counted(server, words, count, spans)
        check_agreed(server, said, protocol)
        return cost(used - connecting, count - first, rate_of(said))

    return run


def counted(server: Server, words: list[str], count: int, spans: Spans) -> tuple[str, float]:
    """What h2load said of so many requests, and the CPU seconds that the server used for them."""
    words = [*words, "--requests", str(count)]
    said, used, _ = metered(server, lambda: run_h2load(server, words, spans.measured))
    check_counts(server, said, count)
    return said, used


def run_h2load(server: Server, words: list[str], seconds: float) -> str:
    ended, out, said = run_child(["h2load", *words, url(server)], server, seconds)
    if ended != 0 or "finished in" not in out:
        raise server.fault(f"h2load ended with {ended}: {said.strip()}")
    return out


def url(server: Server) -> str:
    return f"https://127.0.0.1:{server.place.encrypted.port}{server.place.row.request.path}"


def rate_of(said: str) -> float:
    return float(re.search(r"finished in .*, ([\d.]+) req/s", said)[1])


def check_agreed(server: Server, said: str, protocol: str) -> None:
    for name, wanted in {**AGREED, "Application protocol": protocol}.items():
        if f"{name}: {wanted}\n" not in said:
            raise server.fault(f"{name} is not {wanted}:\n{said[:600]}")


def check_counts(server: Server, said: str, count: int) -> None:
    """Every request succeeded, and the bodies together have exactly the length that they should have."""
    length = count * len(server.place.row.request.answer)
    wanted = [f"{count} succeeded, 0 failed, 0 errored, 0 timeout", f"{count} 2xx,", f"({length}) data"]
    if not all(words in said for words in wanted):
        raise server.fault(f"h2load did not get {count} right answers:\n{said[-1200:]}")


def check_answer(server: Server, protocol: str) -> None:
    """One download, compared in full: h2load counts what it gets and does not look at it."""
    if protocol == "h2":
        got = run_child(["nghttp", "--no-verify-peer", url(server)], server, 5)[1].encode()
    else:
        got = exchange(server).partition(b"\r\n\r\n")[2]
    if got != server.place.row.request.answer:
        raise server.fault(f"a wrong answer over {protocol}: {got[:200]!r}")


def exchange(server: Server) -> bytes:
    """What the server sends for the request of s_time, head and all, on a connection of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(server.place.encrypted.certificate)
    with (
        socket.create_connection(("127.0.0.1", server.place.encrypted.port), 5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as link,
    ):
        link.sendall(f"GET {server.place.row.request.path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return b"".join(iter(lambda: link.recv(65_536), b""))


def new_connections(server: Server, spans: Spans) -> Cost:
    """A handshake without resumption, one request, the end; s_time counts in whole seconds."""
    check_answer(server, "http/1.1")
    settings = server.place.scratch / "openssl.cnf"
    settings.write_text(OPENSSL_SETTINGS)
    command = ["/usr/bin/env", f"OPENSSL_CONF={settings}", "openssl", "s_time", "-new", "-tls1_3"]
    command += ["-ciphersuites", SUITE, "-www", server.place.row.request.path]
    command += ["-connect", f"127.0.0.1:{server.place.encrypted.port}", "-time"]
    open_for(server, command, math.ceil(spans.warmup))
    counted, used, _ = metered(server, lambda: open_for(server, command, math.ceil(spans.measured)))
    return cost(used, counted["connections"], counted["connections"] / counted["seconds"])


def open_for(server: Server, command: list[str], seconds: int) -> dict:
    began = time.monotonic()
    with ThreadPoolExecutor(OPENERS) as openers:
        runs = list(openers.map(lambda _: run_child([*command, str(seconds)], server, seconds), range(OPENERS)))
    took = time.monotonic() - began
    return {"connections": sum(count_of(server, *run) for run in runs), "seconds": took}


def count_of(server: Server, ended: int, out: str, said: str) -> int:
    """s_time ends at the first failed handshake; what it read tells whether every answer was whole."""
    counted = re.search(r"(\d+) connections in .*bytes read (\d+)", out)
    if ended != 0 or counted is None:
        raise server.fault(f"openssl s_time ended with {ended}: {said.strip()[-600:]}")
    count, length, each = int(counted[1]), int(counted[2]), len(exchange(server))
    if count == 0 or length != count * each:
        raise server.fault(f"openssl s_time read {length} bytes in {count} answers, not {each} in each")
    return count
