"""In:     the address of a server that has /ok ("ok"), /large.bin (10 MiB) and hostile_app.py at /app/*.
Out:    how long a client waited that asks every 50 ms, while slowhttptest holds hundreds of connections in each of
        its ways; exit code 1 if one answer was late or wrong.
Actors: slowhttptest, a child; one client that is well-behaved.
Never:  is it taken for a success when nobody was slow.
"""

import argparse
import csv
import http.client
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from hostile.machine import PATIENCE_SECONDS, Edge, Machine

# For so long the server may be at work for others, while somebody waits.
WORK_SECONDS_MAX = 0.5
PAUSE_SECONDS = 0.05

SECONDS = 15
CONNECTIONS = 400
RATE = 200
OPTIONS = ["-c", str(CONNECTIONS), "-r", str(RATE), "-l", str(SECONDS), "-p", "30", "-i", "1", "-g"]

# What slowhttptest does, and where.
WAYS = {
    "slow heads": ["-H", "-x", "24"],
    "slow bodies": ["-B", "-s", "8192", "-x", "10"],
    "many ranges": ["-R", "-a", "5", "-b", "2000"],
    "slow reading": ["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "3"],
}
PATHS = {"slow heads": "/ok", "slow bodies": "/app/", "many ranges": "/large.bin", "slow reading": "/large.bin"}

ASKED = {"/ok": b"ok", "/app/": b"0"}
MACHINE = Machine()


@dataclass
class Tally:
    """What the client that is well-behaved saw."""

    answers: int = 0
    worst_seconds: float = 0.0
    fault: str = ""

    def note(self, path: str, seconds: float, worked: float, fault: str) -> None:
        self.answers += 1
        self.worst_seconds = max(self.worst_seconds, seconds)
        fault = fault or MACHINE.judge(seconds, worked, WORK_SECONDS_MAX)
        if fault and not self.fault:
            self.fault = f"answer {self.answers}, of {path}, after {seconds * 1000:.0f} ms: {fault}"


def ask(server: SplitResult, context: ssl.SSLContext | None, path: str, edge: Edge) -> tuple[float, float, str]:
    """Asks on a fresh connection: how long it took, for how much of it the server was at work, and what was wrong."""
    begun, before, fault = time.monotonic(), edge.cpu_seconds(), ""
    if context:
        client = http.client.HTTPSConnection(server.hostname, server.port, timeout=PATIENCE_SECONDS, context=context)
    else:
        client = http.client.HTTPConnection(server.hostname, server.port, timeout=PATIENCE_SECONDS)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        body = answer.read()
        if (answer.status, body) != (200, ASKED[path]):
            fault = f"{answer.status} {body[:80]!r}"
    except (OSError, http.client.HTTPException) as error:
        fault = repr(error)
    finally:
        client.close()
    return time.monotonic() - begun, edge.cpu_seconds() - before, fault


def attack(way: str, server: SplitResult, scratch: Path) -> subprocess.Popen:
    url = f"{server.scheme}://{server.netloc}{PATHS[way]}"
    return subprocess.Popen(
        ["slowhttptest", *WAYS[way], *OPTIONS, "-o", str(scratch / "report"), "-u", url],
        stdin=subprocess.DEVNULL,
        stdout=(scratch / "output").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def ask_until_end(child: subprocess.Popen, server: SplitResult, context: ssl.SSLContext | None, edge: Edge) -> Tally:
    """Asks as long as the attack goes on, which is not for ever."""
    tally, until = Tally(), time.monotonic() + 10 * SECONDS
    paths = list(ASKED)
    while child.poll() is None:
        if time.monotonic() > until:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            tally.fault = tally.fault or f"slowhttptest went on for more than {10 * SECONDS} s"
        path = paths[tally.answers % len(paths)]
        tally.note(path, *ask(server, context, path, edge))
        time.sleep(PAUSE_SECONDS)
    return tally


def rows(report: Path) -> Iterator[dict[str, int]]:
    """The report of slowhttptest, second by second."""
    with report.open(newline="") as lines:
        for row in csv.DictReader(lines):
            yield {name: int(value) for name, value in row.items()}


def withstand(way: str, server: SplitResult, context: ssl.SSLContext | None, edge: Edge) -> str:
    """One way of being slow; what was wrong."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        begun = time.monotonic()
        tally = ask_until_end(attack(way, server, scratch), server, context, edge)
        took = time.monotonic() - begun
        report = scratch / "report.csv"
        if not report.exists():
            return (scratch / "output").read_text(errors="replace")
        seen = list(rows(report))
    slow = max(row["Connected"] for row in seen)
    told = f"{slow} connections at a time for {took:.0f} s; {tally.answers} answers within "
    print(f"{server.scheme}, {way}: {told}{tally.worst_seconds * 1000:.0f} ms", flush=True)
    if max(row["Connected"] + row["Closed"] for row in seen) < CONNECTIONS // 2:
        return f"only {slow} connections were slow"
    if not all(row["Service Available"] for row in seen):
        return "slowhttptest found the server unavailable"
    return tally.fault


def main() -> int:
    asked = argparse.ArgumentParser(description="Slow clients beside one that is not.")
    asked.add_argument("url", help="as http://127.0.0.1:8000")
    asked.add_argument("--authority", type=Path, metavar="CAFILE", help="the server's, for https")
    asked.add_argument("--edge-pid", type=int, metavar="PID", help="the process that serves")
    asked.add_argument("--only", choices=WAYS)
    asked = asked.parse_args()
    server = urlsplit(asked.url)
    context = ssl.create_default_context(cafile=asked.authority) if server.scheme == "https" else None
    failed = False
    for way in [asked.only] if asked.only else WAYS:
        fault = withstand(way, server, context, Edge(asked.edge_pid))
        if fault:
            print(f"FAILED {server.scheme}, {way}: {fault}", flush=True)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
