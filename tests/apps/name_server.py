"""A name server that says what stands in a file.

In:     a file of JSON, read anew for each question: {"app.internal": {"A": ["127.0.0.1"], "AAAA": "REFUSED"}}.
Out:    its address on stdout; answers over UDP. A word instead of a list is a response code; nothing at all is NXDOMAIN,
        an empty list no record, "SILENCE" no answer.
Actors: one thread.
Never:  does it know hallway.
"""

import ipaddress
import json
import os
import socket
import struct
import sys
import threading

KINDS = {1: "A", 28: "AAAA", 33: "SRV"}
CODES = {"SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}


def spelled(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split(".")) + b"\0"


def data(kind, value):
    if kind == "SRV":
        priority, weight, port, target = value.split()
        return struct.pack(">HHH", int(priority), int(weight), int(port)) + spelled(target)
    return ipaddress.ip_address(value).packed


def answer(question, names):
    at, labels = 12, []
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    (number,) = struct.unpack(">H", question[at + 1 : at + 3])
    known = names.get(".".join(labels).lower())
    said = "NXDOMAIN" if known is None else known.get(KINDS.get(number), [])
    if said == "SILENCE":
        return None
    records = said if isinstance(said, list) else []
    head = question[:2] + struct.pack(">HHHHH", 0x8180 | CODES.get(said if isinstance(said, str) else "", 0), 1, len(records), 0, 0)
    body = question[12 : at + 5]
    for value in records:
        raw = data(KINDS[number], value)
        body += b"\xc0\x0c" + struct.pack(">HHIH", number, 1, 1, len(raw)) + raw
    return head + body


if __name__ == "__main__":
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    print("%s:%d" % server.getsockname(), flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        asked, client = server.recvfrom(4096)
        with open(sys.argv[1]) as file:
            said = answer(asked, json.load(file))
        if said:
            server.sendto(said, client)
