"""A server's life: started on its CPUs, known to answer rightly, ended.

In:     a candidate, a row, the CPUs.
Out:    a server that gave the right answer, its process tree, its log.
Actors: the server, started as a child in a session of its own.
Never:  does a server outlive its run, or start with settings from this shell's environment.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from candidates import AGAINST, Candidate, Place
from faults import BenchFault
from rows import Request
from tree import Tree

START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 15


@dataclass(frozen=True)
class Cpus:
    """Who runs where."""

    server: frozenset[int]
    load: frozenset[int]

    @property
    def shared(self) -> bool:
        return bool(self.server & self.load)


def choose_cpus(server_cpus: int, layout: str = "one") -> Cpus:
    """The first CPUs are the server's, the one behind them is the generator's; with too few they share the last."""
    allowed = sorted(os.sched_getaffinity(0))
    if layout == "free":
        return Cpus(frozenset(allowed), frozenset(allowed))
    server = allowed[:server_cpus]
    rest = allowed[len(server) :] or allowed[-1:]
    return Cpus(frozenset(server), frozenset(rest[:1]))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_pinned(command: list[str], cpus: frozenset[int], **options) -> subprocess.Popen:
    """Starts a program that, with all its children, runs on these CPUs and with an environment that says nothing."""
    scratch = str(options.pop("scratch"))
    environment = {"PATH": os.defpath, "HOME": scratch, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        command,
        cwd=scratch,
        env=environment,
        stdin=subprocess.DEVNULL,
        # Of the same session: sessions share a CPU as such (CONFIG_SCHED_AUTOGROUP), and a generator that gives its turn
        # away would give it to its own session only.
        process_group=0,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        **options,
    )


class Server:
    """One running server. To be used in a `with`: it ends with the block."""

    def __init__(self, candidate: Candidate, place: Place, cpus: Cpus):
        self.candidate = candidate
        self.place = place
        self.cpus = cpus
        self.log_path = place.scratch / "log"

    def __enter__(self) -> "Server":
        with self.log_path.open("wb") as log:
            self.child = start_pinned(
                self.candidate.command(self.place),
                self.cpus.server,
                scratch=self.place.scratch,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.tree = Tree(self.child.pid)
        try:
            self.wait_until_right()
            self.settle_layout()
            self.assert_pinned()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.place.port}"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def fault(self, text: str) -> BenchFault:
        return BenchFault(f"{self.candidate.title}, {self.place.row.title}: {text}", self.log())

    def wait_until_right(self) -> None:
        """Asks until the answer is right. What came last is the reason when it never is."""
        deadline = time.monotonic() + START_SECONDS_MAX
        last = "no answer"
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise self.fault(f"it ended with {self.child.returncode} before it served")
            wrong = ask(self.place.port, self.place.row.request)
            if wrong is None:
                return
            last = wrong
            time.sleep(0.05)
        raise self.fault(f"no right answer within {START_SECONDS_MAX} s: {last}")

    def settle_layout(self) -> None:
        """A core each: what calls the app on the last core, the rest on the first. Only hallway has two kinds."""
        if self.place.row.layout != "each" or self.candidate.key not in ("hallway", AGAINST):
            return
        first, *_, last = sorted(self.cpus.server)
        for process in self.tree.processes():
            is_worker = b"hallway: app" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {last if is_worker else first})

    def assert_pinned(self) -> None:
        strays = self.tree.stray_tasks(set(self.cpus.server))
        if strays:
            raise self.fault(f"it left its CPUs: {', '.join(strays)}")

    def stop(self) -> None:
        """Asks the first process to end, then ends by pid what is left of the tree."""
        self.tree.processes()
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            print_note(f"{self.candidate.title} did not end within {STOP_SECONDS_MAX} s; it is killed")
            self.child.kill()
            self.child.wait()
        time.sleep(0.1)  # its children may end a moment later
        for process in (process for process in self.tree.processes() if not process.ended):
            print_note(f"{self.candidate.title} left process {process.pid}; it is killed")
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def print_note(text: str) -> None:
    print(f"bench: note: {text}", file=sys.stderr, flush=True)


def ask(port: int, request: Request) -> str | None:
    """Sends the row's request once. Nothing when the answer is right; else what was wrong with it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        body = request.body if request.method != "GET" else None
        connection.request(request.method, request.path, body, {"Connection": "close"})
        answer = connection.getresponse()
        got = answer.read()
    except (OSError, http.client.HTTPException) as fault:
        return repr(fault)
    finally:
        connection.close()
    if answer.status == 200 and got == request.answer:
        return None
    return f"status {answer.status}, {len(got)} bytes: {got[:200]!r}"
