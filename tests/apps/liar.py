"""An app whose workers lie: they write what they like into the memory, the sockets and the bells that they share.

In:     requests whose query names an attack, or a seed that chooses some.
Out:    the attack, made from inside of a worker by its own descriptors; an answer where there is one.
Actors: the worker of this app; no other process is touched.
Never:  does it use a right that a worker of another user would not have: no signal, no ptrace, no file of others.
"""

import ctypes
import fcntl
import os
import random
import socket
import struct
import threading
import time
from urllib.parse import parse_qs

PAGE = 4096
FRAME = 160 * 1024 + 8
OUTBOUND = 512 * 1024
HELLO, START, PIECE, ABORT, DONE, LEAVE, FILE, ROOM = 16, 17, 18, 19, 20, 21, 22, 23
CREDITS = 640
LAST, FREES = 1, 2
UNKNOWN = 2**64 - 1
LINGER_S = 600

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def u64(number):
    return struct.pack("<Q", number % 2**64)


class Ring:
    """One ring as it is mapped here: its words, its data twice."""

    def __init__(self, at, size):
        self.at, self.data, self.size = at, at + PAGE, size

    def word(self, at):
        return ctypes.c_uint64.from_address(self.at + at)

    @property
    def head(self):
        return self.word(0)

    @property
    def tail(self):
        return self.word(128)

    def put(self, payload, length=None):
        """A frame at the head; its length may be a lie."""
        head = self.head.value
        at = self.data + head % self.size
        ctypes.memmove(at + 8, payload, len(payload))
        ctypes.memmove(at, struct.pack("<II", len(payload) if length is None else length, 1), 8)
        self.head.value = head + 8 + (len(payload) + 7) // 8 * 8

    def has_room(self, length):
        return self.head.value - self.tail.value + length + 16 <= self.size


def lanes_are_here():
    return "hallway lanes" in open("/proc/self/maps").read()


def lanes():
    """The rings of this worker: the one to it, then those from it."""
    areas = []
    for line in open("/proc/self/maps"):
        if "hallway lanes" in line:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            areas.append((start, end))
    areas.sort()
    # The youngest mapping stands lowest; its parts follow one another.
    base, first_end = areas[0]
    end = first_end
    for start, until in areas[1:]:
        if start == end:
            end = until
    inbound = first_end - base - PAGE
    rings, at = [Ring(base, inbound)], base + PAGE + 2 * inbound
    while at + PAGE + 2 * OUTBOUND <= end:
        rings.append(Ring(at, OUTBOUND))
        at += PAGE + 2 * OUTBOUND
    return rings


def open_as(kind):
    """Descriptors of this process whose link begins like this."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith(kind):
                found.append(int(name))
        except OSError:
            pass
    return sorted(found)


def sockets():
    """Sockets that lead to the edge and to the master."""
    found = []
    for number in open_as("socket:"):
        one = socket.socket(fileno=os.dup(number))
        if one.family == socket.AF_UNIX and one.type == socket.SOCK_SEQPACKET:
            found.append(one)
        else:
            one.close()
    return found


def bells():
    return open_as("anon_inode:[eventfd]")


def reports():
    """The pipe to the master: open for writing, and not what this app prints to."""
    printed = {os.readlink(f"/proc/self/fd/{number}") for number in (1, 2)}
    return [number for number in open_as("pipe:") if os.readlink(f"/proc/self/fd/{number}") not in printed]


def ring_bells():
    for bell in bells():
        try:
            fcntl.fcntl(bell, fcntl.F_SETFL, fcntl.fcntl(bell, fcntl.F_GETFL) | os.O_NONBLOCK)
            os.write(bell, u64(1))
        except OSError:
            pass


class Request:
    """The request that is being worked on, as the edge knows it."""

    def __init__(self):
        self.rings = lanes()
        inbound, at, last = self.rings[0], 0, None
        until = inbound.tail.value
        if until > inbound.size:
            raise RuntimeError("too many requests before this one")
        while at < until:
            (length,) = struct.unpack("<I", ctypes.string_at(inbound.data + at, 4))
            last = ctypes.string_at(inbound.data + at + 8, length)
            at += 8 + (length + 7) // 8 * 8
        self.thread, self.ticket = struct.unpack_from("<HQ", last, 2)
        self.ring = self.rings[self.thread + 1]

    def send(self, payload, **more):
        self.ring.put(payload, **more)
        ring_bells()

    def start(self, length=UNKNOWN, status=200, stream=0):
        self.send(struct.pack("<BBQQHHH", START, 0, self.ticket, length, stream, status, 2) + b"OK" + struct.pack("<H", 0))

    def piece(self, body, flags=0):
        self.send(struct.pack("<BBQ", PIECE, flags, self.ticket) + body)

    def file(self, offset, length, ticket=None):
        ticket = self.ticket if ticket is None else ticket
        self.send(struct.pack("<BB", FILE, LAST | FREES) + u64(ticket) + u64(offset) + u64(length))

    def send_descriptors(self, numbers, ticket=None):
        ticket = self.ticket if ticket is None else ticket
        for one in sockets():
            try:
                socket.send_fds(one, [u64(ticket)], numbers, socket.MSG_DONTWAIT)
            except OSError:
                pass


def lingering():
    """A socket whose close waits: it has bytes that nobody takes, and is told to wait for that."""
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    ours.setblocking(False)
    try:
        while True:
            ours.send(b"x" * 65536)
    except BlockingIOError:
        pass
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_S))
    # It is to be closed by who gets it; the other side stays open here.
    KEPT.append((listener, theirs))
    return ours


KEPT = []


def a_file(size):
    number = os.memfd_create("answer")
    os.truncate(number, size)
    return number


# Offset and length of a part of a file of 3 MiB.
LIES = [
    (2**64 - 1, 0),
    (2**64 - 1, 1),
    (2**64 - 2, 1),
    (2**64 - 2**21, 2**21 - 1),
    (2**64 - 2**20, 2**20 - 1),
    (2**64 - 3 * 2**20, 3 * 2**20 - 1),
    (2**63, 2**20),
    (2**63 - 1, 0),
    (2**63 - 2, 1),
    (2**63 - 2**21, 2**21 - 1),
    (0, 2**63),
    (0, 2**63 - 1),
    (1, 2**63 - 2),
    (0, 2**64 - 1),
    (3 * 2**20, 1),
    (0, 3 * 2**20 + 1),
    (2**40, 2**30),
]


def lie_about_a_file(dice, number=None, length=UNKNOWN):
    request = Request()
    number = dice.randrange(len(LIES)) if number is None else number
    offset, size = LIES[number]
    file = a_file(3 * 2**20)
    request.start(length if length != "same" else size)
    request.send_descriptors([file])
    request.file(offset, size)
    os.close(file)


def shrink_a_file(dice):
    """The file becomes shorter while it is sent."""
    request = Request()
    file = a_file(64 * 2**20)
    request.start()
    request.send_descriptors([file])
    request.file(0, 64 * 2**20)
    for size in range(60, -1, -10):
        os.truncate(file, size * 2**20)
        time.sleep(0.002)
    os.close(file)


def send_lingering(dice, many=1, says=True, ticket=None):
    """Sockets whose close waits, alone, or many in one message behind a plain file."""
    request = Request()
    given = [lingering() for _ in range(many)]
    numbers = [one.fileno() for one in given]
    if many > 1:
        file = a_file(100)
        numbers = [file] + numbers * (250 // many)
    request.start()
    request.send_descriptors(numbers, ticket)
    for one in given:
        one.close()
    if many > 1:
        os.close(file)
    if says:
        request.file(0, 100)


def leave_lingering(dice):
    """They stay in the sockets of a worker that ends."""
    send_lingering(dice, says=False, ticket=7)
    os._exit(0)


def send_what_is_no_file(dice):
    request = Request()
    fifo = "/tmp/liar-fifo-%d" % os.getpid()
    os.mkfifo(fifo)
    kinds = [
        os.open(fifo, os.O_RDWR),
        os.open("/", os.O_RDONLY),
        os.open("/dev/zero", os.O_RDONLY),
        os.open("/proc/self/maps", os.O_RDONLY),
        os.pipe()[0],
        socket.socketpair()[0].detach(),
        os.open("/", os.O_PATH),
    ]
    os.unlink(fifo)
    request.start()
    request.send_descriptors([dice.choice(kinds)])
    request.file(0, 2**20)
    for kind in kinds:
        os.close(kind)


def fill(number):
    """A bell that takes no more, and whose next ring waits for that."""
    fcntl.fcntl(number, fcntl.F_SETFL, os.O_NONBLOCK)
    for act in (lambda: os.read(number, 8), lambda: os.write(number, u64(2**64 - 2))):
        try:
            act()
        except OSError:
            pass
    fcntl.fcntl(number, fcntl.F_SETFL, 0)


def fill_bells(dice, seconds=1):
    """Bells that are full, and more frames than a turn takes."""
    flood(dice, seconds, then=lambda: [fill(bell) for bell in bells()])


def flood(dice, seconds=1, waits=True, size=0, many=1000, then=None):
    """Frames without an end, with or without regard for what was released."""
    request = Request()
    request.start()
    payload = struct.pack("<BBQ", PIECE, 0, request.ticket) + b"x" * size
    flood_ring(request, payload, seconds, waits, many, then)


def flood_ring(request, payload, seconds, waits=True, many=1000, then=None):
    one = struct.pack("<II", len(payload), 1) + payload + bytes(-len(payload) % 8)
    block = one * max(1, min(many, 256 * 1024 // len(one)))
    begun, ring = time.monotonic(), request.ring
    rung = 0
    while (now := time.monotonic()) < begun + seconds:
        for _ in range(100):
            if not waits or ring.has_room(len(block)):
                ctypes.memmove(ring.data + ring.head.value % ring.size, block, len(block))
                ring.head.value += len(block)
        if then and now > begun + 0.05:
            then()
            then = ring_no_more
        elif then is not ring_no_more and now > rung + 0.001:
            rung = now
            ring_bells()


def ring_no_more():
    pass


def ignore_credit(dice, size=60_000, garbles=False):
    """Sends on, however little its client takes; and gives itself what it was not given."""
    request = Request()
    request.start()
    for at in range(CREDITS, CREDITS + 32, 8) if garbles else ():
        # Words that the edge writes and never reads.
        request.ring.word(at).value = 2**64 - 1
    payload = struct.pack("<BBQ", PIECE, 0, request.ticket) + b"x" * size
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if request.ring.has_room(len(payload)):
            request.send(payload)


def name_stream(dice, stream=1):
    """An answer under a number that this worker does not have."""
    Request().start(stream=stream)


def say_room(dice, many=1):
    """Tells of room that nobody waits for."""
    for _ in range(many):
        Request().send(bytes([ROOM, 0]))


def leave_and_stay(dice, again=False):
    request = Request()
    frames = [LEAVE, HELLO, LEAVE] if again else [LEAVE]
    for kind in frames:
        request.send(bytes([kind, 0]))
    time.sleep(3600)


def leave_and_flood(dice, seconds=1):
    """Says that it leaves, and goes on sending what is due."""
    request = Request()
    request.start()
    request.send(bytes([LEAVE, 0]))
    flood_ring(request, struct.pack("<BBQ", PIECE, 0, request.ticket), seconds)


def garble_words(dice):
    for ring in lanes():
        for at in (0, 128, 256, 384, *range(512, 576, 8), *range(CREDITS, CREDITS + 32, 8)):
            if dice.random() < 0.5:
                ring.word(at).value = dice.choice([0, 1, 7, 8, 2**32, 2**63, 2**64 - 1, dice.getrandbits(64)])
    ring_bells()


def garble_frames(dice):
    request = Request()
    for _ in range(dice.randrange(1, 50)):
        kind = dice.choice([HELLO, START, PIECE, ABORT, DONE, FILE, ROOM, dice.randrange(256)])
        ticket = dice.choice([request.ticket, request.ticket + 1, 0, dice.getrandbits(64)])
        rest = dice.randbytes(dice.choice([0, 1, 8, 16, 20, 40]))
        payload = bytes([kind, dice.randrange(256)]) + u64(ticket) + rest
        length = dice.choice([None, None, None, 0, 2**32 - 1, len(payload) + 8])
        request.send(payload, length=length)


def garble_reports(dice, seconds=0.5):
    until = time.monotonic() + seconds
    for number in reports():
        os.set_blocking(number, False)
    while time.monotonic() < until:
        for number in reports():
            try:
                os.write(number, dice.randbytes(dice.choice([1, 16, 64, 4096])))
            except OSError:
                pass


def print_flood(dice, seconds=1, line=100):
    text = (b"x" * line + b"\n") * max(1, 60_000 // (line + 1))
    until = time.monotonic() + seconds
    os.set_blocking(1, True)
    while time.monotonic() < until:
        os.write(1, text)


def unfilled():
    """The address of memory whose first use waits for ever, also within the kernel; nothing where this user may have none.
    It stands for a file on a file system that does not answer, which any user can make in a namespace of its own."""
    userfaultfd, api, register = 323, 0xC018AA3F, 0xC020AA00
    number = libc.syscall(userfaultfd, os.O_CLOEXEC)
    if number < 0:
        return None
    fcntl.ioctl(number, api, bytearray(struct.pack("QQQ", 0xAA, 0, 0)))
    # Both live as long as this process.
    at = libc.mmap(None, PAGE, 3, 0x22, -1, 0)
    fcntl.ioctl(number, register, bytearray(struct.pack("QQQQ", at, PAGE, 1, 0)))
    return at


def hold_pipes(dice, forks=False):
    """Writes into the pipes that the master hears what it never comes to read; as a process that is left behind, too."""
    if forks and os.fork():
        # The worker itself ends while it holds them still.
        time.sleep(0.5)
        os._exit(0)
    at = unfilled()
    print("the pipes", "cannot be" if at is None else "are", "held", flush=True)
    if at is not None:
        for number in (1, *reports()):
            os.set_blocking(number, True)
            threading.Thread(target=libc.write, args=(number, ctypes.c_void_p(at), PAGE), daemon=True).start()
    if forks:
        time.sleep(20)
        os._exit(0)


def close_lanes(dice):
    for number in open_as("socket:"):
        os.close(number)


ATTACKS = {
    name: act
    for name, act in list(globals().items())
    if callable(act)
    and name
    in """lie_about_a_file shrink_a_file send_lingering leave_lingering send_what_is_no_file fill_bells flood
    ignore_credit name_stream say_room
    leave_and_stay leave_and_flood garble_words garble_frames garble_reports print_flood close_lanes hold_pipes""".split()
}


def attack(name, dice, **more):
    print("attack:", name, more, flush=True)
    ATTACKS[name](dice, **more)
    # What the extension writes goes over what was written here: not before the edge has it.
    until = time.monotonic() + 1
    while any(ring.tail.value < ring.head.value for ring in lanes()[1:]) and time.monotonic() < until:
        time.sleep(0.005)


def app(environ, start_response):
    asked = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    if "attack" in asked:
        more = {name: int(value) if value.isdigit() else value for name, value in asked.items()}
        dice = random.Random(int(more.pop("seed", 1)))
        attack(more.pop("attack"), dice, **more)
    elif "seed" in asked:
        dice = random.Random(int(asked["seed"]))
        attack(dice.choice(sorted(set(ATTACKS) - {"leave_and_stay"})), dice)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done\n"]


if os.environ.get("LIAR_LEAVES"):
    # Its workers end, or say that they do, before their first request.
    print("begun", flush=True)

    def end():
        while not lanes_are_here():
            time.sleep(0.01)
        time.sleep(0.3)
        if os.environ["LIAR_LEAVES"] == "exit":
            os._exit(0)
        lanes()[1].put(bytes([LEAVE, 0]))
        ring_bells()

    threading.Thread(target=end, daemon=True).start()
