"""Cases after those of the Autobahn suite, on raw connections: what a server answers to each, frame by frame.

In:     the addresses of the server itself and of hallway before it.
Out:    how many cases; those that the way through hallway answers otherwise.
Actors: one connection for each case and way.
Never:  does a library mend a frame: wsproto only reads what comes back.
"""

import base64
import os
import random
import select
import socket
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

from wsproto.connection import CLIENT, Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0
# Cases of more writes are about how bytes are cut: it is waited before the last one only.
PACED_MAX = 14


def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"mask", length=None):
    """One frame, right or wrong."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload) if length is None else length
    masked = 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", first, masked | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    if mask:
        pad = (mask * (len(payload) // 4 + 1))[: len(payload)]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")
    return head + (mask or b"") + payload


def close(code=1000, reason=b""):
    return frame(CLOSE, struct.pack("!H", code) + reason)


def cases():
    sizes = [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 300_000]
    # 1: messages of every size, whole and in writes of some bytes.
    for opcode in (TEXT, BINARY):
        for size in sizes:
            yield f"1 {opcode} {size}", [frame(opcode, b"*" * size), close()]
        for step in (1, 3, 997):
            data = frame(opcode, b"*" * 2000)
            yield f"1 {opcode} in {step}", [data[at : at + step] for at in range(0, len(data), step)] + [close()]
    # 2: pings and pongs.
    for payload in (b"", b"hello", bytes(range(250, 256)), b"x" * 125):
        yield f"2 ping {payload[:8]!r}", [frame(PING, payload), close()]
    yield "2 long ping", [frame(PING, b"x" * 126)]
    yield "2 pong unasked", [frame(PONG, b"x"), frame(PING, b"y"), close()]
    yield "2 ten pings", [b"".join(frame(PING, b"%d" % number) for number in range(10)), close()]
    yield "2 ping by bytes", [frame(PING, b"abc")[at : at + 1] for at in range(9)] + [close()]
    # 3: reserved bits.
    for rsv in range(1, 8):
        yield f"3 bits {rsv}", [frame(TEXT, b"a", rsv=rsv), close()]
        yield f"3 bits {rsv} of a ping", [frame(TEXT, b"a"), frame(PING, b"b", rsv=rsv), close()]
    # 4: opcodes that are none.
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"4 opcode {opcode}", [frame(opcode, b"a"), close()]
        yield f"4 opcode {opcode} behind", [frame(TEXT, b"a"), frame(opcode), close()]
    # 5: fragments.
    pieces = [frame(TEXT, b"one ", fin=False), frame(CONTINUATION, b"two ", fin=False), frame(CONTINUATION, b"three")]
    yield "5 three", [*pieces, close()]
    yield "5 three at once", [b"".join(pieces) + close()]
    yield "5 with a ping", [pieces[0], frame(PING, b"!"), *pieces[1:], close()]
    yield "5 ping in fragments", [frame(PING, b"a", fin=False), frame(CONTINUATION, b"b")]
    yield "5 nothing to continue", [frame(CONTINUATION, b"a"), close()]
    yield "5 nothing to continue, open", [frame(CONTINUATION, b"a", fin=False), close()]
    yield "5 text in text", [frame(TEXT, b"a", fin=False), frame(TEXT, b"b"), close()]
    yield "5 many", [frame(BINARY, b"a", fin=False)] + [frame(CONTINUATION, b"b", fin=False)] * 200 + [frame(CONTINUATION), close()]
    for count in (2, 10):
        yield f"5 empty {count}", [frame(TEXT, b"", fin=False)] + [frame(CONTINUATION, b"", fin=False)] * count + [frame(CONTINUATION), close()]
    # 6: what is UTF-8 and what is not.
    for number, text in enumerate((
        "Hello-µ@ßöäüàá-UTF-8!!".encode(), "κόσμε".encode(), b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        b"\xff", b"\xc0\xaf", b"\xe2\x82", b"\xf4\x90\x80\x80", b"\xed\xbf\xbf", b"\xf0\x9f\x98\x80", b"\x00\x7f", b"\xc3(",
        b"\xf8\x88\x80\x80\x80", b"\xef\xbf\xbf", b"\xef\xbb\xbf", b"\xfe\xfe\xff\xff", b"\xe0\x80\xaf", b"\xf4\x8f\xbf\xbf",
    )):
        yield f"6 text {number}", [frame(TEXT, text), close()]
        if len(text) > 1:
            yield f"6 text {number} in pieces", [
                frame(TEXT, text[:1], fin=False),
                *(frame(CONTINUATION, text[at : at + 1], fin=at == len(text) - 1) for at in range(1, len(text))),
                close(),
            ]
    # 7: ends of every kind.
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield f"7 code {code}", [close(code, b"reason")]
    for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535):
        yield f"7 wrong code {code}", [close(code)]
    yield "7 no code", [frame(CLOSE)]
    yield "7 half a code", [frame(CLOSE, b"\x03")]
    yield "7 long reason", [close(1000, b"x" * 123)]
    yield "7 too long reason", [close(1000, b"x" * 124)]
    yield "7 foul reason", [close(1000, b"\xff\xfe")]
    yield "7 ping behind", [close(), frame(PING, b"late")]
    yield "7 text behind", [close(), frame(TEXT, b"late")]
    yield "7 twice", [close(), close()]
    # 8: what no client may.
    yield "8 not masked", [frame(TEXT, b"a", mask=b""), close()]
    yield "8 huge length", [frame(BINARY, b"", length=1 << 62)]
    yield "8 negative length", [struct.pack("!BBQ", 0x82, 0xFF, 1 << 63) + b"mask"]
    yield "8 no websocket", [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"]
    # 9: long messages, in fragments of some size.
    for size in (1 << 16, 1 << 20, 4 << 20):
        yield f"9 whole {size}", [frame(BINARY, b"*" * size), close()]
        for step in (64, 4096, 1 << 16):
            if size // step <= 20_000:
                data = [frame(BINARY, b"*" * step, fin=False)] + [frame(CONTINUATION, b"*" * step, fin=False)] * (size // step - 1)
                yield f"9 {size} by {step}", [b"".join(data), frame(CONTINUATION), close()]
    # 10: many messages behind each other.
    for count, size in ((1000, 0), (1000, 16), (1000, 1024)):
        yield f"10 {count} of {size}", [b"".join(frame(TEXT, b"m" * size) for _ in range(count)), close()]
    # 11: by chance.
    dice = random.Random(20261121)
    for number in range(40):
        writes = []
        for _ in range(dice.randrange(1, 12)):
            opcode = dice.choice([TEXT, BINARY, PING, PONG, CONTINUATION])
            payload = dice.randbytes(dice.choice([0, 3, 60, 125])) if opcode != TEXT else b"t" * dice.randrange(200)
            writes.append(frame(opcode, payload, fin=dice.random() > 0.2))
        yield f"11 chance {number}", [*writes, close()]


def said(address, writes, compressed, quiet):
    """What comes back, event by event, and how it ends. Between writes it is waited for so many seconds of silence: what
    a server does with frames that come together is its own affair."""
    host, port = address.rsplit(":", 1)
    extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if compressed else ""
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.settimeout(60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(
            f"GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(1)
            if not more:
                return ["no handshake"]
            head += more
        events = [head.split(b"\r\n")[0].decode()]
        lines = head.lower().split(b"\r\n")
        extensions = []
        if any(line.startswith(b"sec-websocket-extensions") for line in lines):
            events.append("compressed")
            deflate = PerMessageDeflate()
            value = next(line.split(b":", 1)[1] for line in lines if line.startswith(b"sec-websocket-extensions"))
            deflate.finalize(value.decode().strip())
            extensions.append(deflate)
        reader = Connection(CLIENT, extensions)
        early = []
        try:
            for number, write in enumerate(writes):
                connection.sendall(write)
                is_paced = len(writes) <= PACED_MAX or number == len(writes) - 2
                while is_paced and select.select([connection], [], [], quiet)[0]:
                    early.append(connection.recv(65536))
                    if not early[-1]:
                        break
        except OSError:
            pass
        text = b""
        while True:
            try:
                more = early.pop(0) if early else connection.recv(65536)
            except (ConnectionResetError, TimeoutError) as error:
                events.append("reset" if isinstance(error, ConnectionResetError) else "nothing")
                break
            if not more:
                events.append("end")
                break
            if reader.state is ConnectionState.CLOSED:
                continue
            reader.receive_data(more)
            for event in reader.events():
                if isinstance(event, (TextMessage, BytesMessage)):
                    text += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                    if event.message_finished:
                        events.append((type(event).__name__, len(text), hash(text)))
                        text = b""
                elif isinstance(event, CloseConnection):
                    events.append(("close", event.code, event.reason))
                elif isinstance(event, (Ping, Pong)):
                    events.append((type(event).__name__, bytes(event.payload)))
        # A server that has said its last may end a connection in either way.
        return [event for event in events if event not in ("reset", "end")] + (["over"] if events[-1] in ("reset", "end") else [])


def compare(case):
    """What is answered otherwise; tried again in peace before it is believed."""
    compressed, (name, writes) = case
    for quiet in (0.05, 0.5, 3, 10):
        one, other = said(direct, writes, compressed, quiet), said(through, writes, compressed, quiet)
        if one == other:
            return None
    shown = [str(events)[:400] for events in (one, other)]
    return f"{name}{' compressed' if compressed else ''}:\n  itself  {shown[0]}\n  through {shown[1]}"


direct, through = sys.argv[1:]
every = [(compressed, case) for compressed in (False, True) for case in cases()]
count = len(every)
with ThreadPoolExecutor(8) as workers:
    others = [other for other in workers.map(compare, every) if other]
print(f"{count} cases, {len(others)} answered otherwise")
print("\n".join(others[:20]))
