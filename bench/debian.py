"""The servers of Debian's newest: fetched, unpacked into a folder, run from there.

In:     a folder; the mirror and the keys of this machine's own apt.
Out:    nginx, HAProxy and Caddy of unstable (of testing where unstable can't be had whole) with all their libraries, below
        that folder; a line for each that says its version.
Actors: apt-get with state and lists of its own, dpkg-deb; no root is needed, no script of a package is run.
Never:  does this machine's own set of packages change, or is a package unpacked whose signature was not checked.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from faults import BenchFault

PACKAGES = ["nginx", "haproxy", "caddy"]
SUITES = ["sid", "testing"]
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MEND = (
    "this needs apt, the package debian-archive-keyring, and a mirror of Debian: that of this machine's apt, or one that "
    "is named with DEBIAN_MIRROR=http://…/debian"
)


def program(folder: Path, path: str) -> list[str]:
    """The command of a program in the folder: its loader and its libraries are there, too."""
    loader = next(iter(sorted(folder.glob("usr/lib*/ld-linux*.so.*"))), None)
    libraries = next(iter(sorted(folder.glob("usr/lib/*-linux-gnu*"))), None)
    if loader is None or libraries is None or not (folder / path).is_file():
        raise BenchFault(f"{folder / path} is not there; `make {relative(folder)}/.made` fetches it")
    return [str(loader), "--library-path", str(libraries), str(folder / path)]


def relative(folder: Path) -> Path:
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def run(command: list[str]) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True)
    except OSError as fault:
        raise BenchFault(f"{command[0]}: {fault.strerror}; {MEND}") from fault
    if ended.returncode != 0:
        raise BenchFault(f"{command[0]} ended with {ended.returncode}", ended.stdout + ended.stderr)
    return ended.stdout


def mirror() -> str:
    """Where this machine's own packages come from."""
    told = run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"])
    found = [line.split("|")[2] for line in told.splitlines() if line.startswith("Debian|Debian|")]
    if not found:
        raise BenchFault(f"apt knows no mirror of Debian here (`apt-get update` was never run, perhaps); {MEND}")
    return found[0]


def apt(state: Path) -> list[str]:
    """apt-get for a machine on which nothing is installed."""
    settings = {
        "Dir::State": state, "Dir::State::status": state / "status", "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": state / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Languages": "none", "APT::Sandbox::User": "", "APT::Update::Error-Mode": "any",
    }
    return ["apt-get", "-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]


def fetch(folder: Path, suite: str, site: str) -> None:
    state = folder / "apt" / suite
    for below in ("lists/partial", "cache/archives/partial"):
        (state / below).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    keys = f"[signed-by={KEYS}] " if KEYS.exists() else ""
    (state / "sources.list").write_text(f"deb {keys}{site} {suite} main\n")
    run([*apt(state), "update"])
    run([*apt(state), "install", "--yes", "--no-install-recommends", "--download-only", *PACKAGES])
    for package in sorted((state / "cache" / "archives").glob("*.deb")):
        run(["dpkg-deb", "--extract", str(package), str(folder)])
    shutil.rmtree(folder / "apt")


def versions(folder: Path) -> list[str]:
    """What each of them says of itself; a program that can't run is a fault here, not in the middle of a bench."""
    return [
        subprocess.run(["/bin/sh", "-c", '"$@" 2>&1', "sh", *program(folder, path), *words],
                       capture_output=True, text=True, check=True).stdout.partition("\n")[0]
        for path, words in (("usr/sbin/nginx", ["-v"]), ("usr/sbin/haproxy", ["-v"]), ("usr/bin/caddy", ["version"]))
    ]


def main(folder: Path, site: str) -> int:
    said = ""
    for suite in SUITES:
        try:
            fetch(folder, suite, site or mirror())
            print(f"bench: of Debian {suite}: {', '.join(versions(folder))}", file=sys.stderr)
            return 0
        except (BenchFault, subprocess.CalledProcessError) as fault:
            said += f"bench: Debian {suite}: {fault.show() if isinstance(fault, BenchFault) else fault}\n"
    print(f"{said}bench: the peers can't be had; {MEND}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Puts nginx, HAProxy and Caddy of Debian's newest into a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("mirror", nargs="?", default="", help="that of this machine's apt when not given")
    arguments = parser.parse_args()
    sys.exit(main(arguments.folder.absolute(), arguments.mirror))
