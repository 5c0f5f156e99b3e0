"""Runs the benchmark: hallway beside its peers, round by round.

In:     a command line; rows.py and candidates.py.
Out:    Markdown on stdout and in `--out`; progress on stderr; exit code 1 when one answer was wrong.
Actors: the servers, one at a time; the load generator.
Never:  is a candidate measured for long and then the next: each round visits all of them in turn.
"""

import sys

sys.dont_write_bytecode = True  # before the imports: a bench leaves nothing beside its sources

import argparse
import math
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import machine
import options
import peers
import report
from candidates import BY_KEY, CANDIDATES, Candidate, Place, Tools, takes_part, with_against
from faults import BenchFault
from figures import visits
from measure import Spans, run_closed, run_open
from procs import Cpus, Server, choose_cpus, free_port, start_pinned
from report import Sheet
from rows import ROWS, Row, letters

# Above this share of what a server can do at most, its latency is the length of its queue.
CAPACITY_SHARE_MAX = 0.9
LIMIT_SECONDS = 0.5


@dataclass
class Bench:
    """One call of this program."""

    tools: Tools
    rounds: int
    spans: Spans
    rows: list[Row]
    candidates: list[Candidate]
    scratch: Path
    runs: int = 0

    def members(self, row: Row) -> list[Candidate]:
        return [candidate for candidate in self.candidates if takes_part(candidate.key, row)]

    @contextmanager
    def serve(self, row: Row, candidate: Candidate):
        self.runs += 1
        scratch = self.scratch / f"{self.runs}-{candidate.key}"
        scratch.mkdir()
        (scratch / "files").mkdir()
        for name, length in row.files:
            (scratch / "files" / name).write_bytes(letters(length))
        place = Place(self.tools, row, free_port(), scratch)
        with Server(candidate, place, choose_cpus(row.server_cpus, row.layout)) as server:
            yield server

    def measure(self, row: Row) -> Sheet:
        """All closed rounds, then all open ones: their pace comes from what the closed ones showed."""
        sheet = Sheet(row)
        for round_ in range(open_rounds(self.rounds)):
            self.measure_limit(sheet, round_)
        for round_, candidate in visits(self.rounds, self.members(row)):
            self.measure_closed(sheet, candidate, round_)
        sheet.open_rate = pace_of(sheet)
        for round_, candidate in visits(open_rounds(self.rounds) if sheet.open_rate else 0, self.members(row)):
            self.measure_open(sheet, candidate, round_)
        return sheet

    def measure_closed(self, sheet: Sheet, candidate: Candidate, round_: int) -> None:
        with self.serve(sheet.row, candidate) as server:
            try:
                run = run_closed(server, self.spans)
            except BenchFault as fault:
                return fail(sheet, fault)
        sheet.closed[candidate.key][round_] = run
        say(sheet.row, round_, f"{candidate.key}: {run.cpu_us:.1f} us of CPU a request, {run.rate:,.0f} requests/s")

    def measure_open(self, sheet: Sheet, candidate: Candidate, round_: int) -> None:
        if sheet.open_rate > CAPACITY_SHARE_MAX * sheet.capacity(candidate.key):
            sheet.over_capacity.add(candidate.key)
            return
        with self.serve(sheet.row, candidate) as server:
            try:
                run = run_open(server, sheet.open_rate, open_spans(self.spans))
            except BenchFault as fault:
                return fail(sheet, fault)
        sheet.open[candidate.key][round_] = run
        say(sheet.row, round_, f"{candidate.key}: p50 {run.p50:.0f} us, p99 {run.p99:.0f} us")

    def measure_limit(self, sheet: Sheet, round_: int) -> None:
        if not sheet.row.app or sheet.row.files:
            return
        command = [str(self.tools.python), str(Path(__file__).with_name("limit.py")), sheet.row.key, str(LIMIT_SECONDS)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        child = start_pinned(command, choose_cpus(1).server, scratch=self.scratch, **pipes)
        out, said = child.communicate()
        if child.returncode != 0:
            raise BenchFault(f"{sheet.row.title}: the app called alone failed", said)
        sheet.limit_us.append(float(out))
        say(sheet.row, round_, f"the app alone: {float(out):.2f} us")


def open_rounds(rounds: int) -> int:
    """Latencies differ by more than the CPU time, and one percent of the requests need time to show."""
    return math.ceil(rounds / 3)


def open_spans(spans: Spans) -> Spans:
    return Spans(3 * spans.measured, spans.warmup)


def pace_of(sheet: Sheet) -> float:
    """Half of what the slowest of the row's pace makers can do; nothing when none of them was measured."""
    capacities = [sheet.capacity(key) for key in sheet.row.paced_by if sheet.closed[key]]
    return min(capacities, default=0.0) / 2


def fail(sheet: Sheet, fault: BenchFault) -> None:
    """A run that failed has no figure and makes the exit code 1; the others go on, to show where they stand."""
    sheet.faults.append(fault.text)
    print(f"bench: FAILED: {fault.show()}", file=sys.stderr, flush=True)


def say(row: Row, round_: int, text: str) -> None:
    print(f"bench: {row.key}, round {round_ + 1}: {text}", file=sys.stderr, flush=True)


def read_arguments() -> argparse.Namespace:
    parser = options.parser("Measures hallway beside its peers.")
    options.add_choices(parser, [row.key for row in ROWS], list(BY_KEY))
    return options.read(parser)


def notes_of(bench: Bench, sheets: list[Sheet], cpus: Cpus) -> list[str]:
    where = f"servers on CPU {sorted(cpus.server)}, load generator on CPU {sorted(cpus.load)}"
    notes = [where.replace("[", "").replace("]", "")]
    if cpus.shared:
        notes.append("server and load generator share a CPU: latencies are not to be trusted")
    runs = [run for sheet in sheets for rounds in sheet.closed.values() for run in rounds.values()]
    notes += sorted({note for run in runs for note in run.notes})
    if not all(run.memory.exact for run in runs):
        notes.append("~ where the kernel does not let us read a PSS, RSS stands for it")
    return notes


def run(arguments: argparse.Namespace) -> int:
    python = peers.install(arguments.venv.absolute())
    tools = options.tools_of(arguments, python)
    rows = [row for row in ROWS if arguments.rows is None or row.key in arguments.rows]
    members = [one for one in CANDIDATES if arguments.candidates is None or one.key in arguments.candidates]
    members = with_against(members, tools)
    spans = Spans(arguments.seconds, arguments.warmup)
    facts = machine.gather([*(one.version(tools) for one in members), *peers.versions(tools)])
    longer = f"; latency {open_rounds(arguments.rounds)}, each {open_spans(spans).measured:g} s"
    facts.append(("rounds", f"{arguments.rounds}, each {spans.measured:g} s after {spans.warmup:g} s of warm-up{longer}"))
    cpus = choose_cpus(max(row.server_cpus for row in rows))
    if cpus.shared:
        print("bench: note: too few cores: server and load generator share one", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="hallway-bench-") as scratch:
        bench = Bench(tools, arguments.rounds, spans, rows, members, Path(scratch))
        sheets = [bench.measure(row) for row in rows]
    text = report.render(sheets, [one.key for one in members], facts, notes_of(bench, sheets, cpus))
    options.publish(text, arguments)
    return 1 if any(sheet.faults for sheet in sheets) else 0


if __name__ == "__main__":
    sys.exit(options.exit_code(lambda: run(read_arguments())))
