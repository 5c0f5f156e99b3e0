"""Stops one thread of another process, as a debugger would, or makes it spin or block in the kernel.

Arguments: the thread, and `stop`, `spin` or `block`. Says `done` once it is so; what it stopped goes on when it ends.
`ptrace` of Linux on x86-64.
"""

import ctypes
import os
import struct
import sys

SEIZE, INTERRUPT, DETACH, GETREGS, SETREGS, POKETEXT = 0x4206, 0x4207, 17, 12, 13, 4
WORDS, RAX, ORIG_RAX, RIP = 27, 10, 15, 16
SYS_PAUSE = 34
AT_ENTRY = 9

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread, address=None, data=None):
    if libc.ptrace(request, thread, address, data) == -1:
        number = ctypes.get_errno()
        print("refused:", os.strerror(number), flush=True)
        sys.exit(0)


def entry(thread):
    """Where the program of this thread began: nobody comes there again."""
    with open(f"/proc/{thread}/auxv", "rb") as file:
        words = struct.iter_unpack("QQ", file.read())
    return dict(words)[AT_ENTRY]


def main():
    thread, how = int(sys.argv[1]), sys.argv[2]
    ptrace(SEIZE, thread)
    ptrace(INTERRUPT, thread)
    os.waitpid(thread, 0x40000000)
    if how != "stop":
        registers = (ctypes.c_uint64 * WORDS)()
        ptrace(GETREGS, thread, None, ctypes.addressof(registers))
        # Whatever it waited for is not begun again.
        registers[ORIG_RAX] = 2**64 - 1
        if how == "spin":
            registers[RIP] = entry(thread)
            ptrace(POKETEXT, thread, registers[RIP], 0xFEEB)
        else:
            # It slept in a system call, and goes on with another one.
            registers[RIP] -= 2
            registers[RAX] = SYS_PAUSE
        ptrace(SETREGS, thread, None, ctypes.addressof(registers))
        ptrace(DETACH, thread)
    print("done", flush=True)
    sys.stdin.read()


main()
