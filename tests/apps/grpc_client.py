"""Asks a gRPC service through hallway in every way there is, and compares.

In:     the address of hallway.
Out:    `all well`, or what was not.
Actors: the threads of grpcio.
Never:  is an answer taken for right whose status or trailers are missing.
"""

import queue
import sys
import time

import grpc


def check(name, found, expected):
    if found != expected:
        sys.exit(f"{name}: {found!r} instead of {expected!r}")


with grpc.insecure_channel(sys.argv[1]) as channel:
    one = channel.unary_unary("/story.Echo/One")
    answer, call = one.with_call(b"hello", timeout=60)
    check("one", answer, b"HELLO")
    check("its head", dict(call.initial_metadata()).get("x-first"), "1")
    check("its trailers", dict(call.trailing_metadata()).get("x-last"), "2")
    check("its raw trailers", dict(call.trailing_metadata()).get("x-raw-bin"), b"\x00\xff")
    check("its status", call.code(), grpc.StatusCode.OK)
    try:
        one(b"fail", timeout=60)
        sys.exit("a failure went well")
    except grpc.RpcError as error:
        check("the status of a failure", error.code(), grpc.StatusCode.FAILED_PRECONDITION)
        check("the text of a failure", error.details(), "as you wish: ü")
    big = b"x" * 3_000_000
    check("a large one", one(big, timeout=60), big.upper())

    many = list(channel.unary_stream("/story.Echo/Many")(b"500", timeout=60))
    check("many", many, [b"%d" % number for number in range(500)])

    parts = (b"y" * 10_000 for _ in range(300))
    check("gathered", channel.stream_unary("/story.Echo/Gathered")(parts, timeout=60), b"3000000")

    said = queue.Queue()
    heard = channel.stream_stream("/story.Echo/Conversation")(iter(said.get, None), timeout=60)
    for number in range(50):
        said.put(b"%d" % number)
        # The next word is not said before this one is answered.
        check("a conversation", next(heard), b"heard %d" % number)
    said.put(None)
    check("its end", list(heard), [])

    said = queue.Queue()
    heard = channel.stream_stream("/story.Echo/Greeted")(iter(said.get, None), timeout=60)
    # The client says nothing before it has heard this.
    check("a greeting", dict(heard.initial_metadata()).get("x-first"), "greeting")
    said.put(b"you")
    check("what follows a greeting", next(heard), b"heard you")
    said.put(None)
    check("its end", list(heard), [])

    try:
        channel.unary_unary("/story.Echo/Nothing")(b"", timeout=60)
        sys.exit("a method that is not there was there")
    except grpc.RpcError as error:
        check("no such method", error.code(), grpc.StatusCode.UNIMPLEMENTED)

    # Many at a time, on one connection of the client's.
    calls = [one.future(b"%d" % number, timeout=60) for number in range(200)]
    check("many at a time", [call.result() for call in calls], [b"%d" % number for number in range(200)])
print("all well")
