"""What both reports of the bench are asked with.

In:     -
Out:    a parser with the options that they share.
Actors: none.
Never:  has an option two defaults.
"""

import argparse
from pathlib import Path

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
