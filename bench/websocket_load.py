"""Clients of a WebSocket server: each says something, waits until it comes back, and says something else.

In:     an address, how many connections, how many seconds; 0: they connect and say nothing.
Out:    JSON: messages that came back, and how many a second.
Actors: one epoll loop.
Never:  does a message count that is not the one that was said.
"""

import json
import select
import socket
import sys
import time

MASK = b"mask"
SIZE = 100
HEAD = (
    "GET /chat HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ACCEPTED = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def message(number: int) -> tuple[bytes, bytes]:
    """A masked frame, and what has to come back."""
    payload = b"%0*d" % (SIZE, number)
    mask = int.from_bytes((MASK * (SIZE // 4 + 1))[:SIZE], "big")
    masked = (int.from_bytes(payload, "big") ^ mask).to_bytes(SIZE, "big")
    return bytes([0x81, 0x80 | SIZE]) + MASK + masked, bytes([0x81, SIZE]) + payload


def main(host: str, port: int, connections: int, seconds: float) -> None:
    poll, links, expected, heard = select.epoll(), {}, {}, {}
    for _ in range(connections):
        link = socket.create_connection((host, port), 10)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(HEAD.format(host=f"{host}:{port}").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = link.recv(4096)
            if not more:
                sys.exit("a connection ended in its handshake")
            head += more
        if ACCEPTED not in head:
            sys.exit(f"no WebSocket: {head!r}")
        links[link.fileno()], heard[link.fileno()] = link, b""
        poll.register(link, select.EPOLLIN)
    messages = [message(number) for number in range(997)]
    count = 0
    began = time.monotonic()
    for number, link in links.items() if seconds else ():
        frame, expected[number] = messages[number % 997]
        link.sendall(frame)
    while time.monotonic() < began + seconds:
        for number, _ in poll.poll(1):
            heard[number] += links[number].recv(65536)
            if len(heard[number]) < SIZE + 2:
                continue
            if heard[number] != expected[number]:
                sys.exit(f"{heard[number]!r} came back for {expected[number]!r}")
            count += 1
            heard[number] = b""
            frame, expected[number] = messages[(count + number) % 997]
            links[number].sendall(frame)
    took = time.monotonic() - began
    print(json.dumps({"messages": count, "rate": count / took}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
