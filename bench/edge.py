"""The edge beside nginx, HAProxy and Caddy: TLS, HTTP/2, new connections, large files, idle connections.

In:     a command line like that of run.py; edge_rows.py and edge_servers.py.
Out:    Markdown on stdout and in `--out`; progress on stderr; exit code 1 when a bar is broken or an answer was wrong.
Actors: the servers, one at a time; the load generators.
Never:  is a candidate measured for long and then the next: each round visits all of them in turn.
"""

import sys

sys.dont_write_bytecode = True  # before the imports: a bench leaves nothing beside its sources

import argparse
import itertools
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import machine
import options
from candidates import Candidate, Place, Tools, takes_part, with_against
from edge_report import Sheet, render
from edge_rows import ROWS, EdgeRow
from edge_servers import CANDIDATES, make_certificate
from faults import BenchFault
from figures import visits
from measure import Spans
from procs import Server, choose_cpus, free_port

KEYS = [candidate.key for candidate in CANDIDATES]
LOADS = [["h2load", "--version"], ["openssl", "version"]]


@dataclass
class Bench:
    """One call of this program."""

    tools: Tools
    rounds: int
    spans: Spans
    candidates: list[Candidate]
    scratch: Path
    numbers: itertools.count = field(default_factory=itertools.count)

    @contextmanager
    def serve(self, edge_row: EdgeRow, candidate: Candidate):
        row = edge_row.row
        scratch = self.scratch / f"{next(self.numbers)}-{candidate.key}"
        (scratch / "files").mkdir(parents=True)
        for name, _ in row.files:
            (scratch / "files" / name).write_bytes(row.request.answer)
        place = Place(self.tools, row, free_port(), scratch, make_certificate(scratch, free_port()))
        with Server(candidate, place, choose_cpus(1)) as server:
            yield server

    def measure(self, edge_row: EdgeRow) -> Sheet:
        sheet = Sheet(edge_row)
        members = [one for one in self.candidates if takes_part(one.key, edge_row.row)]
        spans = edge_row.spans(self.spans)
        for round_, candidate in visits(min(self.rounds, edge_row.rounds_max), members):
            try:
                with self.serve(edge_row, candidate) as server:
                    figures = edge_row.measure(server, spans)
            except BenchFault as fault:
                sheet.faults.append(fault.text)
                say(f"FAILED: {fault.show()}")
                continue
            sheet.runs[candidate.key][round_] = figures
            shown = zip(figures, edge_row.figures, strict=True)
            words = "; ".join(f"{name} {value:,.{digits}f}" for value, (name, digits) in shown)
            say(f"{edge_row.row.key}, round {round_ + 1}: {candidate.key}: {words}")
        return sheet


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def facts_of(arguments: argparse.Namespace, candidates: list[Candidate], tools: Tools) -> list[tuple[str, str]]:
    cpus = choose_cpus(1)
    where = f"servers on CPU {min(cpus.server)}, load generators on CPU {min(cpus.load)}"
    return [
        *machine.gather([*(one.version(tools) for one in candidates), *LOADS]),
        ("rounds", f"{arguments.rounds}, each {arguments.seconds:g} s after {arguments.warmup:g} s of warm-up"),
        ("where", f"{where}{', which is the same: nothing here is to be trusted' if cpus.shared else ''}"),
    ]


def run(arguments: argparse.Namespace) -> int:
    tools = options.tools_of(arguments)
    rows = [one for one in ROWS if arguments.rows is None or one.row.key in arguments.rows]
    members = [one for one in CANDIDATES if arguments.candidates is None or one.key in arguments.candidates]
    members = with_against(members, tools)
    facts = facts_of(arguments, members, tools)
    spans = Spans(arguments.seconds, arguments.warmup)
    with tempfile.TemporaryDirectory(prefix="hallway-bench-") as scratch:
        bench = Bench(tools, arguments.rounds, spans, members, Path(scratch))
        sheets = [bench.measure(row) for row in rows]
    options.publish(render(sheets, [one.key for one in members], facts, "# The edge beside its peers"), arguments)
    return 0 if all(sheet.is_kept for sheet in sheets) else 1


if __name__ == "__main__":
    parser = options.parser("Measures hallway's edge beside its peers.", wants_venv=False)
    options.add_choices(parser, [one.row.key for one in ROWS], KEYS)
    sys.exit(options.exit_code(lambda: run(options.read(parser))))
