"""In:     a server's process; the machine on which it runs beside others.
Out:    whether somebody was kept waiting by the server, or by the machine.
Actors: one process that gives back each byte; the client who asks it.
Never:  is a busy machine taken for a slow server.
"""

import atexit
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

# Beyond this nobody is waited for.
PATIENCE_SECONDS = 60
# How long somebody may wait for a server that does nothing meanwhile, and how much longer for each second that a byte
# takes there and back at that moment, and for each one that the server's work takes there.
IDLE_SECONDS_MAX = 10
TIMES = 20
WORK_TIMES = 2
SPIN_SECONDS = 0.05

ECHO = """
import socket, sys, threading
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
def serve():
    while True:
        client, _ = server.accept()
        with client:
            client.sendall(client.recv(1))
threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
"""


class Edge:
    """The process of a server; without one nothing is known of it."""

    def __init__(self, pid: int | None):
        self.stat = Path(f"/proc/{pid}/stat") if pid else None

    def cpu_seconds(self) -> float:
        if not self.stat:
            return 0.0
        fields = self.stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Machine:
    """The machine as it is at the moment."""

    def __init__(self):
        pipe = subprocess.PIPE
        self.child = subprocess.Popen([sys.executable, "-c", ECHO], stdin=pipe, stdout=pipe)
        self.port = int(self.child.stdout.readline())
        atexit.register(self.child.kill)

    def look(self) -> float:
        """How long a byte takes there and back."""
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS) as client:
            client.sendall(b"x")
            client.recv(1)
        return time.monotonic() - begun

    def slowness(self) -> float:
        """How long a second of work takes beside all that others do."""
        begun, worked = time.monotonic(), time.process_time()
        while time.process_time() - worked < SPIN_SECONDS:
            pass
        return (time.monotonic() - begun) / SPIN_SECONDS

    def judge(self, took: float, worked: float, worked_max: float) -> str:
        """What was wrong with an answer that took so long, for so much of which the server was at work: for others,
        since the answer itself takes next to nothing."""
        if worked > worked_max:
            return f"the server was at work for {worked:.2f} s meanwhile"
        if took > IDLE_SECONDS_MAX and took > IDLE_SECONDS_MAX + TIMES * self.look() + WORK_TIMES * worked * self.slowness():
            return f"the server was at work for {worked:.2f} s of {took:.2f} s"
        return ""
