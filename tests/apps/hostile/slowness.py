"""In:     -
Out:    the cases in which a client sends or takes hardly anything: it is let go once its time is over.
Actors: one slow connection beside one that is well-behaved.
Never:  does a case count on more than what the server's limits of two seconds say, and what it may be late.
"""

import time
from collections.abc import Callable, Iterable

from hyperframe import frame as read

from hostile.frames import (
    CONTINUATION,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PREFACE,
    WINDOW_MAX,
    block,
    data,
    frame,
    headers,
    request,
    window_update,
)
from hostile.honest import Witness
from hostile.peer import Peer, Place
from hostile.verdict import Story, Wrong, next_of

# What the server gives for a head, a pause in a body, and a pause in which nothing of an answer is taken.
LIMIT_SECONDS = 2
# Late by two sweeps, and the time that a busy machine takes.
LATE_SECONDS = 20
# What is slow, but no slower than it may be, is so for longer than the limit.
SLOW_SECONDS = LIMIT_SECONDS + 1.5
PACE_SECONDS = 0.1

STREAMS = 128
# What may wait for a client that takes nothing, with what the kernel keeps for it.
WAITING_BYTES_MAX = 32 * 2**20
FIELDS = block(request())
NO_WINDOW = ((INITIAL_WINDOW_SIZE, 0),)
LARGEST_WINDOW = ((INITIAL_WINDOW_SIZE, WINDOW_MAX),)


def story(name: str, demand: str, act: Callable[[Peer], str], wishes=(), greets: bool = True) -> Story:
    def tell(place: Place) -> str:
        with Peer(place, wishes, greets) as peer, Witness(place) as witness:
            return f"{act(peer)}; {witness.told()}"

    return Story(name, f"{demand}; others are served and memory grows by 32 MiB at most", tell)


def refusal(peer: Peer) -> str:
    """What says that the server waits no longer; nothing while it does."""
    while (frame_bytes := peer.cut()) is not None:
        seen = peer.interpret(frame_bytes)
        if seen.is_a(read.GoAwayFrame) or seen.is_a(read.RstStreamFrame) or seen.status >= 400:
            return seen.what
    return peer.end


def drip(peer: Peer, pieces: Iterable[bytes], pace_seconds: float = PACE_SECONDS, may_be_early: bool = False) -> str:
    """Sends piece by piece, until the server has waited enough."""
    begun = time.monotonic()
    for piece in pieces:
        peer.send(piece)
        peer.read_for(pace_seconds)
        waited = time.monotonic() - begun
        if refused := refusal(peer):
            if waited < LIMIT_SECONDS and not may_be_early:
                raise Wrong(f"{refused} after only {waited:.1f} s")
            return f"{refused} after {waited:.1f} s"
        if waited > LIMIT_SECONDS + LATE_SECONDS:
            raise Wrong(f"nothing after {waited:.1f} s")
    raise Wrong("all of it was taken")


def byte_by_byte(whole: bytes) -> list[bytes]:
    return [whole[at : at + 1] for at in range(len(whole))]


def slow_head(peer: Peer) -> str:
    return drip(peer, byte_by_byte(headers(1, [*request(), ("x-long", "x" * 100)])))


def slow_continuation(peer: Peer) -> str:
    first = frame(HEADERS, 1, 1, FIELDS)
    # That there are too many of them may be seen before that they are slow.
    return drip(peer, [first] + [frame(CONTINUATION, 0, 1, b"\x00\x01x\x01y")] * 99, may_be_early=True)


def slow_preface(peer: Peer) -> str:
    return drip(peer, byte_by_byte(PREFACE), pace_seconds=0.15)


def half_a_preface(peer: Peer) -> str:
    return drip(peer, [PREFACE[:18]] + [b""] * 999)


def silent_body(peer: Peer) -> str:
    fields = request("/app/", "POST", ("content-length", "100"))
    return drip(peer, [headers(1, fields, ends=False) + data(1, b"abc")] + [b""] * 999)


def body_of_nothing(peer: Peer) -> str:
    """Frames come, the body does not."""
    return drip(peer, [headers(1, request("/app/", "POST"), ends=False)] + [data(1)] * 999)


def expects_go_on(peer: Peer) -> str:
    fields = request("/app/", "POST", ("expect", "100-continue"))
    return drip(peer, [headers(1, fields, ends=False)] + [b""] * 999)


def slow_body(peer: Peer) -> str:
    """A body may be slow: only its pauses have a limit."""
    peer.send(headers(1, request("/app/", "POST"), ends=False))
    for _ in range(int(SLOW_SECONDS / PACE_SECONDS)):
        peer.send(data(1, b"x"))
        peer.read_for(PACE_SECONDS)
        if refused := refusal(peer):
            raise Wrong(refused)
    peer.send(data(1, b"x", ends=True))
    seen = next_of(peer, read.HeadersFrame)
    if seen.status != 200:
        raise Wrong(seen.what)
    return seen.what


def no_window(peer: Peer) -> str:
    """Answers of which nothing is let go."""
    begun, ended = time.monotonic(), set()
    peer.send(b"".join(headers(stream, request("/large.bin")) for stream in range(1, 2 * STREAMS, 2)))
    while len(ended) < STREAMS:
        seen = peer.next(begun + LIMIT_SECONDS + LATE_SECONDS)
        if seen.is_a(read.RstStreamFrame):
            ended.add(seen.frame.stream_id)
        elif seen.is_a(read.GoAwayFrame) or seen.frame is None:
            break
    waited = time.monotonic() - begun
    if waited < LIMIT_SECONDS or not (seen.is_end or len(ended) == STREAMS or seen.is_a(read.GoAwayFrame)):
        raise Wrong(f"{len(ended)} of {STREAMS} streams are gone after {waited:.1f} s: {seen.what}")
    return f"{len(ended)} streams were reset after {waited:.1f} s"


def nothing_read(path: str, bytes_each: int) -> Callable[[Peer], str]:
    """Answers that may all come, and of which nothing is read."""

    def act(peer: Peer) -> str:
        peer.send(window_update(0, WINDOW_MAX - 65_535))
        peer.send(b"".join(headers(stream, request(path)) for stream in range(1, 2 * STREAMS, 2)), reads=False)
        time.sleep(SLOW_SECONDS)
        # Only what the kernel keeps may still come, and what says that no more does.
        taken = peer.drop(LIMIT_SECONDS)
        if taken > min(WAITING_BYTES_MAX, STREAMS * bytes_each):
            raise Wrong(f"{taken} bytes came afterwards")
        return f"{taken} bytes came afterwards, {peer.end or 'the connection is open'}"

    return act


CASES = [
    story("10.5 slow preface", "the end after head_timeout", slow_preface, greets=False),
    story("10.5 half a preface", "the end after head_timeout", half_a_preface, greets=False),
    story("10.5 slow head", "a refusal after head_timeout", slow_head),
    story("10.5 slow head in CONTINUATION", "a refusal after head_timeout", slow_continuation),
    story("10.5 body that stops", "408 or a reset after body_timeout", silent_body),
    story("10.5 body of empty frames", "408 or a reset after body_timeout", body_of_nothing),
    story(
        "10.5 body that waits for 100-continue and does not come", "408 or a reset after body_timeout", expects_go_on
    ),
    story("10.5 body that is slow", "an answer of 200", slow_body),
    story("10.5 large answers without a window", "resets after write_timeout", no_window, NO_WINDOW),
    story(
        "10.5 large answers that nobody reads",
        "the streams' end after write_timeout",
        nothing_read("/large.bin", 10 * 2**20),
        LARGEST_WINDOW,
    ),
    story(
        "10.5 answers that nobody reads",
        "the end after write_timeout",
        nothing_read("/medium.bin", 60_000),
        LARGEST_WINDOW,
    ),
]
