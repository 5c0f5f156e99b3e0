"""A gRPC service whose messages are bytes: it says what it hears, in the four ways there are.

In:     -
Out:    its address on stdout.
Actors: the threads of grpcio.
Never:  does it know hallway.
"""

import sys
from concurrent import futures

import grpc


def one(request, context):
    context.send_initial_metadata((("x-first", "1"),))
    context.set_trailing_metadata((("x-last", "2"), ("x-raw-bin", b"\x00\xff")))
    if request == b"fail":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as you wish: ü")
    return request.upper()


def many(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def gathered(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def conversation(requests, context):
    for request in requests:
        yield b"heard " + request


def greeted(requests, context):
    """Says something of itself, and nothing more before it is asked."""
    context.send_initial_metadata((("x-first", "greeting"),))
    for request in requests:
        yield b"heard " + request


HANDLERS = {
    "Greeted": grpc.stream_stream_rpc_method_handler(greeted),
    "One": grpc.unary_unary_rpc_method_handler(one),
    "Many": grpc.unary_stream_rpc_method_handler(many),
    "Gathered": grpc.stream_unary_rpc_method_handler(gathered),
    "Conversation": grpc.stream_stream_rpc_method_handler(conversation),
}

if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("story.Echo", HANDLERS),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
