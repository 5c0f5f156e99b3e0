"""The loads of the proxy rows that no others have: messages, and requests at a constant rate.

In:     a running server, how long.
Out:    CPU time per message; how long answers take.
Actors: hallway-load, websocket_load.py: children on their own CPU.
Never:  is a figure given for a run in which one answer was wrong.
"""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

from edge_load import busy
from measure import Spans, metered, run_child, run_open
from procs import Server, start_pinned

HERE = Path(__file__).resolve().parent
RATE = 4_000
IDLE = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""


def messages(server: Server, spans: Spans) -> tuple[float, float, float]:
    """What it costs to connect is measured by itself and taken off."""
    talk(server, spans.warmup)
    _, connecting, _ = metered(server, lambda: talk(server, 0))
    said, used, _ = metered(server, lambda: talk(server, spans.measured))
    cpu_us = (used - connecting) * 1e6 / said["messages"]
    return cpu_us, said["rate"], busy(cpu_us, said["rate"])


def talk(server: Server, seconds: float) -> dict:
    command = [sys.executable, "-B", str(HERE / "websocket_load.py"), "127.0.0.1", str(server.place.port)]
    command += [str(server.place.row.connections), str(seconds)]
    ended, out, said = run_child(command, server, seconds)
    if ended != 0:
        raise server.fault(f"the clients ended with {ended}: {said.strip()}")
    return json.loads(out)


def latency(server: Server, spans: Spans) -> tuple[float, float, float, float]:
    with kept_awake(server):
        took, used, _ = metered(server, lambda: run_open(server, RATE, spans))
    return took.p99_window, took.p99, took.p50, used * 1e6 / (RATE * (spans.measured + spans.warmup))


@contextmanager
def kept_awake(server: Server):
    """Has something of no priority run on the server's CPU: how long a CPU that sleeps, a virtual one above all, takes
    to wake is not the server's doing."""
    idler = start_pinned([sys.executable, "-c", IDLE], server.cpus.server, scratch=server.place.scratch)
    try:
        yield
    finally:
        idler.kill()
        idler.wait()
