"""Hands sockets whose close waits to hallway, beside the bytes of a request or of an answer.

In:     "ask" or "answer", and the path of a unix socket.
Out:    requests there, or answers to whoever asks there; a line once that has begun.
Actors: this process, until its standard input ends.
Never:  does it let go of the other sides of what it has handed over.
"""

import os
import socket
import struct
import sys
import threading

from liar import lingering


def hand(connection, text):
    given = [lingering() for _ in range(3)]
    try:
        socket.send_fds(connection, [text], [one.fileno() for one in given])
    except OSError:
        # They are not to be waited for here.
        for one in given:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        raise
    finally:
        for one in given:
            one.close()


def ask(path):
    kept = []
    for _ in range(4):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        # What is read, and what never is.
        hand(connection, b"GET /small HTTP/1.1\r\n")
        for _ in range(3):
            try:
                hand(connection, b"Host: story\r\n")
            except OSError:
                break
        kept.append(connection)
    print("asked", flush=True)
    sys.stdin.read()


def answer(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(64)

    def serve(connection):
        try:
            while connection.recv(65536):
                hand(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nokay")
        except OSError:
            pass

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print("answers", flush=True)
    sys.stdin.read()


{"ask": ask, "answer": answer}[sys.argv[1]](sys.argv[2])
