"""User-space instructions that one request costs hallway, counted by valgrind: what a change costs, whatever else runs.

In:     the program, a Python with the bench's or the tests' packages, h2load, nginx, valgrind (Debian's packages).
Out:    Markdown on stdout and in `--out`: for each row the instructions of the edge, and of the worker where there is one,
        for one request; beside those of another program with `--against`. Exit code 1 where a row is dearer than `--bar` says.
Actors: hallway under valgrind, an nginx that answers for it, h2load: one after the other, on this machine only.
Never:  does the start of a process count: each row is run with few and with many requests, and the difference is shared out.
"""

import sys

sys.dont_write_bytecode = True  # before the imports: a bench leaves nothing beside its sources

import argparse
import contextlib
import os
import re
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from procs import free_port

FEW, MANY = 200, 1200
# Under valgrind everything takes some fifty times as long.
PATIENCE_S = 120

FILE = """[server]
http = "127.0.0.1:{port}"
threads = 1
head_timeout = "10m"
body_timeout = "10m"
{user}
{app}
[pool.behind]
servers = ["http://127.0.0.1:{upstream}"]
answer_timeout = "10m"
connect_timeout = "10m"

[site."*"]
routes = [
  {{ path = "/files/*", files = "{files}" }},
  {{ path = "/pool/*", pool = "behind", strip = true }},
  {route}
]
"""
APP = """
[app.bare]
wsgi = "bare:app"
chdir = "{apps}"
python = "{python}"
workers = 1
timeout = "10m"
{user}
"""
ROUTE = '{ path = "/app/*", app = "bare", strip = true },'

NGINX = """daemon off;
{user}
worker_processes 1;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    scgi_temp_path {scratch}/scgi;
    uwsgi_temp_path {scratch}/uwsgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ alias {files}/; }}
    }}
}}
"""

# What is asked, and how: name, path, flags of h2load.
ROWS = [
    ("a file of 1 KiB, HTTP/1.1", "/files/small.bin", ["--h1"]),
    ("a file of 1 KiB, HTTP/2", "/files/small.bin", []),
    ("proxied, 1 KiB, HTTP/1.1", "/pool/small.bin", ["--h1"]),
    ("proxied, 1 KiB, HTTP/2 in front", "/pool/small.bin", []),
    ("bare WSGI, HTTP/1.1", "/app/", ["--h1"]),
]


def main() -> int:
    parser = argparse.ArgumentParser(description="Counts the user-space instructions of one request.")
    parser.add_argument("--hallway", type=Path, default=Path("target/release/hallway"))
    parser.add_argument("--against", type=Path, help="another hallway, to compare with")
    parser.add_argument("--python", type=Path, default=Path("target/venv/test/bin/python"))
    parser.add_argument("--bar", type=float, default=1.01, help="the largest ratio to --against (1.01)")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    programs = [arguments.hallway.absolute()] + ([arguments.against.absolute()] if arguments.against else [])
    lines = ["| row | process | instructions a request |" + (" before | ratio |" if arguments.against else "")]
    lines.append("|---|---|---:|" + ("---:|---:|" if arguments.against else ""))
    worst = 0.0
    for row in ROWS:
        counts = [count(program, arguments.python.absolute(), row) for program in programs]
        for role, instructions in counts[0].items():
            line = f"| {row[0]} | {role} | {instructions:,.0f} |"
            if arguments.against:
                before = counts[1][role]
                worst = max(worst, instructions / before)
                line += f" {before:,.0f} | {instructions / before:.3f} |"
            lines.append(line)
        print(f"counted: {row[0]}", file=sys.stderr)
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    return 1 if worst > arguments.bar else 0


def count(program: Path, python: Path, row) -> dict[str, float]:
    """The instructions of one request, by process."""
    few, many = (run(program, python, row, requests) for requests in (FEW, MANY))
    return {role: (many[role] - few[role]) / (MANY - FEW) for role in many}


def run(program: Path, python: Path, row, requests: int) -> dict[str, int]:
    """All instructions of one life of hallway that answered so many requests."""
    _, path, flags = row
    with tempfile.TemporaryDirectory(prefix="hallway-instructions-") as name:
        scratch, port, upstream = Path(name), free_port(), free_port()
        scratch.chmod(0o755)
        files = scratch / "files"
        files.mkdir()
        (files / "small.bin").write_bytes(bytes(range(256)) * 4)
        wants_app = path == "/app/"
        apps = Path(__file__).parent.absolute() / "apps"
        # Started as root its edge and its workers are somebody else, who could write nothing here.
        own = 'user = "root"' if os.getuid() == 0 else ""
        text = FILE.format(
            user=own,
            port=port, upstream=upstream, files=files, route=ROUTE if wants_app else "",
            app=APP.format(apps=apps, python=python, user=own) if wants_app else "",
        )
        (scratch / "hallway.toml").write_text(text, encoding="utf-8")
        user = "user root;" if os.getuid() == 0 else ""
        configuration = NGINX.format(port=upstream, files=files, scratch=scratch, user=user)
        (scratch / "nginx.conf").write_text(configuration, encoding="utf-8")
        with started(["/usr/sbin/nginx", "-p", name, "-c", str(scratch / "nginx.conf")], name):
            await_answer(f"http://127.0.0.1:{upstream}/small.bin")
            command = [
                "valgrind", "--tool=callgrind", "--trace-children=yes", "--error-limit=no",
                f"--callgrind-out-file={name}/out.%p", "--log-file=/dev/null",
                str(program), "serve", "-c", str(scratch / "hallway.toml"),
            ]
            with started(command, name):
                url = f"http://127.0.0.1:{port}{path}"
                await_answer(url)
                load = ["h2load", "-c1", "-m1", f"-n{requests}", *flags, url]
                told = subprocess.run(load, check=True, capture_output=True, text=True, timeout=600).stdout
                if f"{requests} succeeded, 0 failed" not in told or f"{requests} 2xx" not in told:
                    raise SystemExit(f"not every request was answered:\n{told}")
        return totals(scratch)


@contextlib.contextmanager
def started(command: list[str], scratch: str):
    """A process that is ended, and waited for, at the end."""
    environment = {"PATH": os.environ["PATH"], "HOME": scratch, "RUNTIME_DIRECTORY": scratch, "STATE_DIRECTORY": scratch}
    log = open(f"{scratch}/log", "ab")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield process
    except BaseException:
        sys.stderr.write(Path(f"{scratch}/log").read_text(encoding="utf-8", errors="replace"))
        raise
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        finally:
            process.kill()
            log.close()


def await_answer(url: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                answer.read()
            return
        except OSError as error:  # of urllib, too: whatever is not 2xx
            if time.monotonic() > until:
                raise SystemExit(f"{url} was not answered: {error}") from error
        time.sleep(0.2)


def totals(scratch: Path) -> dict[str, int]:
    """What each process needed, by its role. A process that was not begun anew by `exec` has no file of its own."""
    found: dict[str, int] = {}
    for file in scratch.glob("out.*"):
        text = file.read_text(encoding="utf-8", errors="replace")
        command = re.search(r"^cmd: (.*)$", text, re.M)
        total = re.search(r"^(?:totals|summary): (\d+)$", text, re.M)
        if command is None or total is None:
            continue
        if "hallway: edge" in command[1]:
            role = "edge"
        elif "python" in command[1].split()[0]:
            role = "worker"
        else:
            continue
        found[role] = found.get(role, 0) + int(total[1])
    if "edge" not in found:
        raise SystemExit(f"valgrind wrote nothing of the edge: {sorted(one.name for one in scratch.iterdir())}")
    return found


if __name__ == "__main__":
    sys.exit(main())
