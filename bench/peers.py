"""The venv with the peers and frameworks.

In:     a directory; requirements.txt.
Out:    the interpreter of a venv that holds exactly those versions.
Actors: venv, pip and the package index it is set up for.
Never:  is a version measured that requirements.txt does not name.
"""

import subprocess
import sys
from pathlib import Path

from candidates import Tools, package_version
from faults import BenchFault

REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"


def install(venv: Path) -> Path:
    """Makes the venv when there is none, and fills it when requirements.txt has changed since."""
    python = venv / "bin" / "python"
    stamp = venv / "bench-requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if not python.exists():
        run([sys.executable, "-m", "venv", str(venv)])
    if not stamp.exists() or stamp.read_text() != wanted:
        run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)])
        stamp.write_text(wanted)
    return python


def versions(tools: Tools) -> list[list[str]]:
    """The commands that say what the apps run on."""
    return [package_version("flask")(tools), [str(tools.python), "--version"]]


def run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        raise BenchFault(f"{' '.join(command)} ended with {ended.returncode}", ended.stdout + ended.stderr)
