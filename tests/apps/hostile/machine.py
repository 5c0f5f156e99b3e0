"""In:     -
Out:    how long this machine lets such a client wait at the moment that has nothing to do with what is tested.
Actors: one process that gives back each byte; the client who asks it.
Never:  is a busy machine taken for a slow server.
"""

import atexit
import socket
import subprocess
import sys
import time

# Beyond this nobody is waited for.
PATIENCE_SECONDS = 30
# How much more than a byte there and back an answer of the server may take: it does more.
TIMES = 20

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


class Machine:
    """The machine as it is at the moment."""

    def __init__(self):
        pipe = subprocess.PIPE
        self.child = subprocess.Popen([sys.executable, "-c", ECHO], stdin=pipe, stdout=pipe)
        self.port = int(self.child.stdout.readline())
        self.seen = 0.0
        atexit.register(self.child.kill)

    def look(self) -> float:
        """How long a byte took there and back just now."""
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS) as client:
            client.sendall(b"x")
            client.recv(1)
        before, self.seen = self.seen, time.monotonic() - begun
        return max(before, self.seen)

    def allows(self, seconds: float) -> float:
        """What may take so long on a machine that does nothing else may take this now."""
        return seconds + TIMES * self.look()
