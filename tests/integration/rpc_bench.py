"""What calls cost from Python: `rpc_bench.py URL TOKEN`; prints the milliseconds of an empty call, and the seconds of 64 MB there and back."""

import statistics
import sys
import time

import numpy as np
from hypha_rpc.sync import connect_to_server

url, token = sys.argv[1:3]
server = connect_to_server({"server_url": url, "token": token})
sam = server.get_service("micro-sam")


def timed(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


calls = statistics.median([timed(sam.get_settings) for _ in range(200)][50:])
image = np.zeros((8192, 8192), np.uint8)
large = statistics.median([timed(lambda: sam.there_and_back(image)) for _ in range(3)])
server.disconnect()
print(1000 * calls, large)
