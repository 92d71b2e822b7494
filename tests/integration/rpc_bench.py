"""What calls cost from Python: `rpc_bench.py URL TOKEN BARE`; prints the milliseconds of an empty call, and how much longer 64 MB
take there and back than by the same library's WebSocket alone."""

import asyncio
import statistics
import sys
import time

import numpy as np
import websockets
from hypha_rpc.sync import connect_to_server

url, token, bare = sys.argv[1:4]
server = connect_to_server({"server_url": url, "token": token})
sam = server.get_service("micro-sam")


def timed(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


calls = statistics.median([timed(sam.get_settings) for _ in range(200)][50:])
image = np.zeros((4096, 4096), np.float32)


async def alone():
    async with websockets.connect(bare, max_size=None) as socket:
        started = time.perf_counter()
        await socket.send(image.tobytes())
        np.frombuffer(await socket.recv(), np.uint32)
        return time.perf_counter() - started


ratios = [timed(lambda: sam.labels_of(image)) / asyncio.run(alone()) for _ in range(9)]
server.disconnect()
print(1000 * calls, statistics.median(ratios))
