"""What the runs showed, as Markdown.

In:     the figures of every round; facts of the machine.
Out:    one table for each row: medians and quartiles, hallway beside each peer.
Actors: none.
Never:  is a median shown without its spread and the number of rounds behind it.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

from candidates import AGAINST, AGAINST_TITLE, BY_KEY, takes_part
from figures import compared, ratios, spread
from measure import Closed, Open
from rows import LAYOUTS, Row

OWN = "hallway"
HEAD = ["", "CPU us/request", "hallway ÷ it", "requests/s"]
HEAD += ["p50 us", "p99 us", "p99: hallway ÷ it", "PSS MiB", "peak MiB"]


@dataclass
class Sheet:
    """All that was measured for one row. The inner keys are rounds: figures of one round belong together."""

    row: Row
    closed: dict[str, dict[int, Closed]] = field(default_factory=lambda: defaultdict(dict))
    open: dict[str, dict[int, Open]] = field(default_factory=lambda: defaultdict(dict))
    limit_us: list[float] = field(default_factory=list)
    open_rate: float = 0.0
    faults: list[str] = field(default_factory=list)
    over_capacity: set[str] = field(default_factory=set)

    def capacity(self, key: str) -> float:
        return median(run.rate for run in self.closed[key].values()) if self.closed[key] else 0.0


def pick(runs: dict, name: str) -> dict[int, float]:
    return {round_: getattr(run, name) for round_, run in runs.items()}


def title_of(key: str) -> str:
    return BY_KEY[key].title if key != AGAINST else AGAINST_TITLE


def line_of(sheet: Sheet, key: str) -> list[str]:
    closed, latency = sheet.closed[key], sheet.open[key]
    runs = list(closed.values())
    own_closed, own_open = sheet.closed[OWN], sheet.open[OWN]
    mark = "" if all(run.memory.exact for run in runs) else "~"
    over = key in sheet.over_capacity
    pss = max((run.memory.pss for run in runs), default=0) / 1024
    peak = max((run.memory.peak for run in runs), default=0) / 1024
    return [
        title_of(key),
        spread([run.cpu_us for run in runs]),
        "" if key == OWN else compared(ratios(pick(own_closed, "cpu_us"), pick(closed, "cpu_us"))),
        spread([run.rate for run in runs], 0),
        "over capacity" if over else spread([run.p50 for run in latency.values()], 0),
        "over capacity" if over else spread([run.p99 for run in latency.values()], 0),
        "" if key == OWN else compared(ratios(pick(own_open, "p99"), pick(latency, "p99"))),
        f"{mark}{pss:.1f}" if runs else "–",
        f"{peak:.1f}" if runs else "–",
    ]


def table(sheet: Sheet, keys: list[str]) -> str:
    lines = [line_of(sheet, key) for key in keys]
    if sheet.limit_us:
        lines.append(["the app alone (the limit)", spread(sheet.limit_us), *[""] * (len(HEAD) - 2)])
    row = sheet.row
    text = [f"## {row.title}", ""]
    workers = "1 worker" if row.workers == 1 else f"{row.workers} workers"
    words = f"CPU, rate and memory: closed loop, {row.connections} connections, {workers}, {LAYOUTS[row.layout]}."
    if sheet.open_rate:
        words += f" Latency: open loop at {sheet.open_rate:,.0f} requests/s, {row.open_connections} connections."
    text += [words, "", *markdown([HEAD, *lines])]
    if sheet.faults:
        text += ["", *[f"**Failed:** {fault}" for fault in sheet.faults]]
    return "\n".join(text)


def markdown(lines: list[list[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    rows = ["| " + " | ".join(cells) + " |" for cells in padded]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [rows[0], rule, *rows[1:]]


def render(sheets: list[Sheet], keys: list[str], facts: list[tuple[str, str]], notes: list[str]) -> str:
    text = ["# hallway beside its peers", ""]
    text += [f"- {name}: {value}" for name, value in facts]
    text += [f"- note: {note}" for note in notes]
    for sheet in sheets:
        text += ["", table(sheet, [key for key in keys if takes_part(key, sheet.row)])]
    return "\n".join(text) + "\n"
