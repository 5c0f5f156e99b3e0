"""Asks over HTTP/2, in the clear, with header lists exactly as they are given: one connection for all.

In:     an address; JSON on standard input: a list of requests, each a list of [name, value] pairs (Latin-1).
Out:    JSON: for each request its status and body, or how its stream ended ("reset CODE"), or "lost" behind the end of the connection.
Actors: one connection.
Never:  does it correct what it sends.
"""

import json
import socket
import sys

import h2.config
import h2.connection
import h2.events
import h2.stream

# A request that has the status of an interim answer is sent, too.
h2.stream.is_informational_response = lambda headers: False
host, port = sys.argv[1].rsplit(":", 1)
config = h2.config.H2Configuration(
    validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding="latin-1"
)
connection = h2.connection.H2Connection(config=config)
connection.initiate_connection()
wire = socket.create_connection((host, int(port)), timeout=20)
told = []
is_lost = False
for lines in json.load(sys.stdin):
    if is_lost:
        told.append("lost")
        continue
    stream = connection.get_next_available_stream_id()
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
    connection.send_headers(stream, pairs, end_stream=True)
    wire.sendall(connection.data_to_send())
    status, body, end = None, b"", None
    while end is None:
        data = wire.recv(65536)
        if not data:
            end, is_lost = "lost", True
            break
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                status = int(dict(event.headers)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                end = [status, body.decode("latin-1")]
            elif isinstance(event, h2.events.StreamReset) and event.stream_id == stream:
                end = f"reset {int(event.error_code)}"
            elif isinstance(event, h2.events.ConnectionTerminated):
                end, is_lost = "lost", True
        wire.sendall(connection.data_to_send())
    told.append(end)
json.dump(told, sys.stdout)
