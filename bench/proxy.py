"""hallway as a reverse proxy beside nginx and HAProxy: plain, TLS and HTTP/2 in front, large bodies, WebSocket, latency.

In:     a command line like that of run.py; proxy_rows.py and proxy_servers.py.
Out:    Markdown on stdout and in `--out`; progress on stderr; exit code 1 when a bar is broken or an answer was wrong.
Actors: the servers, one at a time, before an upstream on the CPU of the load generators; the load generators.
Never:  is a candidate measured for long and then the next: each round visits all of them in turn.
"""

import sys

sys.dont_write_bytecode = True  # before the imports: a bench leaves nothing beside its sources

import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import options
from candidates import Candidate, Place, with_against
from edge import Bench, facts_of
from edge_report import render
from edge_servers import make_certificate
from measure import Spans
from procs import Server, choose_cpus, free_port, start_pinned
from proxy_rows import ROWS, ProxyRow
from proxy_servers import CANDIDATES

KEYS = [candidate.key for candidate in CANDIDATES]


class ProxyBench(Bench):
    """One call of this program."""

    @contextmanager
    def serve(self, row: ProxyRow, candidate: Candidate):
        scratch = self.scratch / f"{next(self.numbers)}-{candidate.key}"
        for folder in (scratch, scratch / "upstream"):
            (folder / "files").mkdir(parents=True, exist_ok=True)
        for name, _ in row.row.files:
            (scratch / "upstream" / "files" / name).write_bytes(row.row.request.answer)
        certificate = make_certificate(scratch, free_port())
        place = Place(self.tools, row.row, free_port(), scratch, certificate, upstream_port=free_port())
        behind = replace(place, scratch=scratch / "upstream", encrypted=replace(certificate, port=free_port()))
        cpus = choose_cpus(1)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        upstream = start_pinned(row.upstream(behind), cpus.load, scratch=behind.scratch, **quiet)
        try:
            with Server(candidate, place, cpus) as server:
                yield server
        finally:
            upstream.terminate()
            upstream.wait()


def run(arguments) -> int:
    tools = options.tools_of(arguments)
    rows = [one for one in ROWS if arguments.rows is None or one.row.key in arguments.rows]
    members = [one for one in CANDIDATES if arguments.candidates is None or one.key in arguments.candidates]
    members = with_against(members, tools)
    facts = facts_of(arguments, members, tools)
    spans = Spans(arguments.seconds, arguments.warmup)
    with tempfile.TemporaryDirectory(prefix="hallway-bench-") as scratch:
        bench = ProxyBench(tools, arguments.rounds, spans, members, Path(scratch))
        sheets = [bench.measure(row) for row in rows]
    title = "# hallway as a reverse proxy beside its peers"
    options.publish(render(sheets, [one.key for one in members], facts, title), arguments)
    return 0 if all(sheet.is_kept for sheet in sheets) else 1


if __name__ == "__main__":
    parser = options.parser("Measures hallway as a reverse proxy beside its peers.", wants_venv=False)
    options.add_choices(parser, [one.row.key for one in ROWS], KEYS)
    sys.exit(options.exit_code(lambda: run(options.read(parser))))
