"""hallway by itself, under what happens to servers: its start, its memory, sleepers, slow clients, a dead edge.

In:     a command line like that of run.py.
Out:    Markdown on stdout and in `--out`: what was promised beside what was measured; exit code 1 when one is broken.
Actors: hallway, the load generator, clients that are slow on purpose.
Never:  is a figure under load shown without the same one without it, from the same round.
"""

import sys

sys.dont_write_bytecode = True  # before the imports: a bench leaves nothing beside its sources

import argparse
import http.client
import itertools
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import machine
import options
import peers
from candidates import APPS, BY_KEY, Place, Tools
from faults import BenchFault
from figures import reach
from measure import Spans, run_open
from procs import Server, choose_cpus, free_port, start_pinned
from report import markdown
from rows import TEXT, Request, Row

KIND = Row("trials", "trials", "trials_app:app", Request(TEXT), ("hallway",))
SLOW_CLIENTS = 1000
SLOW_RATE = 2000.0
SLEEPER_RATE = 3000.0
KILLS = 10
STARTS = 7
MIB_KIB = 1024


@dataclass(frozen=True)
class Promise:
    """One figure: what it has to stay below, and what it was each time. Its median counts, or its worst."""

    what: str
    limit: float
    unit: str
    values: list[float]
    counts_worst: bool = False

    @property
    def is_kept(self) -> bool:
        middle = sorted(self.values)[len(self.values) // 2]
        return (max(self.values) if self.counts_worst else middle) < self.limit

    def line(self) -> list[str]:
        digits = 2 if self.unit == "times" else 1
        counted = "the worst" if self.counts_worst else "the median"
        verdict = "kept" if self.is_kept else "**broken**"
        return [self.what, f"{counted} below {self.limit:g} {self.unit}", reach(self.values, digits), verdict]


@dataclass
class Stage:
    """Where the trials happen."""

    tools: Tools
    rounds: int
    spans: Spans
    scratch: Path
    numbers: itertools.count

    @contextmanager
    def serve(self, row: Row):
        scratch = self.scratch / str(next(self.numbers))
        scratch.mkdir()
        with Server(BY_KEY["hallway"], Place(self.tools, row, free_port(), scratch), choose_cpus(1)) as server:
            yield server


def edge_of(server: Server) -> int:
    for process in server.tree.processes():
        if not process.ended and b"hallway: edge" in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            return process.pid
    raise server.fault("there is no edge")


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / MIB_KIB


def asked(port: int) -> bool:
    """Whether one request was answered rightly."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read() == TEXT
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def start(stage: Stage) -> list[Promise]:
    """From exec to the first right answer, less what the interpreter needs to start and to import the app."""
    beyond, cpus = [], choose_cpus(1).server
    program = "import trials_app"
    for _ in range(STARTS):
        began = time.monotonic()
        alone = start_pinned(
            ["/usr/bin/env", f"PYTHONPATH={APPS}", str(stage.tools.python), "-c", program], cpus, scratch=stage.scratch
        )
        alone.wait()
        import_ms = (time.monotonic() - began) * 1000
        place = Place(stage.tools, KIND, free_port(), stage.scratch)
        began = time.monotonic()
        child = start_pinned(
            BY_KEY["hallway"].command(place), cpus, scratch=stage.scratch, stderr=subprocess.DEVNULL
        )
        try:
            while not asked(place.port):
                if child.poll() is not None or time.monotonic() > began + 10:
                    raise BenchFault("hallway did not start")
                time.sleep(0.001)
            beyond.append((time.monotonic() - began) * 1000 - import_ms)
        finally:
            child.terminate()
            child.wait()
    return [Promise("start to the first answer, beyond the start and import of Python", 150, "ms", beyond)]


def idle(stage: Stage) -> list[Promise]:
    sizes = []
    for _ in range(stage.rounds):
        with stage.serve(KIND) as server:
            time.sleep(1)
            sizes.append(resident_mib(edge_of(server)))
    return [Promise("resident memory of the idle edge", 12, "MiB", sizes)]


def sleeper(stage: Stage) -> list[Promise]:
    """Two workers, of which one always sleeps a second, so that the fast requests have the other."""
    ratios = []
    with stage.serve(replace(KIND, workers=2)) as server:
        for _ in range(stage.rounds):
            alone = run_open(server, SLEEPER_RATE, stage.spans).p99
            with in_background(lambda stop: keep_asking(server.place.port, "/sleep", stop)):
                time.sleep(0.2)
                beside = run_open(server, SLEEPER_RATE, stage.spans).p99
            say(f"sleeper: p99 {alone:.0f} us alone, {beside:.0f} us beside it")
            ratios.append(beside / alone)
    what = f"p99 at {SLEEPER_RATE:.0f}/s beside a view that sleeps 1 s (2 workers), to that alone"
    return [Promise(what, 3, "times", ratios)]


def slow_clients(stage: Stage) -> list[Promise]:
    """Half of them read an answer of 1 MiB, half send a body of 1 MiB, each a byte a second."""
    ratios, sizes = [], []
    for _ in range(stage.rounds):
        with stage.serve(KIND) as server:
            alone = run_open(server, SLOW_RATE, stage.spans).p99
            clients = [slow_client(server.place.port, number) for number in range(SLOW_CLIENTS)]
            with in_background(lambda stop, clients=clients: drip(clients, stop)):
                time.sleep(2)
                beside = run_open(server, SLOW_RATE, stage.spans).p99
                sizes.append(resident_mib(edge_of(server)))
            for client in clients:
                client.close()
            say(f"slow clients: p99 {alone:.0f} us alone, {beside:.0f} us beside them, edge {sizes[-1]:.0f} MiB")
            ratios.append(beside / alone)
    return [
        Promise(f"p99 at {SLOW_RATE:.0f}/s beside {SLOW_CLIENTS} slow clients (1 worker), to that alone", 2, "times", ratios),
        Promise(f"resident memory of the edge with {SLOW_CLIENTS} slow clients", 96, "MiB", sizes, counts_worst=True),
    ]


def slow_client(port: int, number: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 5)
    if reads(number):
        client.sendall(b"GET /large HTTP/1.1\r\nHost: slow\r\n\r\n")
    else:
        client.sendall(b"POST / HTTP/1.1\r\nHost: slow\r\nContent-Length: 1048576\r\n\r\n")
    return client


def reads(number: int) -> bool:
    return number % 2 == 0


def drip(clients: list[socket.socket], stop: threading.Event) -> None:
    """Each client once a second, spread evenly: this runs on the generator's core."""
    for number in itertools.cycle(range(len(clients))):
        if stop.is_set():
            return
        if reads(number):
            if not clients[number].recv(1):
                raise BenchFault("a slow client was cut")
        else:
            clients[number].send(b"u")
        time.sleep(1 / len(clients))


def edge_killed(stage: Stage) -> list[Promise]:
    """kill -9 of the edge; connects and asks until there is an answer."""
    waits, refused = [], 0
    with stage.serve(replace(KIND, workers=2)) as server:
        for _ in range(KILLS):
            os.kill(edge_of(server), signal.SIGKILL)
            began = time.monotonic()
            while not asked(server.place.port):
                try:
                    socket.create_connection(("127.0.0.1", server.place.port), 1).close()
                except ConnectionRefusedError:
                    refused += 1
            waits.append((time.monotonic() - began) * 1000)
            time.sleep(0.3)
    return [
        Promise("kill -9 of the edge: until a request is answered", 300, "ms", waits, counts_worst=True),
        Promise(f"connections refused after {KILLS} such kills", 1, "of them", [refused], counts_worst=True),
    ]


def keep_asking(port: int, path: str, stop: threading.Event) -> None:
    while not stop.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        connection.getresponse().read()
        connection.close()


@contextmanager
def in_background(work: Callable[[threading.Event], None]):
    """Runs `work` beside the block, on the generator's core; what went wrong there goes wrong here."""
    stop, faults = threading.Event(), []
    cpus = choose_cpus(1).load

    def guarded() -> None:
        os.sched_setaffinity(0, cpus)  # of this thread alone
        try:
            work(stop)
        except Exception as fault:
            faults.append(fault)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if faults:
        raise BenchFault(f"beside the measured load: {faults[0]!r}")


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def render(promises: list[Promise], facts: list[tuple[str, str]]) -> str:
    text = ["# hallway by itself", "", *[f"- {name}: {value}" for name, value in facts], ""]
    head = ["", "promised", "measured: median (least–most)", ""]
    return "\n".join([*text, *markdown([head, *[promise.line() for promise in promises]])]) + "\n"


def run(arguments: argparse.Namespace) -> int:
    python = peers.install(arguments.venv.absolute())
    tools = options.tools_of(arguments, python)
    facts = machine.gather([BY_KEY["hallway"].version(tools), *peers.versions(tools)])
    facts.append(("rounds", f"{arguments.rounds}, each measured run {arguments.seconds:g} s; hallway on one core"))
    spans = Spans(arguments.seconds, arguments.warmup)
    promises: list[Promise] = []
    with tempfile.TemporaryDirectory(prefix="hallway-bench-") as scratch:
        stage = Stage(tools, arguments.rounds, spans, Path(scratch), itertools.count(1))
        for trial in (start, idle, edge_killed, sleeper, slow_clients):
            kept = trial(stage)
            for promise in kept:
                say(": ".join(promise.line()[::2]))
            promises += kept
    text = render(promises, facts)
    options.publish(text, arguments)
    return 0 if all(promise.is_kept for promise in promises) else 1


if __name__ == "__main__":
    parser = options.parser("Measures hallway by itself, under what happens to servers.", spans=(5, 4.0, 1.0))
    sys.exit(options.exit_code(lambda: run(options.read(parser))))
