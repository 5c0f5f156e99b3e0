"""In:     -
Out:    the cases in which a client sends much that is cheap for it: others are served meanwhile, memory stays.
Actors: one hostile connection beside one that is well-behaved.
Never:  does a flood go on for longer than its limit of bytes or seconds.
"""

import itertools
import time
from collections.abc import Callable, Iterable

from hyperframe import frame as read

from hostile.frames import (
    CONTINUATION,
    FRAME_BYTES,
    GOAWAY,
    INITIAL_WINDOW_SIZE,
    UNKNOWN,
    WINDOW_MAX,
    block,
    continuation,
    data,
    frame,
    headers,
    literal,
    ping,
    priority,
    request,
    reset,
    settings,
    window_update,
)
from hostile.honest import Witness
from hostile.peer import Peer, Place, Seen
from hostile.verdict import (
    Expectation,
    Story,
    await_verdict,
    connection_error,
    malformed,
    next_of,
    stream_error,
)

FLOOD_BYTES = 20 * 2**20
FLOOD_SECONDS = 8
# A server that takes nothing for so long waits until its answers are read.
STALL_SECONDS = 1
CHUNK_BYTES = 64 * 1024
STREAMS = 5_000

PROTOCOL, CALM = 1, 11
FIELDS = block(request())
POST = headers(1, request("/app/", "POST"), ends=False)
# Its answer has no window, and nobody reads its body: the stream stays.
UNREAD_POST = headers(1, request("/ok", "POST"), ends=False)
NO_WINDOW = ((INITIAL_WINDOW_SIZE, 0),)


def story(name: str, demand: str, act: Callable[[Peer], str], wishes=()) -> Story:
    """A case whose connection is still open when others ask."""

    def tell(place: Place) -> str:
        with Peer(place, wishes) as peer, Witness(place) as witness:
            seen = act(peer)
            return f"{seen}; {witness.told()}"

    return Story(name, f"{demand}; others are served and memory grows by 32 MiB at most", tell)


def pour(peer: Peer, chunks: Iterable[bytes], reads: bool = True, may_go_on: bool = False) -> str:
    """Sends until all is sent or the server has had enough, and says which. It must have, unless all may go on."""
    until = time.monotonic() + FLOOD_SECONDS
    for chunk in chunks:
        taken = time.monotonic() < until and peer.send(chunk, STALL_SECONDS, reads)
        if parting := last_word(peer):
            return f"{parting.what} after {peer.sent_bytes} bytes"
        if not taken:
            return f"{peer.end or 'no more taken'} after {peer.sent_bytes} bytes"
    if may_go_on:
        return f"all {peer.sent_bytes} bytes were taken"
    return f"{await_verdict(peer, connection_error(CALM))} behind all {peer.sent_bytes} bytes"


def last_word(peer: Peer) -> Seen | None:
    """The GOAWAY among what has come, where there is one. Heads before it are decoded, too: those behind go by them."""
    while (frame_bytes := peer.cut()) is not None:
        seen = peer.interpret(frame_bytes)
        if frame_bytes[3] == GOAWAY:
            return seen
    return None


def flood(name: str, unit: bytes, before: bytes = b"", wishes=(), reads: bool = True) -> Story:
    """The same again and again."""
    chunk = unit * (CHUNK_BYTES // len(unit))
    chunks = itertools.repeat(chunk, FLOOD_BYTES // len(chunk))
    return story(
        name, "the end of the connection", lambda peer: pour(peer, itertools.chain([before], chunks), reads), wishes
    )


def on_each_stream(name: str, frames_of: Callable[[int], bytes], wishes=()) -> Story:
    """The same on one stream after the other."""
    numbers = range(1, 2 * STREAMS, 2)
    batches = (numbers[at : at + 50] for at in range(0, STREAMS, 50))
    chunks = [b"".join(frames_of(stream) for stream in batch) for batch in batches]
    return story(name, "the end of the connection", lambda peer: pour(peer, chunks), wishes)


def reset_later(path: str) -> Callable[[Peer], str]:
    """Requests that are taken back when they have just begun."""

    def act(peer: Peer) -> str:
        for at in range(1, 2 * STREAMS, 100):
            numbers = range(at, at + 100, 2)
            peer.send(b"".join(headers(stream, request(path)) for stream in numbers))
            time.sleep(0.005)
            taken = peer.send(b"".join(reset(stream) for stream in numbers))
            if (parting := last_word(peer)) or not taken:
                return f"{parting.what if parting else peer.end} after {at // 2 + 50} streams"
        return await_verdict(peer, connection_error(CALM))

    return act


def long_head(*pieces: bytes) -> Callable[[Peer], None]:
    """A head in as many frames as it needs."""
    whole = FIELDS + b"".join(pieces)
    parts = [whole[at : at + FRAME_BYTES] for at in range(0, len(whole), FRAME_BYTES)]
    frames = headers(1, parts[0], whole=len(parts) == 1)
    frames += b"".join(continuation(1, part, part is parts[-1]) for part in parts[1:])
    return lambda peer: peer.send(frames)


def bomb(peer: Peer) -> None:
    """Heads of few bytes that stand for much: 64 MB each."""
    peer.send(headers(1, FIELDS + literal("x", "x" * 4000, 0x40)))
    next_of(peer, read.HeadersFrame)
    for stream in range(3, 23, 2):
        peer.send(headers(stream, FIELDS + b"\xbe" * (FRAME_BYTES - len(FIELDS))))


def refused(name: str, act: Callable[[Peer], None], stream: int = 1) -> Story:
    """A head that must not be taken for a request."""
    expected: Expectation = malformed(stream) | stream_error(PROTOCOL, CALM, stream=stream)

    def send(peer: Peer) -> str:
        act(peer)
        return await_verdict(peer, expected)

    return story(name, expected.text, send)


def window_moves(peer: Peer) -> str:
    """Each change of the window is one for every stream."""
    peer.send(b"".join(headers(stream, request("/large.bin")) for stream in range(1, 257, 2)))
    chunk = (settings([(INITIAL_WINDOW_SIZE, 1)]) + settings([(INITIAL_WINDOW_SIZE, 0)])) * 2000
    return pour(peer, itertools.repeat(chunk, FLOOD_BYTES // len(chunk)), may_go_on=True)


def byte_by_byte(peer: Peer) -> str:
    """Large answers, of which each is let go by one byte at a time."""
    numbers = range(1, 257, 2)
    peer.send(b"".join(headers(stream, request("/large.bin")) for stream in numbers))
    chunk = b"".join(window_update(stream, 1) for stream in numbers) * 20
    return pour(peer, itertools.repeat(chunk, FLOOD_BYTES // len(chunk)), may_go_on=True)


MANY_FIELDS = b"".join(literal(f"x-{number}", "1") for number in range(2000))
KEPT = literal("x", "x" * 4000, 0x40)

CASES = [
    on_each_stream("10.5 rapid reset", lambda stream: headers(stream, request("/app/")) + reset(stream)),
    story("10.5 rapid reset, some ms later", "the end of the connection", reset_later("/app/slow")),
    story("10.5 rapid reset of large files", "the end of the connection", reset_later("/large.bin")),
    on_each_stream(
        "10.5 resets that the server is made to send",
        lambda stream: headers(stream, request("/app/")) + window_update(stream, WINDOW_MAX),
    ),
    on_each_stream("10.5 requests that are none", lambda stream: headers(stream, request(":"))),
    flood(
        "10.5 CONTINUATION without an end",
        continuation(1, literal("x", "x" * 1000), whole=False),
        headers(1, FIELDS, whole=False),
    ),
    flood(
        "10.5 CONTINUATION of one byte",
        continuation(1, b"\x00", whole=False),
        headers(1, FIELDS + b"\x00\x7f\xff\xff\xff\x00", whole=False),
    ),
    flood("10.5 empty CONTINUATION", frame(CONTINUATION, 0, 1), headers(1, FIELDS, whole=False)),
    flood("10.5 SETTINGS", settings([(INITIAL_WINDOW_SIZE, 65_535)])),
    flood("10.5 SETTINGS whose answers are not read", settings([(INITIAL_WINDOW_SIZE, 65_535)]), reads=False),
    flood("10.5 SETTINGS of many values", settings([(INITIAL_WINDOW_SIZE, 1)] * 2000)),
    flood("10.5 PING", ping()),
    flood("10.5 PING whose answers are not read", ping(), reads=False),
    flood("10.5 empty DATA", data(1), POST),
    flood("10.5 empty DATA that nobody reads", data(1), UNREAD_POST, NO_WINDOW),
    flood("10.5 DATA of one byte that nobody reads", data(1, b"x"), UNREAD_POST, NO_WINDOW),
    flood("10.5 padding alone", frame(0, 8, 1, b"\xff" + bytes(255)), POST),
    flood("10.5 PRIORITY", priority(1)),
    flood("10.5 PRIORITY of ever more streams", b"".join(priority(stream, 0) for stream in range(3, 9001, 2))),
    flood("10.5 WINDOW_UPDATE", window_update(0, 1)),
    flood("10.5 WINDOW_UPDATE of a stream", window_update(1, 1), POST),
    flood("10.5 unknown frames", frame(UNKNOWN, 0, 0, bytes(100))),
    flood("10.5 RST_STREAM of a stream that is gone", reset(1), POST),
    story("10.5 windows that move", "what is let go", window_moves, NO_WINDOW),
    story("10.5 answers by the byte", "what is let go", byte_by_byte, NO_WINDOW),
    refused("10.5.1 header list larger than allowed", long_head(literal("x", "x" * 33_000))),
    refused("10.5.1 header list much larger than allowed", long_head(literal("x", "x" * 400_000))),
    refused("10.5.1 more fields than allowed", long_head(MANY_FIELDS)),
    refused("10.5.1 small head that stands for a large one", bomb, stream=3),
    refused("10.5.1 small head that stands for a large one, at once", long_head(KEPT, b"\xbe" * 50_000)),
    refused("10.5.1 names of no length", long_head(literal("", "") * 10_000)),
    refused("10.5.1 names of no length, by Huffman", long_head(b"\x40\x80\x80" * 10_000)),
]
