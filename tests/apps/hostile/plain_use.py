"""In:     -
Out:    the cases in which nothing is wrong, however rare it is: all of it must work.
Actors: none.
Never:  is a client refused that keeps to the rules.
"""

import time

from hyperframe import frame as read

from hostile.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    PADDED,
    PREFACE,
    PRIORITISED,
    UNKNOWN,
    block,
    continuation,
    data,
    frame,
    goaway,
    headers,
    integer,
    literal,
    ping,
    priority,
    request,
    reset,
    settings,
    text,
    window_update,
)
from hostile.peer import Peer, Place
from hostile.verdict import (
    PATIENCE_SECONDS,
    Case,
    Story,
    Wrong,
    alive,
    answered,
    next_of,
)

GET = headers(1, request())
POST = headers(1, request("/app/", "POST"), ends=False)
FIELDS = block(request())
# What comes when the static table holds the whole of it: GET, https.
INDEXED = b"\x82\x87"


def indexed_request(path: bytes) -> bytes:
    """A request whose :path is encoded as the case has it."""
    return headers(1, INDEXED + path + literal(":authority", "localhost"))


def padded_data() -> bytes:
    return POST + frame(DATA, PADDED | END_STREAM, 1, b"\x08" + b"body" + bytes(8))


def padded_headers(prioritised: bool = False) -> bytes:
    flags = PADDED | END_STREAM | END_HEADERS | (PRIORITISED if prioritised else 0)
    weight = bytes(4) + b"\x0f" if prioritised else b""
    return frame(HEADERS, flags, 1, b"\x08" + weight + FIELDS + bytes(8))


def in_pieces() -> bytes:
    """A head of which each frame has one byte."""
    first = frame(HEADERS, END_STREAM, 1, FIELDS[:1])
    middle = b"".join(frame(CONTINUATION, 0, 1, FIELDS[at : at + 1]) for at in range(1, 5))
    return first + middle + continuation(1, FIELDS[5:])


def body_is(peer: Peer, wanted: bytes, stream: int = 1) -> str:
    """Reads the answer's body to its end."""
    until, body = time.monotonic() + PATIENCE_SECONDS, b""
    while (seen := peer.next(until)).frame is not None:
        if seen.is_a(read.DataFrame, stream):
            body += seen.frame.data
            if "END_STREAM" in seen.frame.flags:
                if body != wanted:
                    raise Wrong(f"the body is {body[:80]!r}")
                return f"{len(body)} bytes"
    raise Wrong(f"after {len(body)} bytes: {seen.what}")


def two_data_frames(place: Place) -> str:
    with Peer(place) as peer:
        peer.send(POST + data(1, b"abc") + data(1) + data(1, b"de", ends=True))
        return body_is(peer, b"5")


def trailers(place: Place) -> str:
    with Peer(place) as peer:
        peer.send(POST + data(1, b"abc") + headers(1, [("x-checksum", "1")]))
        return body_is(peer, b"3")


def head_has_no_body(place: Place) -> str:
    with Peer(place) as peer:
        peer.send(headers(1, request("/ok", "HEAD")))
        seen = next_of(peer, read.HeadersFrame)
        if seen.status != 200 or "END_STREAM" not in seen.frame.flags or seen.fields.get("content-length") != "2":
            raise Wrong(f"{seen.what} {seen.fields}")
        return seen.what


def is_told_to_go_on(place: Place) -> str:
    with Peer(place) as peer:
        peer.send(headers(1, request("/app/", "POST", ("expect", "100-continue")), ends=False))
        seen = next_of(peer, read.HeadersFrame)
        if seen.status != 100:
            raise Wrong(f"{seen.what} {seen.fields}")
        peer.send(data(1, b"abc", ends=True))
        return body_is(peer, b"3")


def first_data(peer: Peer, bytes_wanted: int, before: str = "") -> str:
    """The next DATA frame has so many bytes."""
    seen = next_of(peer, read.DataFrame)
    if len(seen.frame.data) != bytes_wanted:
        raise Wrong(before + seen.what)
    return before + seen.what


def window_of_one(place: Place) -> str:
    with Peer(place, [(INITIAL_WINDOW_SIZE, 1)]) as peer:
        peer.send(GET)
        return first_data(peer, 1)


def window_grows_later(place: Place) -> str:
    with Peer(place, [(INITIAL_WINDOW_SIZE, 0)]) as peer:
        peer.send(GET)
        quiet_for(peer, 0.3)
        peer.send(settings([(INITIAL_WINDOW_SIZE, 1)]))
        return first_data(peer, 1)


def window_below_zero(place: Place) -> str:
    with Peer(place, [(INITIAL_WINDOW_SIZE, 3)]) as peer:
        peer.send(headers(1, request("/large.bin")))
        seen = first_data(peer, 3)
        # Two less than were sent already: the window is -2, and then 1.
        peer.send(settings([(INITIAL_WINDOW_SIZE, 1)]) + window_update(1, 2))
        quiet_for(peer, 0.3)
        peer.send(window_update(1, 1))
        return first_data(peer, 1, f"{seen}, ")


def window_of_the_connection(place: Place) -> str:
    with Peer(place, [(INITIAL_WINDOW_SIZE, 2**20)]) as peer:
        peer.send(headers(1, request("/large.bin")))
        until, bytes_seen = time.monotonic() + PATIENCE_SECONDS, 0
        while bytes_seen < 65_535:
            seen = peer.next(until)
            if seen.frame is None:
                raise Wrong(f"{bytes_seen} bytes, {seen.what}")
            if seen.is_a(read.DataFrame):
                bytes_seen += len(seen.frame.data)
                if len(seen.frame.data) > FRAME_BYTES:
                    raise Wrong(seen.what)
        if bytes_seen > 65_535:
            raise Wrong(f"{bytes_seen} bytes")
        quiet_for(peer, 0.3)
        return f"{bytes_seen} bytes"


def quiet_for(peer: Peer, seconds: float) -> None:
    """No DATA comes: there is no window for any."""
    until = time.monotonic() + seconds
    while (seen := peer.next(until)).frame is not None:
        if seen.is_a(read.DataFrame):
            raise Wrong(f"{seen.what} beyond the window")


def settings_are_acknowledged(place: Place) -> str:
    with Peer(place) as peer:
        peer.send(settings([(INITIAL_WINDOW_SIZE, 100)]))
        seen = next_of(peer, read.SettingsFrame)
        if "ACK" not in seen.frame.flags:
            raise Wrong(seen.what)
        return seen.what


def ping_is_answered(place: Place) -> str:
    with Peer(place) as peer:
        peer.send(ping(b"12345678", ACK) + ping(b"abcdefgh"))
        seen = next_of(peer, read.PingFrame)
        if "ACK" not in seen.frame.flags or seen.frame.opaque_data != b"abcdefgh":
            raise Wrong(f"{seen.what} {seen.frame}")
        return seen.what


LONG_POST = POST + data(1, bytes(FRAME_BYTES), ends=True)
CASES = [
    Case("3.4 preface, settings and request at once", answered(), PREFACE + settings() + GET, greets=False),
    Case("3.4 preface with settings after it", answered(), lambda peer: (peer.greet(), peer.send(GET)), greets=False),
    Case("4.1 unknown kind of frame", answered(), frame(UNKNOWN, 0, 0, bytes(8)) + GET),
    Case(
        "4.1 unknown kind of frame on a stream", answered(), POST + frame(UNKNOWN, 0xFF, 1, b"x") + data(1, b"", True)
    ),
    Case("4.1 unknown flags", alive(), frame(6, 0xFE, 0, b"-flags- ")),
    Case("4.1 reserved bit", alive(), frame(6, 0, 2**31, b"-bit-up-")),
    Case("4.2 DATA of 2^14 bytes", answered(), LONG_POST),
    Case("5.1 PRIORITY on an idle stream", answered(), priority(1) + GET),
    Case("5.1 PRIORITY on a half-closed stream", answered(), GET + priority(1)),
    Case("5.1 PRIORITY on a closed stream", answered(stream=3), GET + reset(1) + priority(1) + headers(3, request())),
    Case("5.1 WINDOW_UPDATE on a half-closed stream", answered(), GET + window_update(1, 100)),
    Case("5.1 RST_STREAM on a half-closed stream", alive(), GET + reset(1)),
    Case("5.1 RST_STREAM twice", answered(stream=3), GET + reset(1) + reset(1) + headers(3, request())),
    Case(
        "5.1 WINDOW_UPDATE after RST_STREAM",
        answered(stream=3),
        GET + reset(1) + window_update(1, 9) + headers(3, request()),
    ),
    Case("5.1.1 stream numbers with gaps", answered(stream=2001), headers(2001, request())),
    Case(
        "5.3 weights and dependencies",
        answered(stream=5),
        priority(1, 0, 0) + priority(3, 1, 255) + priority(5, 2**31 + 3) + headers(5, request()),
    ),
    Case("5.5 unknown settings", answered(), settings([(0xFF, 1), (0x3, 0)]) + GET),
    Case("6.1 padded DATA", answered(), padded_data()),
    Case("6.1 padding of all", answered(), POST + frame(DATA, PADDED | END_STREAM, 1, b"\x03" + bytes(3))),
    Case("6.2 padded HEADERS", answered(), padded_headers()),
    Case("6.2 padded HEADERS with priority", answered(), padded_headers(prioritised=True)),
    Case("6.5 empty SETTINGS", answered(), settings() + GET),
    Case(
        "6.5.2 largest values",
        answered(),
        settings([(HEADER_TABLE_SIZE, 2**32 - 1), (INITIAL_WINDOW_SIZE, 2**31 - 1), (MAX_FRAME_SIZE, 2**24 - 1)]) + GET,
    ),
    Case("6.5.2 no table", answered(), settings([(HEADER_TABLE_SIZE, 0)]) + GET),
    Story("6.5.3 SETTINGS", "an acknowledgement", settings_are_acknowledged),
    Story("6.7 PING, and an answer to none", "one answer, to the PING", ping_is_answered),
    Case("6.8 GOAWAY of the client", answered(), GET + goaway()),
    Case("6.9 WINDOW_UPDATE", answered(), window_update(0, 1) + GET + window_update(1, 1)),
    Story("6.9.1 window of one byte", "DATA of one byte", window_of_one),
    Story("6.9.2 window that grows later", "no DATA before that, then one byte", window_grows_later),
    Story("6.9.2 window below zero", "no DATA until it is above zero", window_below_zero),
    Story(
        "6.9.1 window of the connection",
        "65,535 bytes in frames of 2^14 at most, and no more",
        window_of_the_connection,
    ),
    Case("6.10 head in pieces", answered(), in_pieces()),
    Case("6.10 empty CONTINUATION", answered(), headers(1, FIELDS, whole=False) + continuation(1)),
    Case("7 GOAWAY with an unknown code", answered(), GET + goaway(code=0xFF)),
    Case("7 RST_STREAM with an unknown code", answered(stream=3), GET + reset(1, 0xFF) + headers(3, request())),
    Case(
        "8.1 POST with a length",
        answered(),
        headers(1, request("/app/", "POST", ("content-length", "3")), ends=False) + data(1, b"abc", ends=True),
    ),
    Story("8.1 body in several frames", "the app reads 5 bytes", two_data_frames),
    Story("8.1 trailers", "the app reads 3 bytes", trailers),
    Story("8.1 HEAD", "a head of 200 and no body", head_has_no_body),
    Story("8.1 Expect: 100-continue", "100, then the answer", is_told_to_go_on),
    Case("8.2.2 TE: trailers", answered(), headers(1, request("/ok", "GET", ("te", "trailers")))),
    Case(
        "8.2.3 cookies in pieces", answered(), headers(1, request("/ok", "GET", ("cookie", "a=1"), ("cookie", "b=2")))
    ),
    Case("8.3.1 Host instead of :authority", answered(), headers(1, [*request()[:3], ("host", "localhost")])),
    Case("8.3.1 OPTIONS *", answered(204) | answered(200), headers(1, request("*", "OPTIONS"))),
    Case("HPACK 6.1 indexed field", answered(404) | answered(200), indexed_request(b"\x84")),
    Case("HPACK 6.2.1 kept, indexed name", answered(), indexed_request(b"\x44" + text("/ok"))),
    Case("HPACK 6.2.1 kept, new name", answered(), indexed_request(literal(":path", "/ok", 0x40))),
    Case("HPACK 6.2.2 not kept, indexed name", answered(), indexed_request(b"\x04" + text("/ok"))),
    Case("HPACK 6.2.2 not kept, new name", answered(), indexed_request(literal(":path", "/ok"))),
    Case("HPACK 6.2.3 never kept, indexed name", answered(), indexed_request(b"\x14" + text("/ok"))),
    Case("HPACK 6.2.3 never kept, new name", answered(), indexed_request(literal(":path", "/ok", 0x10))),
    Case(
        "HPACK 2.3 entry of the dynamic table",
        answered(stream=3),
        headers(1, FIELDS + literal("x-kept", "1", 0x40)) + headers(3, FIELDS + integer(62, 7, 0x80)),
    ),
    Case("HPACK 5.2 Huffman", answered(), indexed_request(b"\x04\x83\x60\xfd\x7f")),
    Case("HPACK 6.3 table size", answered(), headers(1, integer(128, 5, 0x20) + FIELDS)),
    Case("HPACK 6.3 table size twice", answered(), headers(1, b"\x20" + integer(4096, 5, 0x20) + FIELDS)),
]
