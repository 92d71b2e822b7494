"""Runs the application for the BioEngine as a replica would, in Ray where that is installed, and asks its worker. Prints one line of JSON."""

import asyncio
import json
import os
import sys
import types

import numpy as np
from hypha_rpc import connect_to_server

try:
    from ray import serve
except ImportError:
    serve = types.SimpleNamespace(deployment=lambda **_: lambda replica: replica)
    sys.modules["ray"] = types.SimpleNamespace(serve=serve)

server_url, workspace, token = sys.argv[1:]
os.environ.update(
    HYPHA_SERVER_URL=server_url,
    HYPHA_WORKSPACE=workspace,
    HYPHA_TOKEN=token,
    MICRO_SAM_COMMAND="node dist/cli/micro-sam.js",
)
sys.path.insert(0, "docs/bioengine")
from micro_sam_worker import MicroSamWorker  # noqa: E402


async def main():
    replica = getattr(MicroSamWorker, "func_or_class", MicroSamWorker)()
    await replica.async_init()
    await replica.test_deployment()
    place = await replica.where()
    server = await connect_to_server(
        {"server_url": place["server_url"], "workspace": place["workspace"], "token": token, "method_timeout": 120}
    )
    sam = await server.get_service(place["service_id"], mode="random")
    square = np.zeros([64, 64], np.uint16)
    square[20:40, 20:40] = 1
    scores = await sam.evaluate(square, square)
    await server.disconnect()
    replica.process.kill()
    await replica.process.wait()
    try:
        replica.check_health()
        health = "well"
    except RuntimeError as error:
        health = str(error)
    print("SEEN " + json.dumps({"place": place, "score": scores["sa50"], "health": health}))


asyncio.run(main())
