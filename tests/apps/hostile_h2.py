"""In:     the port of a server that speaks HTTP/2 here: in the clear, or with --tls and its authority encrypted.
        It has /ok ("ok"), /medium.bin (60,000 bytes), /large.bin (10 MiB) and hostile_app.py at /app/*, and waits
        for 2 s at most (head_timeout, body_timeout, write_timeout).
Out:    a line for each case: ok, or what was seen and what RFC 9113 or 7541 demands; exit code 1 if any failed.
Actors: one client, with a fresh connection for each case.
Never:  does a case wait without a limit, or see what another left behind.
"""

import argparse
import sys
import time
from pathlib import Path

from hyperframe.exceptions import InvalidFrameError

from hostile import floods, frame_faults, head_faults, plain_use, slowness
from hostile.peer import Place
from hostile.verdict import Case, Story, Wrong

GROUPS = {
    "use": plain_use.CASES,
    "frames": frame_faults.CASES,
    "heads": head_faults.CASES,
    "floods": floods.CASES,
    "slowness": slowness.CASES,
}

# What the h2 crate has otherwise, and why it may. One that is mended must go from here.
KNOWN = {
    "3.4 no SETTINGS behind the preface": "they are taken for the defaults that they are without it",
    "HPACK 6.3 table size within CONTINUATION": "it is obeyed there, as at the beginning",
}


def demand_of(case: Case | Story) -> str:
    first, second, *_ = case.name.split()
    if first == "HPACK":
        return f"RFC 7541, {second} demands {case.demand}"
    return f"RFC 9113, {first} demands {case.demand}"


def outcome(case: Case | Story, place: Place) -> tuple[bool, str]:
    """Whether it is as demanded, and what was seen."""
    try:
        return True, case.run(place)
    except Wrong as wrong:
        return False, str(wrong)
    except (OSError, InvalidFrameError) as fault:
        return False, repr(fault)


def run(case: Case | Story, place: Place, tells: bool) -> bool:
    begun = time.monotonic()
    is_right, seen = outcome(case, place)
    known = KNOWN.get(case.name)
    if known and is_right:
        line = f"FAILED {case.name}: {seen}; it is no longer to be called known"
    elif known:
        line = f"known {case.name}: {seen}; {known}"
    elif is_right:
        line = f"ok {case.name}" + (f": {seen} ({time.monotonic() - begun:.2f} s)" if tells else "")
    else:
        line = f"FAILED {case.name}: {seen}; {demand_of(case)}"
    print(line, flush=True)
    return is_right != bool(known)


def main() -> int:
    asked = argparse.ArgumentParser(description="A hostile client of HTTP/2.")
    asked.add_argument("port", type=int)
    asked.add_argument("--tls", type=Path, metavar="CAFILE", help="the server's authority")
    asked.add_argument("--edge-pid", type=int, help="the server's process, whose memory is looked at")
    asked.add_argument("--only", default="", help="cases whose group or name has this")
    asked.add_argument("-v", action="store_true", help="say what was seen, and how long it took")
    asked = asked.parse_args()
    place = Place(asked.port, asked.tls, asked.edge_pid)
    cases = [case for group, cases in GROUPS.items() for case in cases if asked.only in f"{group} {case.name}"]
    failed = [case.name for case in cases if not run(case, place, asked.v)]
    print(f"{len(failed)} of {len(cases)} cases failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
