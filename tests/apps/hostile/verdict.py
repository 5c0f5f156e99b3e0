"""In:     what a server sent, and what the RFC has it send.
Out:    whether that is right, with what was seen.
Actors: none.
Never:  is silence, or an answer that nobody may give, taken for a refusal.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hyperframe import frame as read

from hostile.frames import ping
from hostile.peer import Peer, Place, Seen, code_name

# For what must come, also on a busy machine.
PATIENCE_SECONDS = 30
PROBE = b"are you "


class Wrong(Exception):
    """The server did what it must not, or did not what it must."""


@dataclass(frozen=True)
class Expectation:
    """What must come: `judge` says of each thing seen yes, no, or nothing yet."""

    text: str
    judge: Callable[[Seen], bool | None]
    # Sent behind what the case sends.
    probe: bytes = b""

    def __or__(self, other: "Expectation") -> "Expectation":
        def judge(seen: Seen) -> bool | None:
            verdicts = (self.judge(seen), other.judge(seen))
            return True if True in verdicts else None if None in verdicts else False

        return Expectation(f"{self.text}, or {other.text}", judge, self.probe or other.probe)


@dataclass(frozen=True)
class Case:
    """What is sent on a fresh connection, and what must come of it."""

    name: str
    expected: Expectation
    # Bytes, or what else is done with the peer.
    act: bytes | Callable[[Peer], None]
    # The peer's own settings.
    wishes: tuple = ()
    greets: bool = True

    @property
    def demand(self) -> str:
        return self.expected.text

    def run(self, place: Place) -> str:
        with Peer(place, self.wishes, self.greets) as peer:
            if isinstance(self.act, bytes):
                peer.send(self.act)
            else:
                self.act(peer)
            return await_verdict(peer, self.expected)


@dataclass(frozen=True)
class Story:
    """A case that needs more than one step; it raises Wrong or says what it saw."""

    name: str
    demand: str
    tell: Callable[[Place], str]

    def run(self, place: Place) -> str:
        return self.tell(place)


def await_verdict(peer: Peer, expected: Expectation, seconds: float = PATIENCE_SECONDS) -> str:
    peer.send(expected.probe)
    until, before = time.monotonic() + seconds, []
    while True:
        seen = peer.next(until)
        verdict = expected.judge(seen)
        before.append(seen.what)
        if verdict:
            return told(before)
        if verdict is False or seen.frame is None:
            raise Wrong(told(before))


def next_of(peer: Peer, kind: type, seconds: float = PATIENCE_SECONDS) -> Seen:
    """The next frame of this kind; others are passed over."""
    until = time.monotonic() + seconds
    while not (seen := peer.next(until)).is_a(kind):
        if seen.frame is None:
            raise Wrong(seen.what)
    return seen


def told(whats: list[str]) -> str:
    """What was seen, the last of it where it was much."""
    parts = [what for what in whats if what not in ("Settings", "Ping", "WindowUpdate")] or whats
    return ("... " if len(parts) > 4 else "") + ", ".join(parts[-4:])


def connection_error(*codes: int) -> Expectation:
    """GOAWAY or the end. With another code the connection must end all the same, as h2spec has it."""

    def judge(seen: Seen) -> bool | None:
        if seen.is_end:
            return True
        return True if seen.is_a(read.GoAwayFrame) and seen.frame.error_code in codes else None

    return Expectation(f"a connection error {names(codes)}", judge)


def stream_error(*codes: int, stream: int = 1) -> Expectation:
    def judge(seen: Seen) -> bool | None:
        if seen.is_a(read.RstStreamFrame, stream) and seen.frame.error_code:
            return seen.frame.error_code in codes
        return whole.judge(seen)

    whole = connection_error(*codes)
    return Expectation(f"a stream error {names(codes)}, or that as a connection error", judge)


def malformed(stream: int = 1) -> Expectation:
    """A request that is none (RFC 9113, 8.1.1): refused, also by an answer that says so."""

    def judge(seen: Seen) -> bool | None:
        if seen.is_a(read.HeadersFrame, stream):
            return 400 <= seen.status <= 499 or seen.status == 501
        return refused.judge(seen)

    refused = stream_error(1, stream=stream)
    return Expectation(f"{refused.text}, or an answer of 4xx", judge)


def answered(status: int = 200, stream: int = 1) -> Expectation:
    """An answer with this status, to its end."""
    came = []

    def judge(seen: Seen) -> bool | None:
        if seen.is_a(read.HeadersFrame, stream) and seen.status >= 200:
            came[:] = [seen.status]
        if seen.is_a(read.RstStreamFrame, stream) or seen.is_a(read.GoAwayFrame) or seen.frame is None:
            return False
        if "END_STREAM" in seen.frame.flags and seen.frame.stream_id == stream:
            return came == [status]
        return None

    return Expectation(f"an answer of {status}", judge)


def alive() -> Expectation:
    """The connection goes on: a PING is answered."""

    def judge(seen: Seen) -> bool | None:
        if seen.is_a(read.GoAwayFrame) or seen.is_a(read.RstStreamFrame) or seen.frame is None:
            return False
        return True if seen.is_a(read.PingFrame) and seen.frame.opaque_data == PROBE else None

    return Expectation("to be ignored", judge, ping(PROBE))


def names(codes) -> str:
    return " or ".join(code_name(code) for code in codes)
