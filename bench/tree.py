"""The processes of a server, as the kernel accounts for them.

In:     the first process of the server.
Out:    all of its processes, the CPU time they and their ended children used, the memory they hold.
Actors: /proc.
Never:  is CPU time of an ended child lost: its parent's account holds it once the parent has waited for it.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat."""

    pid: int
    ppid: int
    group: int
    session: int
    cpu_ns: int  # user and system, of all its threads (ended ones too) and of children it has waited for
    began: int  # in ticks since boot; with the pid it names a process for ever
    ended: bool  # its parent has not waited for it yet


@dataclass(frozen=True)
class Memory:
    """What a tree holds, in KiB."""

    pss: int  # shared pages divided by those who share them
    peak: int  # the sum of every process's own peak; shared pages count for each
    exact: bool  # False: a PSS was not readable and RSS stands for it


@dataclass
class Tree:
    """The processes below one, whatever groups and sessions they moved to."""

    root: int
    seen: set[tuple[int, int]] = field(default_factory=set)

    def processes(self) -> list[Process]:
        everyone = read_processes()
        found = {
            process.pid
            for process in everyone
            if self.root in (process.pid, process.group, process.session)
            or (process.pid, process.began) in self.seen
        }
        grew = True
        while grew:
            below = {process.pid for process in everyone if process.ppid in found} - found
            found |= below
            grew = bool(below)
        tree = [process for process in everyone if process.pid in found and process.pid != os.getpid()]
        self.seen |= {(process.pid, process.began) for process in tree}
        return tree

    def memory(self) -> Memory:
        pss, peak, exact = 0, 0, True
        for process in self.processes():
            status = read_kib(process.pid, "status", ("VmHWM:", "VmRSS:"))
            rollup = read_kib(process.pid, "smaps_rollup", ("Pss:",))
            pss += rollup.get("Pss:", status.get("VmRSS:", 0))
            peak += status.get("VmHWM:", 0)
            exact = exact and ("Pss:" in rollup or not status)
        return Memory(pss, peak, exact)

    def stray_tasks(self, cpus: set[int]) -> list[str]:
        """Threads that may run outside these CPUs, with their names."""
        strays = []
        for process in self.processes():
            for task in list_tasks(process.pid):
                try:
                    allowed = os.sched_getaffinity(task)
                except OSError:
                    continue
                if not allowed <= cpus:
                    strays.append(f"{process.pid}/{task} on {sorted(allowed)}")
        return strays


def cpu_seconds(processes: list[Process]) -> float:
    return sum(process.cpu_ns for process in processes) / 1e9


def own_cpu_ns(pid: int, ticks: int) -> int:
    """By the clock of the process, which is exact; the ticks of its account are 10 ms long. An ended one has ticks only."""
    try:
        # CPUCLOCK_SCHED of another process: what clock_getcpuclockid(3) returns.
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return ticks * NS_PER_TICK


def read_processes() -> list[Process]:
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            text = Path("/proc", name, "stat").read_text(errors="replace")
        except OSError:
            continue  # ended meanwhile
        fields = text.rpartition(")")[2].split()  # a process may have spaces and brackets in its name
        ppid, group, session = (int(fields[index]) for index in (1, 2, 3))
        own, children = (int(fields[index]) + int(fields[index + 1]) for index in (11, 13))
        cpu_ns = own_cpu_ns(int(name), own) + children * NS_PER_TICK
        found.append(Process(int(name), ppid, group, session, cpu_ns, int(fields[19]), fields[0] == "Z"))
    return found


def list_tasks(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def read_kib(pid: int, file: str, names: tuple[str, ...]) -> dict[str, int]:
    """Lines such as `VmHWM: 1234 kB`; nothing where the file may not be read."""
    try:
        lines = Path("/proc", str(pid), file).read_text(errors="replace").splitlines()
    except OSError:
        return {}
    fields = [line.split() for line in lines]
    return {words[0]: int(words[1]) for words in fields if words and words[0] in names}
