"""Figures of many rounds, said in few: medians, quartiles, and how sure a median is.

In:     the figures of each round.
Out:    text for a cell of a table.
Actors: none.
Never:  is a ratio made of figures of two rounds: what disturbed a round disturbed both sides of it.
"""

from collections.abc import Iterator
from math import comb
from statistics import median, quantiles
from typing import TypeVar

One = TypeVar("One")
# How sure: 19 of 20 intervals contain the true median.
UNSURE = 0.05


def visits(rounds: int, members: list[One]) -> Iterator[tuple[int, One]]:
    """Every candidate in every round; each second round in the opposite order, so that a machine which slowly
    becomes faster or slower does not favour those who come first."""
    for round_ in range(rounds):
        yield from ((round_, one) for one in (members if round_ % 2 == 0 else reversed(members)))


def spread(values: list[float], digits: int = 1) -> str:
    """The median, and in brackets the quartiles: half of the rounds lie between them."""
    if not values:
        return "–"
    middle = f"{median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{middle} ({low:,.{digits}f}–{high:,.{digits}f})"


def reach(values: list[float], digits: int = 1) -> str:
    """The median, and in brackets the least and the most, for figures of a few rounds."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def ratios(own: dict[int, float], other: dict[int, float]) -> list[float]:
    """Round by round."""
    return [own[round_] / other[round_] for round_ in sorted(own.keys() & other.keys()) if other[round_]]


def interval(values: list[float]) -> tuple[float, float] | None:
    """Where the true median is, 19 times of 20, whatever the distribution; nothing when there are too few values."""
    count, rank, below = len(values), 0, 0.0
    # The true median is below the value of rank k (from 0) when at most k of all fall below it.
    while rank < count // 2 and 2 * (below + comb(count, rank) / 2**count) <= UNSURE:
        below += comb(count, rank) / 2**count
        rank += 1
    if rank == 0:
        return None
    ordered = sorted(values)
    return ordered[rank - 1], ordered[count - rank]


def error(values: list[float]) -> float | None:
    """Half of that interval, as a share of the median."""
    found = interval(values)
    return None if found is None else (found[1] - found[0]) / 2 / median(values)


def compared(values: list[float]) -> str:
    """Ratios: the median, how sure it is, the quartiles."""
    share = error(values)
    text = spread(values, 2)
    if share is None:
        return text
    middle, _, quarters = text.partition(" ")
    return f"{middle} ±{share:.1%} {quarters}"
