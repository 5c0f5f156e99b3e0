"""One measured run.

In:     a running server, the load generator, how long.
Out:    CPU time per request, rate and memory of a closed loop; latencies of an open loop.
Actors: the load generator, a child on its own CPU.
Never:  does a run with one wrong or missing answer give a figure.
"""

import hashlib
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from faults import BenchFault
from procs import Server, start_pinned
from tree import Memory, cpu_seconds

# How long a server gets to end what a generator that has just left began: closing its connections.
SETTLE_SECONDS = 0.1
PATIENCE_SECONDS = 60
Answers = TypeVar("Answers")


@dataclass(frozen=True)
class Spans:
    """How long runs take, in seconds."""

    measured: float
    warmup: float


@dataclass(frozen=True)
class Closed:
    """What a closed loop showed."""

    cpu_us: float
    rate: float
    memory: Memory
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Open:
    """What an open loop showed, in microseconds from when each request was due."""

    p50: float
    p99: float
    # Of a quarter of a second, in the median of all of them.
    p99_window: float


def run_closed(server: Server, spans: Spans) -> Closed:
    """The warm-up is a run of its own, so that the CPU time of the measured one belongs to exactly its requests."""
    words = ["closed", "--connections", str(server.place.row.connections)]
    run_load(server, [*words, "--seconds", str(spans.warmup)])
    answers, used, notes = metered(server, lambda: run_load(server, [*words, "--seconds", str(spans.measured)]))
    if answers["requests"] == 0:
        raise server.fault("no request was answered")
    return Closed(used * 1e6 / answers["requests"], answers["rate"], server.tree.memory(), notes)


def metered(server: Server, load: Callable[[], Answers]) -> tuple[Answers, float, tuple[str, ...]]:
    """What a load returns, the CPU seconds that the server used for it, and what a reader should know of that."""
    time.sleep(SETTLE_SECONDS)
    before = server.tree.processes()
    answers = load()
    time.sleep(SETTLE_SECONDS)
    after = server.tree.processes()
    server.assert_pinned()
    notes = () if pids(before) == pids(after) else (f"{server.candidate.title}: its processes changed during a run",)
    return answers, cpu_seconds(after) - cpu_seconds(before), notes


def run_open(server: Server, rate: float, spans: Spans) -> Open:
    words = ["open", "--rate", f"{rate:.1f}", "--connections", str(server.place.row.open_connections)]
    answers = run_load(server, [*words, "--seconds", str(spans.measured), "--warmup", str(spans.warmup)])
    took = answers["latency_us"]
    return Open(took["p50"], took["p99"], took["p99_window"])


def pids(processes) -> set[int]:
    return {process.pid for process in processes if not process.ended}


def run_load(server: Server, words: list[str]) -> dict:
    """Runs the generator with the row's request; its JSON when every answer was right."""
    request = server.place.row.request
    command = [str(server.place.tools.load), *words, "--method", request.method, "--path", request.path]
    command += ["--body-bytes", str(request.body_bytes), "--expect-bytes", str(len(request.answer))]
    command += ["--expect-sha256", hashlib.sha256(request.answer).hexdigest(), server.address]
    ended, out, said = run_child(command, server, duration_of(command))
    if ended == 1:
        counts = json.loads(out)
        what = f"{counts['wrong']} wrong answers, {counts['errors']} errors, {counts['requests']} right"
        raise server.fault(f"{what}; the first: {counts['first_fault']}")
    if ended != 0:
        raise BenchFault(f"the load generator ended with {ended}: {said.strip()}")
    if server.child.poll() is not None:
        raise server.fault(f"it ended with {server.child.returncode} under load")
    return json.loads(out)


def run_child(command: list[str], server: Server, seconds: float) -> tuple[int, str, str]:
    """Runs a client on the generator's CPU, for so many seconds and some patience."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    child = start_pinned(command, server.cpus.load, scratch=server.place.scratch, **pipes)
    try:
        out, said = child.communicate(timeout=PATIENCE_SECONDS + seconds)
    except subprocess.TimeoutExpired as fault:
        raise BenchFault("the load generator did not end") from fault
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    return child.returncode, out, said


def duration_of(command: list[str]) -> float:
    return sum(float(command[command.index(word) + 1]) for word in ("--seconds", "--warmup") if word in command)
