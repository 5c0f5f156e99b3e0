"""In:     what a frame of HTTP/2 is to hold, right or wrong.
Out:    its bytes.
Actors: none.
Never:  is anything put right, or compressed: what a case says is what the server reads.
"""

import struct

from hpack.hpack import encode_integer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Kinds of frames (RFC 9113, 6).
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
UNKNOWN = 0xBE

# Flags (RFC 9113, 6).
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

# Settings (RFC 9113, 6.5.2).
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

WINDOW_MAX = 2**31 - 1
FRAME_BYTES = 2**14


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def data(stream: int, payload: bytes = b"", ends: bool = False) -> bytes:
    return frame(DATA, END_STREAM if ends else 0, stream, payload)


def headers(stream: int, fields, ends: bool = True, whole: bool = True) -> bytes:
    payload = fields if isinstance(fields, bytes) else block(fields)
    flags = (END_STREAM if ends else 0) | (END_HEADERS if whole else 0)
    return frame(HEADERS, flags, stream, payload)


def continuation(stream: int, payload: bytes = b"", whole: bool = True) -> bytes:
    return frame(CONTINUATION, END_HEADERS if whole else 0, stream, payload)


def priority(stream: int, depends_on: int = 0, weight: int = 15) -> bytes:
    return frame(PRIORITY, 0, stream, struct.pack(">IB", depends_on, weight))


def reset(stream: int, code: int = 8) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def settings(pairs=()) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", name, value) for name, value in pairs))


def ping(payload: bytes = b"hallway?", flags: int = 0) -> bytes:
    return frame(PING, flags, 0, payload)


def goaway(stream: int = 0, code: int = 0, last: int = 0) -> bytes:
    return frame(GOAWAY, 0, stream, struct.pack(">II", last, code))


def window_update(stream: int, more: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", more))


def integer(value: int, bits: int, first: int = 0) -> bytes:
    """An integer with a prefix of so many bits (RFC 7541, 5.1), behind the bits of `first`."""
    encoded = encode_integer(value, bits)
    encoded[0] |= first
    return bytes(encoded)


def text(value) -> bytes:
    """A string literal that is not compressed (RFC 7541, 5.2)."""
    value = value.encode() if isinstance(value, str) else value
    return integer(len(value), 7) + value


def literal(name, value, first: int = 0x00) -> bytes:
    """A field with a new name, by default one that no table keeps (RFC 7541, 6.2.2)."""
    return bytes([first]) + text(name) + text(value)


def block(fields) -> bytes:
    return b"".join(literal(name, value) for name, value in fields)


def request(path: str = "/ok", method: str = "GET", *more) -> list:
    """The fields of a request; `more` come behind them."""
    return [(":method", method), (":scheme", "https"), (":path", path), (":authority", "localhost"), *more]
