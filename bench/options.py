"""What both reports of the bench are asked with.

In:     -
Out:    a parser with the options that they share; the report where they say; the exit code.
Actors: none.
Never:  has an option two defaults.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from faults import BenchFault
from machine import ROOT


def parser(description: str) -> argparse.ArgumentParser:
    target = ROOT / "target"
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--venv", type=Path, required=True, metavar="DIR", help="made and filled when it is not there")
    options.add_argument("--hallway", type=Path, default=target / "release" / "hallway", metavar="PATH")
    options.add_argument("--load", type=Path, default=target / "load" / "release" / "hallway-load", metavar="PATH")
    options.add_argument("--rounds", type=int, default=5, metavar="N")
    options.add_argument("--seconds", type=float, default=4, metavar="S", help="of each measured run")
    options.add_argument("--warmup", type=float, default=1, metavar="S", help="before each measured run")
    options.add_argument("--out", type=Path, metavar="FILE", help="where the report goes, besides stdout")
    return options


def publish(text: str, arguments: argparse.Namespace) -> None:
    """Writes a report to stdout, and to the file that was named."""
    print(text, end="")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text)


def exit_code(run: Callable[[], int]) -> int:
    """What `run` returns; 1 when it has no figure to show."""
    try:
        return run()
    except BenchFault as fault:
        print(f"bench: FAILED: {fault.show()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
