"""In:     a server, while others are hostile to it.
Out:    whether one that keeps to the rules is served: at once, rightly, and from memory that does not grow.
Actors: one client; one thread that lets it ask again and again.
Never:  is it kept waiting for much longer than the machine itself would have it wait at that moment.
"""

import threading
import time
from pathlib import Path

import h2.config
import h2.connection
import h2.events

from hostile.machine import PATIENCE_SECONDS, Edge, Machine
from hostile.peer import Place, connect
from hostile.verdict import Wrong

# For so long a server may be at work for others, while somebody waits.
WORK_SECONDS_MAX = 1.0
MACHINE = Machine()
GROWTH_KIB_MAX = 32 * 1024
PAUSE_SECONDS = 0.1


def ask(place: Place, path: str, wanted: bytes) -> float:
    """Asks on a fresh connection; how long that took."""
    edge = Edge(place.edge)
    begun, before = time.monotonic(), edge.cpu_seconds()
    try:
        status, body = answer(place, path, begun + PATIENCE_SECONDS)
    except OSError as fault:
        raise Wrong(f"{path} of another client: {fault!r} after {time.monotonic() - begun:.2f} s") from fault
    if (status, body) != ("200", wanted):
        raise Wrong(f"{path} of another client: {status} {body[:80]!r}")
    took = time.monotonic() - begun
    if wrong := MACHINE.judge(took, edge.cpu_seconds() - before, WORK_SECONDS_MAX):
        raise Wrong(f"{path} of another client: after {took:.2f} s: {wrong}")
    return took


def answer(place: Place, path: str, until: float) -> tuple[str, bytes]:
    fields = [(":method", "GET"), (":scheme", "https"), (":path", path), (":authority", "localhost")]
    talk = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    talk.initiate_connection()
    talk.send_headers(1, fields, end_stream=True)
    status, body = "no status", b""
    with connect(place) as socket:
        socket.sendall(talk.data_to_send())
        while True:
            socket.settimeout(max(until - time.monotonic(), 0.001))
            came = socket.recv(65_536)
            if not came:
                raise OSError("the connection was closed")
            for event in talk.receive_data(came):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[":status"]
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    return status, body
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    raise OSError(repr(event))
            socket.sendall(talk.data_to_send())


class Witness:
    """Asks again and again while something else goes on. To be used in a `with`, which may raise Wrong."""

    def __init__(self, place: Place):
        self.place = place
        self.is_over = threading.Event()
        self.worst, self.fault = 0.0, None
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def __enter__(self) -> "Witness":
        self.process = Process(self.place.edge)
        self.thread.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self.is_over.set()
        self.thread.join(2 * PATIENCE_SECONDS)
        if kind is not None:
            return
        if self.fault:
            raise self.fault
        self.worst = max(self.worst, ask(self.place, "/ok", b"ok"), ask(self.place, "/app/", b"0"))
        self.process.check()

    def watch(self) -> None:
        while not self.is_over.wait(PAUSE_SECONDS):
            try:
                self.worst = max(self.worst, ask(self.place, "/ok", b"ok"))
            except Wrong as wrong:
                self.fault = self.fault or wrong

    def told(self) -> str:
        return f"others waited {self.worst * 1000:.0f} ms at most; {self.process.told()}"


class Process:
    """What a flood costs: how far the memory grows, and CPU time. Nothing is looked at where no process is named."""

    def __init__(self, pid: int | None):
        self.process = Path(f"/proc/{pid}") if pid else None
        if self.process:
            # The highest mark begins anew (proc(5)).
            (self.process / "clear_refs").write_text("5")
            self.edge = Edge(pid)
            self.before, self.cpu_before = self.kib("VmRSS"), self.edge.cpu_seconds()

    def kib(self, name: str) -> int:
        lines = (self.process / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def growth(self) -> int:
        return self.kib("VmHWM") - self.before

    def check(self) -> None:
        if self.process and self.growth() > GROWTH_KIB_MAX:
            raise Wrong(f"the memory grew by {self.growth()} KiB")

    def told(self) -> str:
        if not self.process:
            return "no process was named"
        cpu_seconds = self.edge.cpu_seconds() - self.cpu_before
        return f"memory grew by {self.growth()} KiB to {self.kib('VmHWM')}, {cpu_seconds:.2f} s of CPU"
