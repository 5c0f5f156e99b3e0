"""In:     -
Out:    the cases in which single frames break RFC 9113, 3.4 to 7: what each holds, where it comes, how large it is.
Actors: none.
Never:  does a case depend on how soon the server answers: streams that must stay open have no window.
"""

from hostile.frames import (
    ACK,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    PADDED,
    PING,
    PRIORITISED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    UNKNOWN,
    WINDOW_MAX,
    WINDOW_UPDATE,
    block,
    continuation,
    data,
    frame,
    goaway,
    headers,
    literal,
    ping,
    priority,
    request,
    reset,
    settings,
    window_update,
)
from hostile.peer import Peer
from hostile.verdict import (
    Case,
    alive,
    answered,
    await_verdict,
    connection_error,
    stream_error,
)

NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION = range(10)

# No answer's body is sent: the stream stays half-closed.
NO_WINDOW = ((INITIAL_WINDOW_SIZE, 0),)

FIELDS = block(request())
GET = headers(1, request())
POST = headers(1, request("/app/", "POST"), ends=False)
OPEN_HEAD = headers(1, FIELDS, whole=False)


def ended_stream(then: bytes):
    """The frames come once the answer did: the stream is closed on both sides."""

    def act(peer: Peer) -> None:
        peer.send(GET)
        await_verdict(peer, answered())
        peer.send(then)

    return act


def beyond_window(peer: Peer) -> None:
    """More of a body than the server has said it takes; its answer has no window, so the stream stays open."""
    window = peer.server_settings.get(INITIAL_WINDOW_SIZE, 65_535)
    peer.send(headers(1, request("/ok", "POST"), ends=False))
    peer.send(data(1, bytes(FRAME_BYTES)) * (window // FRAME_BYTES + 2))


def beyond_connection_window(peer: Peer) -> None:
    """Bodies that each stay within their window, and together go beyond that of the connection."""
    window = peer.server_settings.get(INITIAL_WINDOW_SIZE, 65_535)
    for stream in range(1, 129, 2):
        peer.send(headers(stream, request("/ok", "POST"), ends=False))
        peer.send(data(stream, bytes(FRAME_BYTES)) * (window // FRAME_BYTES))


def more_streams_than_allowed(peer: Peer) -> None:
    allowed = peer.server_settings[3]
    peer.send(b"".join(headers(stream, request()) for stream in range(1, 2 * allowed + 2, 2)))


def excess_refused() -> Case:
    expected = stream_error(REFUSED, PROTOCOL, stream=257)
    return Case("5.1.2 one stream more than allowed", expected, more_streams_than_allowed, NO_WINDOW)


BEGINNINGS = [
    Case("3.4 no preface", connection_error(PROTOCOL), b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings(), greets=False),
    Case(
        "3.4 no SETTINGS behind the preface",
        connection_error(PROTOCOL),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + GET,
        greets=False,
    ),
    Case("5.4.1 a connection error ends the connection", connection_error(), frame(PING, 0, 3, bytes(8))),
]

SIZES = [
    Case("4.2 DATA larger than allowed", stream_error(SIZE), POST + data(1, bytes(FRAME_BYTES + 1))),
    Case(
        "4.2 HEADERS larger than allowed", connection_error(SIZE), headers(1, FIELDS + literal("x", b"x" * FRAME_BYTES))
    ),
    Case("4.2 unknown frame larger than allowed", connection_error(SIZE), frame(UNKNOWN, 0, 0, bytes(FRAME_BYTES + 1))),
    Case("4.2 frame of 2^24-1 bytes announced", connection_error(SIZE), b"\xff\xff\xff\x00\x00" + bytes(4)),
    Case("4.3 head that does not decode", connection_error(COMPRESSION), headers(1, b"\xff\xff\xff\xff\xff\xff")),
    Case("4.3 PRIORITY within a head", connection_error(PROTOCOL), OPEN_HEAD + priority(1)),
    Case("4.3 HEADERS of another stream within a head", connection_error(PROTOCOL), OPEN_HEAD + headers(3, FIELDS)),
    Case("5.5 unknown frame within a head", connection_error(PROTOCOL), OPEN_HEAD + frame(UNKNOWN, 0, 1, b"x")),
]

STATES = [
    Case("5.1 idle: DATA", connection_error(PROTOCOL, CLOSED), data(1, b"x", ends=True)),
    Case("5.1 idle: RST_STREAM", connection_error(PROTOCOL), reset(1)),
    Case("5.1 idle: WINDOW_UPDATE", connection_error(PROTOCOL), window_update(1, 100)),
    Case("5.1 idle: CONTINUATION", connection_error(PROTOCOL), continuation(1, FIELDS)),
    Case("5.1 half-closed: DATA", stream_error(CLOSED), GET + data(1, b"x"), NO_WINDOW),
    Case("5.1 half-closed: HEADERS", stream_error(CLOSED), GET + GET, NO_WINDOW),
    Case("5.1 half-closed: CONTINUATION", connection_error(PROTOCOL, CLOSED), GET + continuation(1, FIELDS), NO_WINDOW),
    Case("5.1 closed by RST_STREAM: DATA", stream_error(CLOSED), POST + reset(1) + data(1, b"x")),
    Case("5.1 closed by RST_STREAM: HEADERS", stream_error(CLOSED), POST + reset(1) + POST),
    Case(
        "5.1 closed by RST_STREAM: CONTINUATION",
        connection_error(PROTOCOL, CLOSED),
        POST + reset(1) + continuation(1, FIELDS),
    ),
    Case("5.1 closed by an answer: DATA", stream_error(CLOSED), ended_stream(data(1, b"x"))),
    Case("5.1 closed by an answer: HEADERS", connection_error(CLOSED, PROTOCOL), ended_stream(GET)),
    Case(
        "5.1 closed by an answer: CONTINUATION",
        connection_error(PROTOCOL, CLOSED),
        ended_stream(continuation(1, FIELDS)),
    ),
    Case("5.1.1 even stream number", connection_error(PROTOCOL), headers(2, request())),
    Case(
        "5.1.1 stream number below one before",
        connection_error(PROTOCOL, CLOSED),
        headers(5, request()) + headers(3, request()),
        NO_WINDOW,
    ),
    Case("5.1.1 stream 0", connection_error(PROTOCOL), headers(0, request())),
    excess_refused(),
    # RFC 9113 has given these up (5.3.2); RFC 7540 had them as errors.
    Case(
        "5.3 HEADERS that depend on themselves",
        stream_error(PROTOCOL) | answered(),
        frame(HEADERS, PRIORITISED | END_STREAM | END_HEADERS, 1, b"\0\0\0\x01\x0f" + FIELDS),
    ),
    Case("5.3 PRIORITY that depends on itself", stream_error(PROTOCOL) | alive(), priority(1, 1)),
]

KINDS = [
    Case("6.1 DATA on stream 0", connection_error(PROTOCOL), data(0, b"x")),
    Case(
        "6.1 DATA with more padding than payload",
        connection_error(PROTOCOL),
        POST + frame(DATA, PADDED, 1, b"\x06body."),
    ),
    Case("6.1 padded DATA without a length", connection_error(PROTOCOL, SIZE), POST + frame(DATA, PADDED, 1)),
    Case("6.2 HEADERS on stream 0", connection_error(PROTOCOL), headers(0, FIELDS)),
    Case(
        "6.2 HEADERS with more padding than payload",
        connection_error(PROTOCOL),
        frame(HEADERS, PADDED | END_HEADERS | END_STREAM, 1, b"\xff" + FIELDS[:20]),
    ),
    Case(
        "6.2 padded HEADERS without a length", connection_error(PROTOCOL, SIZE), frame(HEADERS, PADDED | END_HEADERS, 1)
    ),
    Case(
        "6.2 HEADERS too short for their priority",
        connection_error(PROTOCOL, SIZE),
        frame(HEADERS, PRIORITISED | END_HEADERS, 1, b"\0\0"),
    ),
    Case("6.3 PRIORITY on stream 0", connection_error(PROTOCOL), priority(0)),
    Case("6.3 PRIORITY of 4 bytes", stream_error(SIZE), frame(PRIORITY, 0, 1, bytes(4))),
    Case("6.3 PRIORITY of 6 bytes", stream_error(SIZE), frame(PRIORITY, 0, 1, bytes(6))),
    Case("6.4 RST_STREAM on stream 0", connection_error(PROTOCOL), reset(0)),
    Case("6.4 RST_STREAM of 3 bytes", connection_error(SIZE), POST + frame(RST_STREAM, 0, 1, bytes(3))),
    Case("6.4 RST_STREAM of 5 bytes", connection_error(SIZE), POST + frame(RST_STREAM, 0, 1, bytes(5))),
    Case("6.5 acknowledgement with a payload", connection_error(SIZE), frame(SETTINGS, ACK, 0, bytes(6))),
    Case("6.5 SETTINGS on a stream", connection_error(PROTOCOL), frame(SETTINGS, 0, 1, b"\0\x03\0\0\0\x64")),
    Case("6.5 SETTINGS of 3 bytes", connection_error(SIZE), frame(SETTINGS, 0, 0, b"\0\x03\0")),
    Case("6.5.2 ENABLE_PUSH of 2", connection_error(PROTOCOL), settings([(ENABLE_PUSH, 2)])),
    Case("6.5.2 INITIAL_WINDOW_SIZE of 2^31", connection_error(FLOW), settings([(INITIAL_WINDOW_SIZE, 2**31)])),
    Case("6.5.2 MAX_FRAME_SIZE of 2^14-1", connection_error(PROTOCOL), settings([(MAX_FRAME_SIZE, 2**14 - 1)])),
    Case("6.5.2 MAX_FRAME_SIZE of 2^24", connection_error(PROTOCOL), settings([(MAX_FRAME_SIZE, 2**24)])),
    Case(
        "6.6 PUSH_PROMISE of a client",
        connection_error(PROTOCOL),
        POST + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + FIELDS),
    ),
    Case(
        "6.6 PUSH_PROMISE of a client, stream 0",
        connection_error(PROTOCOL),
        frame(PUSH_PROMISE, END_HEADERS, 0, b"\0\0\0\x02" + FIELDS),
    ),
    Case("6.7 PING on a stream", connection_error(PROTOCOL), frame(PING, 0, 1, bytes(8))),
    Case("6.7 PING of 6 bytes", connection_error(SIZE), ping(bytes(6))),
    Case("6.7 PING of 9 bytes", connection_error(SIZE), ping(bytes(9))),
    Case("6.8 GOAWAY on a stream", connection_error(PROTOCOL), goaway(stream=1)),
    Case("6.8 GOAWAY of 7 bytes", connection_error(SIZE), frame(GOAWAY, 0, 0, bytes(7))),
    Case("6.10 CONTINUATION on stream 0", connection_error(PROTOCOL), OPEN_HEAD + continuation(0)),
    Case(
        "6.10 CONTINUATION, then another frame",
        connection_error(PROTOCOL),
        OPEN_HEAD + continuation(1, whole=False) + data(1, b"x"),
    ),
    Case("6.10 CONTINUATION of another stream", connection_error(PROTOCOL), OPEN_HEAD + continuation(3)),
    Case("6.10 CONTINUATION behind a whole head", connection_error(PROTOCOL), POST + continuation(1, FIELDS)),
    Case(
        "6.10 CONTINUATION behind the last one",
        connection_error(PROTOCOL),
        headers(1, FIELDS, ends=False, whole=False) + continuation(1) + continuation(1, FIELDS),
    ),
    Case("6.10 CONTINUATION behind DATA", connection_error(PROTOCOL), POST + data(1, b"x") + continuation(1, FIELDS)),
    Case("6.10 CONTINUATION first of all", connection_error(PROTOCOL), frame(CONTINUATION, END_HEADERS, 1, FIELDS)),
]

WINDOWS = [
    Case("6.9 WINDOW_UPDATE of 0", connection_error(PROTOCOL), window_update(0, 0)),
    Case("6.9 WINDOW_UPDATE of 0 on a stream", stream_error(PROTOCOL), POST + window_update(1, 0)),
    Case("6.9 WINDOW_UPDATE of 3 bytes", connection_error(SIZE), frame(WINDOW_UPDATE, 0, 0, bytes(3))),
    Case(
        "6.9 WINDOW_UPDATE of 5 bytes on a stream",
        connection_error(SIZE),
        POST + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1\0"),
    ),
    Case("6.9.1 window above 2^31-1", connection_error(FLOW), window_update(0, WINDOW_MAX) * 2),
    Case("6.9.1 window of a stream above 2^31-1", stream_error(FLOW), POST + window_update(1, WINDOW_MAX) * 2),
    Case(
        "6.9.2 window of a stream above 2^31-1 by SETTINGS",
        connection_error(FLOW),
        POST + window_update(1, WINDOW_MAX - 65_535) + settings([(INITIAL_WINDOW_SIZE, 65_536)]),
    ),
    Case("6.9.1 more than a stream's window", stream_error(FLOW), beyond_window, NO_WINDOW),
    Case(
        "6.9.1 more than the connection's window", stream_error(FLOW, stream=127), beyond_connection_window, NO_WINDOW
    ),
]

CASES = BEGINNINGS + SIZES + STATES + KINDS + WINDOWS
