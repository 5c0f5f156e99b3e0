"""What the edge rows showed, as Markdown.

In:     the figures of every round; facts of the machine.
Out:    the bars with what was measured; one table for each row.
Actors: none.
Never:  is a bar called kept when it could not be measured, or when one of the row's answers was wrong.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

from edge_rows import EdgeRow
from edge_servers import CANDIDATES
from report import OWN, markdown, ratio, spread

TITLES = {candidate.key: candidate.title for candidate in CANDIDATES}
PEER = "nginx"


@dataclass
class Sheet:
    """All that was measured for one row: the figures of a candidate by round."""

    edge_row: EdgeRow
    runs: dict[str, dict[int, tuple[float, ...]]] = field(default_factory=lambda: defaultdict(dict))
    faults: list[str] = field(default_factory=list)

    def figure(self, key: str, number: int) -> dict[int, float]:
        return {round_: figures[number] for round_, figures in self.runs[key].items()}

    def judged(self) -> list[float]:
        """What the bar is compared with, round by round."""
        own, peer = self.figure(OWN, 0), self.figure(PEER, 0)
        if not self.edge_row.bar.share_of_nginx:
            return list(own.values())
        return [own[round_] / peer[round_] for round_ in sorted(own.keys() & peer.keys())]

    @property
    def is_kept(self) -> bool:
        return self.verdict == "kept"

    @property
    def verdict(self) -> str:
        judged = self.judged()
        if self.faults or not judged:
            return "**failed**"
        return "kept" if median(judged) <= self.edge_row.bar.most else "**broken**"


def bar_line(sheet: Sheet) -> list[str]:
    bar, (figure, _) = sheet.edge_row.bar, sheet.edge_row.figures[0]
    promised = f"{figure} at most {bar.most:g}{' of nginx' if bar.share_of_nginx else ''}"
    return [sheet.edge_row.row.title, promised, spread(sheet.judged(), 2), sheet.verdict]


def line_of(sheet: Sheet, key: str) -> list[str]:
    cells = [
        spread(list(sheet.figure(key, number).values()), digits)
        for number, (_, digits) in enumerate(sheet.edge_row.figures)
    ]
    beside = "" if key == OWN else ratio(sheet.figure(OWN, 0), sheet.figure(key, 0))
    return [TITLES[key], cells[0], beside, *cells[1:]]


def table(sheet: Sheet, keys: list[str]) -> list[str]:
    first, *others = (name for name, _ in sheet.edge_row.figures)
    lines = [line_of(sheet, key) for key in keys if key in sheet.edge_row.row.candidates]
    text = ["", f"## {sheet.edge_row.row.title}", "", sheet.edge_row.how, ""]
    text += markdown([["", first, "hallway ÷ it", *others], *lines])
    return text + [line for fault in sheet.faults for line in ("", f"**Failed:** {fault}")]


def render(sheets: list[Sheet], keys: list[str], facts: list[tuple[str, str]]) -> str:
    text = ["# The edge beside its peers", "", *[f"- {name}: {value}" for name, value in facts], ""]
    head = ["", "promised", "measured: median (least–most)", ""]
    text += markdown([head, *[bar_line(sheet) for sheet in sheets]])
    for sheet in sheets:
        text += table(sheet, keys)
    return "\n".join(text) + "\n"
