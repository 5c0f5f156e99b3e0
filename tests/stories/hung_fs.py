"""A file system that stops answering as long as a file named `hang` is beside it.

hung_fs.py PLACE HANG: mounts at PLACE, with this one thread as its server (fuse(4)): every name that ends with .bin
is a file of 300,000 bytes. The kernel may keep names and attributes for an hour, as it does for a file server, but has
to ask for each byte. What kind of file system it is is always said: a worker asks that of each file it sends.
"""

import ctypes
import os
import select
import struct
import sys

place, hang = sys.argv[1:3]
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(1, 9)  # It ends with hallway, which takes the place of its parent.
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
if libc.mount(b"hung", place.encode(), b"fuse", 7, options.encode()):
    sys.exit(os.strerror(ctypes.get_errno()))

ROOT, BYTES, LASTS = 1, 300_000, 3600
names = {}


def attributes(node):
    mode, size = (0o040755, 0) if node == ROOT else (0o100644, BYTES)
    return struct.pack("<6Q10I", node, size, size // 512, 1, 1, 1, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(code, node, body):
    if code == 1:  # LOOKUP
        name = body.rstrip(b"\0")
        if not name.endswith(b".bin"):
            return -2, b""
        known = names.setdefault(name, len(names) + 2)
        return 0, struct.pack("<4Q2I", known, 1, LASTS, LASTS, 0, 0) + attributes(known)
    if code == 3:  # GETATTR
        return 0, struct.pack("<Q2I", LASTS, 0, 0) + attributes(node)
    if code in (14, 27):  # OPEN, OPENDIR
        return 0, struct.pack("<Q2I", 0, 1 if code == 14 else 0, 0)  # FOPEN_DIRECT_IO
    if code == 15:  # READ
        _, offset, size = struct.unpack_from("<2QI", body)
        return 0, b"x" * max(0, min(size, BYTES - offset))
    if code == 28:  # READDIR
        return 0, b""
    if code in (18, 29, 34):  # RELEASE, RELEASEDIR, ACCESS; without FLUSH, for which an app would wait to close a file
        return 0, b""
    if code == 17:  # STATFS
        return 0, struct.pack("<5Q4I", 1, 1, 1, 1, 1, 4096, 255, 4096, 0) + bytes(24)
    if code == 26:  # INIT
        return 0, struct.pack("<4I2H2I2H", 7, 31, 131072, 0, 64, 48, 131072, 1, 0, 0) + bytes(32)
    return -38, b""


waiting = []
while True:
    if waiting and not os.path.exists(hang):
        request = waiting.pop(0)
    elif select.select([device], [], [], 0.02 if waiting else None)[0]:
        request = os.read(device, 1 << 20)
    else:
        continue
    length, code, unique, node = struct.unpack_from("<2I2Q", request)
    if code in (2, 36, 42):  # FORGET, INTERRUPT, BATCH_FORGET: nobody waits for an answer.
        continue
    if code != 17 and os.path.exists(hang):
        waiting.append(request)
        continue
    error, body = answer(code, node, request[40:length])
    try:
        os.write(device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
    except OSError:
        pass  # Who asked has gone.
