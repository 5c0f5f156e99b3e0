"""What the edge rows showed, as Markdown.

In:     the figures of every round; facts of the machine.
Out:    the bars with what was measured; one table for each row.
Actors: none.
Never:  is a bar called kept when it could not be measured, or when one of the row's answers was wrong.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

from candidates import AGAINST, AGAINST_TITLE, takes_part
from edge_rows import Bar, EdgeRow
from edge_servers import CANDIDATES
from figures import compared, interval, ratios, spread
from report import OWN, markdown

# Without what is in brackets: rows of the proxy have the same peers for something else.
TITLES = {candidate.key: candidate.title.partition(" (")[0] for candidate in CANDIDATES}
TITLES[AGAINST] = AGAINST_TITLE


@dataclass
class Sheet:
    """All that was measured for one row: the figures of a candidate by round."""

    edge_row: EdgeRow
    runs: dict[str, dict[int, tuple[float, ...]]] = field(default_factory=lambda: defaultdict(dict))
    faults: list[str] = field(default_factory=list)

    def figure(self, key: str, number: int) -> dict[int, float]:
        return {round_: figures[number] for round_, figures in self.runs[key].items()}

    def judged(self, bar: Bar) -> list[float]:
        """What a bar is compared with, round by round."""
        own = self.figure(OWN, 0)
        if bar.peer is None:
            return list(own.values())
        return ratios(own, self.figure(bar.peer, 0))

    @property
    def is_kept(self) -> bool:
        return all(self.verdict(bar).startswith("kept") for bar in self.edge_row.bars)

    def verdict(self, bar: Bar) -> str:
        judged = self.judged(bar)
        if self.faults or not judged:
            return "**failed**"
        sure = interval(judged)
        unsure = ", within the error" if sure and sure[0] <= bar.most <= sure[1] else ""
        return ("kept" if median(judged) <= bar.most else "**broken**") + unsure


def shown(sheet: Sheet, bar: Bar) -> str:
    judged = sheet.judged(bar)
    return spread(judged, 2) if bar.peer is None else compared(judged)


def bar_line(sheet: Sheet, bar: Bar) -> list[str]:
    figure, _ = sheet.edge_row.figures[0]
    promised = f"{figure} at most {bar.most:g}{f' of {TITLES[bar.peer]}' if bar.peer else ''}"
    return [sheet.edge_row.row.title, promised, shown(sheet, bar), sheet.verdict(bar)]


def line_of(sheet: Sheet, key: str) -> list[str]:
    cells = [
        spread(list(sheet.figure(key, number).values()), digits)
        for number, (_, digits) in enumerate(sheet.edge_row.figures)
    ]
    beside = "" if key == OWN else compared(ratios(sheet.figure(OWN, 0), sheet.figure(key, 0)))
    return [TITLES[key], cells[0], beside, *cells[1:]]


def table(sheet: Sheet, keys: list[str]) -> list[str]:
    first, *others = (name for name, _ in sheet.edge_row.figures)
    lines = [line_of(sheet, key) for key in keys if takes_part(key, sheet.edge_row.row)]
    text = ["", f"## {sheet.edge_row.row.title}", "", sheet.edge_row.how, ""]
    text += markdown([["", first, "hallway ÷ it", *others], *lines])
    return text + [line for fault in sheet.faults for line in ("", f"**Failed:** {fault}")]


def render(sheets: list[Sheet], keys: list[str], facts: list[tuple[str, str]], title: str) -> str:
    text = [title, "", *[f"- {name}: {value}" for name, value in facts], ""]
    head = ["", "promised", "measured: median ± its error (quartiles)", ""]
    text += markdown([head, *[bar_line(sheet, bar) for sheet in sheets for bar in sheet.edge_row.bars]])
    for sheet in sheets:
        text += table(sheet, keys)
    return "\n".join(text) + "\n"
