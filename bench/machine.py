"""Where and with what was measured.

In:     /proc, the programs.
Out:    the facts that a reader needs to judge figures: CPU, kernel, versions, date.
Actors: the programs, asked for their versions.
Never:  does a path of this machine, a user or a host name get into a report.
"""

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from faults import BenchFault

ROOT = Path(__file__).resolve().parent.parent


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def first_line(command: list[str]) -> str:
    """What a program says first; for git the empty text where there is no repository."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except OSError as fault:
        raise BenchFault(f"{command[0]}: {fault.strerror}") from fault
    return (ended.stdout or ended.stderr).strip().partition("\n")[0] if ended.returncode == 0 else ""


def revision() -> str:
    try:
        head = first_line(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"])
        changed = first_line(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", ".", ":!bench/results"])
    except BenchFault:
        return "unknown"
    return f"{head or 'unknown'}{' and changes' if changed else ''}"


def gather(version_commands: list[list[str]]) -> list[tuple[str, str]]:
    versions = [first_line(command) for command in version_commands]
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        ("date", datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("CPU", f"{cpu_model()}, {os.cpu_count()} cores"),
        ("kernel", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("load before the start", f"{load} (1, 5, 15 minutes)"),
        ("source", f"revision {revision()}"),
        ("versions", ", ".join(versions)),
    ]
