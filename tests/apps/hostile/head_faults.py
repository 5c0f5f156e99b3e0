"""In:     -
Out:    the cases in which a request is none (RFC 9113, 8), or its head cannot be decoded (RFC 7541).
Actors: none.
Never:  is a head that two readers may read differently taken for a request.
"""

from hostile.frames import (
    END_HEADERS,
    INITIAL_WINDOW_SIZE,
    PUSH_PROMISE,
    block,
    continuation,
    data,
    frame,
    headers,
    integer,
    literal,
    request,
    text,
)
from hostile.verdict import Case, answered, connection_error, malformed, stream_error

PROTOCOL, CLOSED, COMPRESSION = 1, 5, 9

METHOD, SCHEME, PATH, AUTHORITY = request()
FIELDS = block(request())
NO_WINDOW = ((INITIAL_WINDOW_SIZE, 0),)


def head(name: str, fields) -> Case:
    return Case(f"8.2 {name}", malformed(), headers(1, fields))


def field(name: str, of, value) -> Case:
    return head(name, [*request(), (of, value)])


def pseudo(name: str, fields) -> Case:
    return Case(f"8.3 {name}", malformed(), headers(1, fields))


def path(value: str, method: str = "GET") -> Case:
    return pseudo(f":path {value[:20]!r} of {method}", request(value, method))


def authority(value) -> Case:
    return pseudo(f":authority {value!r}", [METHOD, SCHEME, PATH, (":authority", value)])


def length(name: str, declared: str, *bodies: bytes) -> Case:
    """A body that is not as long as was declared."""
    ends = not bodies
    frames = headers(1, request("/app/", "POST", ("content-length", declared)), ends=ends)
    frames += b"".join(data(1, body) for body in bodies[:-1])
    return Case(f"8.1.1 {name}", malformed(), frames + (b"" if ends else data(1, bodies[-1], ends=True)))


def trailers(name: str, *fields) -> Case:
    frames = headers(1, request("/app/", "POST"), ends=False) + data(1, b"abc") + headers(1, list(fields))
    return Case(f"8.1 {name}", malformed(), frames)


def decoded(name: str, fragment: bytes) -> Case:
    return Case(f"HPACK {name}", connection_error(COMPRESSION), headers(1, fragment))


MESSAGES = [
    Case(
        "8.1 second HEADERS that do not end the stream",
        malformed(),
        headers(1, request("/app/", "POST"), ends=False) + headers(1, [("x-more", "1")], ends=False),
    ),
    trailers("trailers with a pseudo field", (":method", "GET")),
    trailers("trailers with a name in capitals", ("X-Sum", "1")),
    trailers("trailers with Connection", ("connection", "close")),
    # Behind trailers the stream is closed for the client.
    Case(
        "8.1 trailers, then DATA",
        stream_error(CLOSED),
        headers(1, request("/app/", "POST"), ends=False) + headers(1, [("x-sum", "1")]) + data(1, b"x"),
        NO_WINDOW,
    ),
    length("length larger than the body", "5", b"abc"),
    length("length smaller than the body", "2", b"abc"),
    length("length smaller than two bodies", "4", b"abc", b"def"),
    length("length larger than two bodies", "9", b"abc", b"def"),
    length("length without a body", "5"),
    length("length of 0 with a body", "0", b"abc"),
    length("length of two numbers", "3, 3", b"abc"),
    length("length of words", "three", b"abc"),
    length("length with a sign", "+3", b"abc"),
    length("length below zero", "-3", b"abc"),
    length("length of 2^64+3", "18446744073709551619", b"abc"),
    length("length of nothing", "", b"abc"),
    Case(
        "8.4 PUSH_PROMISE of a client",
        connection_error(PROTOCOL),
        headers(1, FIELDS) + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + FIELDS),
    ),
]

FIELD_FAULTS = [
    field("name in capitals", "X-Test", "1"),
    field("name with a space", "x test", "1"),
    field("name with a colon", "x:test", "1"),
    field("name with CR LF", "x\r\ntest", "1"),
    field("name with NUL", "x\0", "1"),
    field("name beyond ASCII", b"x\xc3\xa9", "1"),
    field("empty name", "", "1"),
    field("value with NUL", "x-test", b"a\0b"),
    field("value with LF", "x-test", b"a\nb"),
    field("value with CR", "x-test", b"a\rb"),
    field("value that smuggles", "x-test", b"a\r\nContent-Length: 5\r\n\r\n"),
    field("Connection", "connection", "keep-alive"),
    field("Keep-Alive", "keep-alive", "5"),
    field("Proxy-Connection", "proxy-connection", "keep-alive"),
    field("Transfer-Encoding", "transfer-encoding", "chunked"),
    field("Upgrade", "upgrade", "h2c"),
    field("TE other than trailers", "te", "trailers, deflate;q=0.5"),
    field("second Host", "host", "other"),
    head("two Hosts", [METHOD, SCHEME, PATH, ("host", "localhost"), ("host", "localhost")]),
    # RFC 9113, 8.2.1 has these for malformed; an intermediary may not pass them on.
    field("value that begins with a space", "x-test", " a"),
    field("value that ends with a tab", "x-test", "a\t"),
]

PSEUDO_FAULTS = [
    pseudo("unknown field", [*request(), (":test", "1")]),
    pseudo("field of an answer", [*request(), (":status", "200")]),
    pseudo("field behind a regular one", [METHOD, SCHEME, ("x-test", "1"), PATH, AUTHORITY]),
    pseudo("no :method", [SCHEME, PATH, AUTHORITY]),
    pseudo("no :scheme", [METHOD, PATH, AUTHORITY]),
    pseudo("no :path", [METHOD, SCHEME, AUTHORITY]),
    pseudo("no field at all", b""),
    pseudo("two :method", [METHOD, *request()]),
    pseudo("two :scheme", [SCHEME, *request()]),
    pseudo("two :path", [PATH, *request()]),
    pseudo("two :authority", [AUTHORITY, *request()]),
    pseudo("no authority at all", [METHOD, SCHEME, PATH]),
    pseudo("empty :method", request(method="")),
    pseudo(":method with a space", request(method="GET /x")),
    pseudo(":method with CR LF", request(method="GET\r\nx:")),
    pseudo(":protocol without an offer of it", [*request(method="CONNECT"), (":protocol", "websocket")]),
    pseudo("CONNECT with :path", request(method="CONNECT")),
    pseudo("CONNECT, which is not spoken", [(":method", "CONNECT"), AUTHORITY]),
    pseudo("name in capitals", [(":Method", "GET"), SCHEME, PATH, AUTHORITY]),
    pseudo("only a colon", [*request(), (":", "1")]),
    path(""),
    path("no/slash"),
    path("*"),
    path("http://other/"),
    path("/ok?a b"),
    path("/ok\r\nx: y"),
    path("/ok?a\0b"),
    path("/ok#b"),
    path("/../../etc/passwd"),
    authority("user@localhost"),
    authority(""),
    authority("local host"),
    authority("localhost\r\nx: y"),
    authority("localhost/x"),
    authority("localhost:99999x"),
    authority(b"\xff"),
    pseudo(":scheme with CR LF", [METHOD, (":scheme", "http\r\n"), PATH, AUTHORITY]),
]

COMPRESSION_FAULTS = [
    decoded("2.3.3 index beyond the tables", FIELDS + integer(70, 7, 0x80)),
    decoded("2.3.3 name beyond the tables", FIELDS + integer(70, 6, 0x40) + text("x")),
    decoded("4.2 table size behind a field", FIELDS + integer(0, 5, 0x20)),
    decoded("5.1 integer without an end", FIELDS + b"\xff" + b"\xff" * 20),
    decoded("5.1 integer of 64 bits", FIELDS + b"\xff" + b"\x80" * 9 + b"\x01"),
    decoded("5.1 integer that is cut off", FIELDS + b"\xff\x80"),
    decoded("5.2 string beyond the head", FIELDS + b"\x00\x7f\x01x"),
    decoded("5.2 value that is missing", FIELDS + b"\x00" + text("x-test")),
    decoded("5.2 Huffman padding of more than 7 bits", FIELDS + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"),
    decoded("5.2 Huffman padding of zeros", FIELDS + b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"),
    decoded("5.2 Huffman with EOS", FIELDS + b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f"),
    decoded("5.2 Huffman of EOS alone", FIELDS + b"\x00" + text("x-test") + b"\x84\xff\xff\xff\xff"),
    decoded("6.1 index 0", FIELDS + b"\x80"),
    decoded("6.3 table size beyond what is allowed", integer(4097, 5, 0x20) + FIELDS),
    Case(
        "HPACK 6.3 table size within CONTINUATION",
        connection_error(COMPRESSION),
        headers(1, FIELDS, whole=False) + continuation(1, b"\x20"),
    ),
    Case(
        "HPACK 4.3 an entry that was thrown out",
        connection_error(COMPRESSION),
        headers(1, FIELDS + literal("x-kept", "1", 0x40)) + headers(3, b"\x20" + FIELDS + integer(62, 7, 0x80)),
    ),
    Case(
        "HPACK 4.4 an entry larger than the table",
        answered(stream=3),
        headers(1, FIELDS + literal("x-large", "x" * 5000, 0x40)) + headers(3, FIELDS),
    ),
]

CASES = MESSAGES + FIELD_FAULTS + PSEUDO_FAULTS + COMPRESSION_FAULTS
