"""What all reports of the bench are asked with.

In:     -
Out:    a parser with the options that they share; the report where they say; the exit code.
Actors: none.
Never:  has an option two defaults.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from candidates import Tools
from faults import BenchFault
from machine import ROOT


# Many and short: what disturbs a machine for a while disturbs whole rounds, and each round is one vote in the median.
MANY_ROUNDS = (21, 1.0, 0.4)


def parser(
    description: str, wants_venv: bool = True, spans: tuple[int, float, float] = MANY_ROUNDS
) -> argparse.ArgumentParser:
    rounds, seconds, warmup = spans
    target = ROOT / "target"
    options = argparse.ArgumentParser(description=description)
    if wants_venv:
        options.add_argument("--venv", type=Path, required=True, metavar="DIR", help="made and filled when it is not there")
    options.add_argument("--hallway", type=Path, default=target / "release" / "hallway", metavar="PATH")
    options.add_argument("--load", type=Path, default=target / "load" / "release" / "hallway-load", metavar="PATH")
    options.add_argument("--peers", type=Path, default=target / "peers", metavar="DIR", help="what debian.py filled")
    options.add_argument("--rounds", type=int, default=rounds, metavar="N")
    options.add_argument("--seconds", type=float, default=seconds, metavar="S", help="of each measured run")
    options.add_argument("--warmup", type=float, default=warmup, metavar="S", help="before each measured run")
    options.add_argument("--out", type=Path, metavar="FILE", help="where the report goes, besides stdout")
    return options


def add_choices(options: argparse.ArgumentParser, rows: list[str], candidates: list[str]) -> None:
    """For reports that can be made of a part, and beside another hallway."""
    options.add_argument("--against", type=Path, metavar="PATH", help="another hallway, measured in the same rounds")
    options.add_argument("--rows", type=names(rows), metavar="A,B", help="all when not given")
    options.add_argument("--candidates", type=names(candidates), metavar="A,B", help="all when not given")


def names(known: list[str]):
    def read(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}; there are {', '.join(known)}")
        return text.split(",")

    return read


def read(options: argparse.ArgumentParser) -> argparse.Namespace:
    arguments = options.parse_args()
    if arguments.rounds < 1 or arguments.seconds <= 0 or arguments.warmup <= 0:
        options.error("--rounds, --seconds and --warmup must be above 0")
    return arguments


def tools_of(arguments: argparse.Namespace, python: Path | None = None) -> Tools:
    """The programs, each of them there."""
    against = getattr(arguments, "against", None)
    for program in (arguments.hallway, arguments.load, against):
        if program is not None and not program.is_file():
            raise BenchFault(f"{program} is not there; build it first (bench/README.md says how)")
    return Tools(
        arguments.hallway.absolute(), arguments.load.absolute(), arguments.peers.absolute(), python,
        against.absolute() if against else None,
    )


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
