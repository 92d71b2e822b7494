"""A script against the server: `python_client.py URL TOKEN [clicked]`, all of it or one click; prints what it saw as JSON."""

import asyncio
import json
import sys
import time

import hypha_rpc
import numpy as np
from hypha_rpc.sync import connect_to_server

url, token = sys.argv[1:3]
seen = {}
try:
    connect_to_server({"server_url": url, "token": "wrong" * 6})
except Exception as error:
    seen["refused"] = str(error)

server = connect_to_server({"server_url": url, "token": token})
sam = server.get_service("micro-sam")

y, x = np.mgrid[:256, :256]
cell = np.hypot(y - 120, x - 84) < 30
image = np.where(cell, 220, 40).astype(np.uint8)


def iou(found):
    return float(((found > 0) & cell).sum() / ((found > 0) | cell).sum())


# By clicking.
sam.load_model("vit_t")
sam.open_image(image, name="cells")
sam.add_point_prompts([[120, 84]], labels=np.array([1]))
committed = sam.commit()
labels = sam.get_layer("committed_objects")
seen["clicked"] = [type(labels).__name__, str(labels.dtype), list(labels.shape), iou(labels), committed["added"]]
if "clicked" in sys.argv:
    server.disconnect()
    print("SEEN " + json.dumps(seen))
    sys.exit()

# Every type of numbers, and scalars of numpy.
seen["dtypes"] = {}
handle = None
for dtype in ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64", ">u2"]:
    values = cell.astype(dtype)
    found = sam.segment_from_box(values, np.array([90, 54, 151, 115]), plane=np.int64(0))
    seen["dtypes"][dtype] = iou(found["mask"])
seen["fortran"] = iou(sam.segment_from_box(np.asfortranarray(image), [90, 54, 151, 115])["mask"])
seen["lists"] = iou(sam.segment_from_box(image.tolist(), [90, 54, 151, 115])["mask"])

# Larger than one message, both ways, with progress.
large = np.kron(image, np.ones((6, 6), np.uint8))
steps = []
handle = sam.precompute_image_embeddings(large, tile_shape=[512, 512], halo=[64, 64], progress=steps.append)
seen["progress"] = [len(steps) > 0, steps[-1]["done"] == steps[-1]["total"]]
found = sam.segment_from_points(handle, [[720, 504]], task="points")
seen["large"] = [list(found["mask"].shape), iou(found["mask"][::6, ::6])]

# Results as they come: a generator.
planes = np.stack([cell, np.roll(cell, 9, axis=0), cell]).astype(np.uint8) * 200
found = [item for item in sam.automatic_instance_segmentation(planes, ndim=2, axes="zyx", stream=True)]
seen["planes"] = [[item["plane"], str(item["labels"].dtype), list(item["labels"].shape)] for item in found]
for item in sam.automatic_instance_segmentation(planes, ndim=2, axes="zyx", stream=True):
    break
seen["encoded"] = []
beside = []
report = {"_rintf": True, "report": beside.append}  # a bare function is forgotten once the generator is there
for item in sam.precompute_image_embeddings(planes, axes="zyx", stream=True, progress=report):
    found = sam.segment_from_points(item["embeddings"], [[120, 84]], plane=item["plane"])
    seen["encoded"].append([item["plane"], iou(found["mask"])])
seen["beside"] = [[step["done"], step["total"]] for step in beside][-1:]
series = [np.roll(image, 9 * k + 5, axis=0) for k in range(3)]
sam.open_series(series, names=["a", "b", "c"])
seen["series"] = [
    [item["name"], item["objects"], iou(np.roll(item["labels"], -9 * item["index"] - 5, axis=0))]
    for item in sam.segment_series(stream=True)
]
sam.annotator_3d(planes, name="stack")
sam.add_point_prompts([[120, 84]], plane=1)
seen["slices"] = sorted({item["plane"] for item in sam.segment_all_slices(stream=True)})



async def awaited():
    server = await hypha_rpc.connect_to_server({"server_url": url, "token": token})
    sam = await server.get_service("micro-sam")
    found = []
    async for item in await sam.precompute_image_embeddings(planes, axes="zyx", stream=True):
        found.append(item["plane"])
    await server.disconnect()
    return found


seen["awaited"] = asyncio.run(awaited())

# Errors are told in words.
for name, call in {
    "misspelt": lambda: sam.add_point_prompts([[1, 1]], track=3),
    "outside": lambda: sam.add_point_prompts([[999, 1]]),
    "missing": lambda: sam.open_image("/no/such/file.tif"),
    "none": lambda: sam.get_layer("committed_objects", plane=None) is None,
}.items():
    try:
        seen[name] = call()
    except Exception as error:
        seen[name] = str(error)

started = time.perf_counter()
for _ in range(50):
    sam.get_model_names()
seen["call_ms"] = (time.perf_counter() - started) * 20
server.disconnect()
print("SEEN " + json.dumps(seen))
