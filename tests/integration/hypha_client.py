"""A script of Hypha's own client that uses a worker: numpy in, numpy out. Prints one line of JSON."""

import json
import sys

import numpy as np
from hypha_rpc.sync import connect_to_server

server_url, workspace, token = sys.argv[1:]
server = connect_to_server({"server_url": server_url, "workspace": workspace, "token": token, "method_timeout": 120})
sam = server.get_service("micro-sam-worker", mode="random")

y, x = np.mgrid[:256, :256]
disk = (y - 120) ** 2 + (x - 100) ** 2 < 40**2
image = np.where(disk, 200, 40).astype(np.uint8)

steps = []
found = sam.segment_from_points(image, [[120, 100]], labels=[1], progress=lambda step: steps.append(step["done"]))
mask = found["mask"] > 0
seen = {
    "type": type(found["mask"]).__name__,
    "shape": list(mask.shape),
    "iou": float((mask & disk).sum() / (mask | disk).sum()),
    "steps": len(steps),
    "box": float((sam.segment_from_box(image, box=[78, 58, 162, 142])["mask"] > 0).sum() / disk.sum()),
    "score": sam.evaluate(disk.astype(np.uint16), mask.astype(np.uint16))["sa50"],
}
seen["planes"] = [
    item["plane"] for item in sam.automatic_instance_segmentation(np.stack([image, image]), ndim=2, axes="zyx", stream=True)
]
for name, call in {
    "path": lambda: sam.segment_from_points("/etc/hostname", [[1, 1]]),
    "misspelt": lambda: sam.segment_from_points(image, [[1, 1]], lables=[1]),
}.items():
    try:
        call()
        seen[name] = "no error"
    except Exception as error:
        seen[name] = str(error)
print("SEEN " + json.dumps(seen))
