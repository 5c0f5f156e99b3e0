"""A WebSocket server that says back what it hears, as the conformance suites want it.

In:     a certificate and a key where it speaks TLS.
Out:    its address on stdout.
Actors: one event loop.
Never:  does it know hallway.
"""

import asyncio
import logging
import sys

from websockets.asyncio.server import serve


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    async with serve(echo, "127.0.0.1", 0, max_size=64 * 1024 * 1024, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"127.0.0.1:{port}", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


# What a client did wrong is the client's to see.
logging.getLogger("websockets").setLevel(logging.CRITICAL)
asyncio.run(main())
