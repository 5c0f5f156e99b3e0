"""In:     where a server listens, and bytes for it.
Out:    what it sends, frame by frame, up to its end.
Actors: one connection.
Never:  is there a wait without a limit, or a frame that the peer sends by itself.
"""

import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

import hpack
from hyperframe import frame as read
from hyperframe.exceptions import InvalidFrameError

from hostile.frames import ACK, PREFACE, SETTINGS, frame, settings

READ_BYTES = 256 * 1024
GREETING_SECONDS = 30


@dataclass(frozen=True)
class Place:
    """A server: its port on this machine, its authority where it is encrypted, its process."""

    port: int
    authority: Path | None = None
    edge: int | None = None


@dataclass
class Seen:
    """What came of the server: a frame, its end, or nothing in time (`frame` is none then)."""

    what: str
    frame: read.Frame | None = None
    fields: dict = field(default_factory=dict)

    def is_a(self, kind: type, stream: int | None = None) -> bool:
        return isinstance(self.frame, kind) and stream in (None, self.frame.stream_id)

    @property
    def is_end(self) -> bool:
        return self.frame is None and self.what != SILENCE

    @property
    def status(self) -> int:
        return int(self.fields.get(":status", 0))


SILENCE = "nothing more"


def connect(place: Place, protocols=("h2",)) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", place.port), timeout=GREETING_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if place.authority is None:
        return plain
    context = ssl.create_default_context(cafile=str(place.authority))
    context.set_alpn_protocols(list(protocols))
    return context.wrap_socket(plain, server_hostname="localhost")


class Peer:
    """One connection. To be used in a `with`: it ends with the block."""

    def __init__(self, place: Place, wishes=(), greets: bool = True):
        self.socket = connect(place)
        self.socket.setblocking(False)
        self.raw = bytearray()
        self.end = ""
        self.decoder = hpack.Decoder()
        self.sent_bytes = 0
        self.server_settings: dict[int, int] = {}
        if greets:
            self.greet(wishes)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def greet(self, wishes=()) -> None:
        """Both sides' settings, each acknowledged (RFC 9113, 3.4)."""
        self.send(PREFACE + settings(wishes) + frame(SETTINGS, ACK))
        until = time.monotonic() + GREETING_SECONDS
        while not (seen := self.next(until)).is_a(read.SettingsFrame) or "ACK" not in seen.frame.flags:
            if seen.frame is None:
                raise OSError(f"no settings came: {seen.what}")
            if seen.is_a(read.SettingsFrame):
                self.server_settings = dict(seen.frame.settings)

    def send(self, bytes_to_send: bytes, seconds: float = GREETING_SECONDS, reads: bool = True) -> bool:
        """Sends, and reads meanwhile what comes; whether all was taken before the end or the limit."""
        rest, until = memoryview(bytes_to_send), time.monotonic() + seconds
        while rest and not self.end and (left := until - time.monotonic()) > 0:
            readable, writable, _ = select.select([self.socket] if reads else [], [self.socket], [], left)
            if readable:
                self._take()
            if writable:
                rest = rest[self._give(rest) :]
        return not rest

    def next(self, until: float) -> Seen:
        """What comes next, or silence."""
        while (frame_bytes := self.cut()) is None:
            if self.end:
                return Seen(self.end)
            left = until - time.monotonic()
            if left <= 0:
                return Seen(SILENCE)
            pending = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()
            if pending or select.select([self.socket], [], [], left)[0]:
                self._take()
        return self.interpret(frame_bytes)

    def read_for(self, seconds: float) -> None:
        """Takes what comes in so long; it stays to be looked at."""
        until = time.monotonic() + seconds
        while not self.end and (left := until - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                self._take()

    def drop(self, seconds: float) -> int:
        """Reads for so long, or to the end, without a look; how many bytes."""
        until, taken = time.monotonic() + seconds, len(self.raw)
        self.raw.clear()
        while not self.end and (left := until - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                self._take()
                taken += len(self.raw)
                self.raw.clear()
        return taken

    def _give(self, rest: memoryview) -> int:
        try:
            given = self.socket.send(rest[:READ_BYTES])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return 0
        except OSError as fault:
            # What the server said before its end is still to be read.
            while self._take():
                pass
            self.end = self.end or f"the end of the connection ({fault.strerror})"
            return 0
        self.sent_bytes += given
        return given

    def _take(self) -> int:
        try:
            taken = self.socket.recv(READ_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return 0
        except OSError as fault:
            self.end = f"the end of the connection ({fault.strerror})"
            return 0
        if not taken:
            self.end = "the end of the connection"
        self.raw += taken
        return len(taken)

    def cut(self) -> bytes | None:
        if len(self.raw) < 9:
            return None
        length = struct.unpack(">I", b"\0" + self.raw[:3])[0]
        if len(self.raw) < 9 + length:
            return None
        cut = bytes(self.raw[: 9 + length])
        del self.raw[: 9 + length]
        return cut

    def interpret(self, frame_bytes: bytes) -> Seen:
        came, _ = read.Frame.parse_frame_header(memoryview(frame_bytes[:9]))
        came.parse_body(memoryview(frame_bytes[9:]))
        seen = Seen(describe(came), came)
        if isinstance(came, read.HeadersFrame):
            if "END_HEADERS" not in came.flags:
                raise InvalidFrameError("the heads of these answers are short")
            seen.fields = dict(self.decoder.decode(came.data))
            seen.what += f" of {seen.status}"
        return seen


def describe(came: read.Frame) -> str:
    name = type(came).__name__.removesuffix("Frame")
    if isinstance(came, (read.GoAwayFrame, read.RstStreamFrame)):
        name += f" {code_name(came.error_code)}"
    if isinstance(came, read.GoAwayFrame) and came.additional_data:
        name += f" ({came.additional_data.decode(errors='replace')})"
    if isinstance(came, read.DataFrame):
        name += f" of {len(came.data)} bytes"
    return f"{name} on stream {came.stream_id}" if came.stream_id else name


CODES = (
    "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR "
    "REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED"
).split()


def code_name(code: int) -> str:
    return CODES[code] if code < len(CODES) else f"code {code}"
