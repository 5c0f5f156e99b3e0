"""Many streams of one HTTP/2 connection at a time.

In:     an address; with --tls its authority; the process of the master, which is told to stop at the end. The server has
        /short (1,000 bytes), /large.bin (3 MiB, its n-th byte is n * 7 % 251) and /app/fails (30,000 bytes, then an error).
Out:    "all well", or what was wrong, and exit code 1.
Actors: one client, with a fresh connection for each case.
Never:  is a wait taken for an answer: each ends with a fact, or at the limit of the socket.
"""

import argparse
import contextlib
import hashlib
import os
import signal
import socket
import ssl
import struct
from collections import defaultdict

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

LARGE = bytes(n * 7 % 251 for n in range(251)) * (3 * 1024 * 1024 // 251 + 1)
LARGE = LARGE[: 3 * 1024 * 1024]
DIGEST = hashlib.sha256(LARGE).digest()
APPLICATION_DATA = 23
# The library takes GOAWAY for the end of the connection; streams that are open go on (RFC 9113, 6.8).
OPEN = h2.connection.ConnectionState.CLIENT_OPEN
TOLD_TO_LEAVE = OPEN, h2.connection.ConnectionInputs.RECV_GOAWAY
h2.connection.H2ConnectionStateMachine._transitions[TOLD_TO_LEAVE] = None, OPEN


class Client:
    """One connection; what came is kept by stream."""

    def __init__(self, place, window=65_535):
        self.host, self.port, authority = place
        self.socket = socket.create_connection((self.host, self.port), timeout=60)
        self.tls = None
        self.records, self.raw = 0, b""
        if authority:
            context = ssl.create_default_context(cafile=authority)
            context.set_alpn_protocols(["h2"])
            self.came, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.came, self.goes, server_hostname="localhost")
            self.greet()
        self.engine = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.engine.initiate_connection()
        self.engine.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.engine.increment_flow_control_window(2**30)
        self.status, self.bodies, self.ended, self.reset = {}, defaultdict(bytearray), set(), {}
        self.is_told_to_leave, self.is_over, self.unread = False, False, defaultdict(int)
        self.slow = set()
        self.send()

    def greet(self):
        while True:
            try:
                self.tls.do_handshake()
                self.socket.sendall(self.goes.read())
                return
            except ssl.SSLWantReadError:
                self.socket.sendall(self.goes.read())
                self.take()

    def take(self):
        """Reads what there is, and counts the records it is in."""
        data = self.socket.recv(65_536)
        if self.tls is None:
            return data
        self.raw += data
        while len(self.raw) >= 5 and len(self.raw) >= 5 + (length := struct.unpack(">H", self.raw[3:5])[0]):
            self.records += self.raw[0] == APPLICATION_DATA
            self.raw = self.raw[5 + length :]
        if data:
            self.came.write(data)
        else:
            self.came.write_eof()
        return data

    def send(self):
        data = self.engine.data_to_send()
        if self.tls and data:
            self.tls.write(data)
            data = self.goes.read()
        if data:
            self.socket.sendall(data)

    def ask(self, *paths):
        """Asks for all of them in one write."""
        streams = []
        for path in paths:
            stream = self.engine.get_next_available_stream_id()
            scheme = "https" if self.tls else "http"
            lines = [(":method", "GET"), (":scheme", scheme), (":authority", "localhost"), (":path", path)]
            self.engine.send_headers(stream, lines, end_stream=True)
            streams.append(stream)
        self.send()
        return streams

    def step(self):
        """Takes what comes next."""
        data = self.take()
        self.is_over = not data
        if self.tls:
            data = b""
            try:
                while part := self.tls.read(65_536):
                    data += part
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                pass
            except ssl.SSLEOFError:
                self.is_over = True
        for event in self.engine.receive_data(data) if data else []:
            stream = getattr(event, "stream_id", None)
            match event:
                case h2.events.ResponseReceived():
                    self.status[stream] = int(dict(event.headers)[":status"])
                case h2.events.DataReceived():
                    self.bodies[stream] += event.data
                    if stream in self.slow:
                        self.unread[stream] += event.flow_controlled_length
                    else:
                        self.release(stream, event.flow_controlled_length)
                case h2.events.StreamEnded():
                    self.ended.add(stream)
                case h2.events.StreamReset():
                    self.reset[stream] = int(event.error_code)
                case h2.events.ConnectionTerminated():
                    self.is_told_to_leave = True
        self.send()

    def release(self, stream, length):
        with contextlib.suppress(h2.exceptions.StreamClosedError):
            self.engine.increment_flow_control_window(length, stream)

    def until(self, holds, what):
        while not holds():
            if self.is_over:
                raise SystemExit(f"the connection ended before {what}")
            self.step()

    def finish(self, streams, what):
        """Reads until all of these have ended."""
        self.until(lambda: all(stream in self.ended or stream in self.reset for stream in streams), what)

    def check_large(self, streams, what):
        self.finish(streams, what)
        for stream in streams:
            digest = hashlib.sha256(self.bodies[stream]).digest()
            if stream in self.reset or digest != DIGEST:
                raise SystemExit(f"{what}: stream {stream} has {len(self.bodies[stream])} bytes, {self.reset}")


def share_records(place):
    """Answers that are ready together come in few records, not in one for each."""
    client = Client(place)
    client.finish(client.ask("/short"), "the first answer")
    before = client.records
    streams = client.ask(*["/short"] * 12)
    client.finish(streams, "twelve answers")
    if any(len(client.bodies[stream]) != 1000 for stream in streams):
        raise SystemExit(f"short answers are not whole: {client.bodies}")
    if client.tls and client.records - before > 4:
        raise SystemExit(f"twelve answers came in {client.records - before} records")


def download(place):
    """Twelve at a time; one stream and one connection are not read before the others have all of it."""
    deaf = Client(place)
    left = deaf.ask("/large.bin")
    client = Client(place)
    streams = client.ask(*["/large.bin"] * 12)
    slow, others = streams[5], [*streams[:5], *streams[6:]]
    client.slow.add(slow)
    client.check_large(others, "eleven downloads")
    if len(client.bodies[slow]) != 65_535:
        raise SystemExit(f"a stream that is not read has {len(client.bodies[slow])} bytes")
    client.slow.clear()
    client.release(slow, client.unread[slow])
    client.send()
    client.check_large([slow], "a slow stream")
    deaf.check_large(left, "a slow connection")


def open_windows(place):
    """Windows that are closed let heads pass and no body; once they open everything comes."""
    client = Client(place, window=0)
    streams = client.ask(*["/short"] * 5, "/large.bin")
    client.until(lambda: len(client.status) == 6, "six heads")
    if client.bodies:
        raise SystemExit("DATA came without a window")
    for stream in streams[:5]:
        client.engine.increment_flow_control_window(600, stream)
    client.send()
    client.until(lambda: all(len(client.bodies[stream]) == 600 for stream in streams[:5]), "a part of five answers")
    for stream in streams:
        client.engine.increment_flow_control_window(100_000, stream)
    client.send()
    client.finish(streams[:5], "the rest of five answers")
    client.check_large(streams[5:], "a long answer")


def fail_one(place):
    """An answer that its app cannot finish is reset; the others of its connection go on."""
    client = Client(place)
    before = client.ask("/large.bin", "/large.bin")
    client.until(lambda: all(len(client.bodies[stream]) > 20_000 for stream in before), "the beginning of two downloads")
    failing = client.ask("/app/fails")
    behind = client.ask("/large.bin", "/short")
    client.finish(failing, "the failing answer")
    if client.reset != {failing[0]: 2}:
        raise SystemExit(f"the failing answer was to be reset: {client.reset}")
    client.check_large([*before, behind[0]], "the downloads beside it")
    client.finish(behind, "the answers behind it")


def leave(place, master):
    """A server that is told to stop says so, and finishes what is on its way."""
    client = Client(place)
    streams = client.ask(*["/large.bin"] * 4)
    client.slow.update(streams)
    client.until(lambda: all(len(client.bodies[stream]) == 65_535 for stream in streams), "the beginning of four answers")
    os.kill(master, signal.SIGTERM)
    client.until(lambda: client.is_told_to_leave, "GOAWAY")
    client.slow.clear()
    for stream in streams:
        client.release(stream, client.unread[stream])
    client.send()
    client.check_large(streams, "four answers of a server that leaves")
    while not client.is_over:
        client.step()


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("host")
    asked.add_argument("port", type=int)
    asked.add_argument("--tls", metavar="CAFILE")
    asked.add_argument("--master", type=int)
    asked = asked.parse_args()
    place = asked.host, asked.port, asked.tls
    for case in (share_records, download, open_windows, fail_one):
        case(place)
    if asked.master:
        leave(place, asked.master)
    print("all well")


if __name__ == "__main__":
    main()
