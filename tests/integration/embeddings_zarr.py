"""
read:  opens embeddings as micro-sam does (zarr.open, f["features"], f.attrs) and prints shapes, attributes and sums.
write: writes embeddings of a stack, plain or tiled, in micro-sam's layout with the library's default compression.
"""

import hashlib
import json
import sys

import numpy as np
import zarr

action, folder = sys.argv[1:3]


def features(seed, count):
    return np.random.default_rng(seed).standard_normal((count, 1, 256, 64, 64)).astype("float32")


if action == "read":
    f = zarr.open(folder, mode="a")
    node = f["features"]
    arrays = {"": node} if isinstance(node, zarr.Array) else {key: node[key] for key in sorted(node.array_keys())}
    print(
        json.dumps(
            {
                "attrs": dict(f.attrs),
                "group": {} if "" in arrays else dict(node.attrs),
                "arrays": {
                    key: {
                        "shape": array.shape,
                        "chunks": array.chunks,
                        "dtype": str(array.dtype),
                        "attrs": dict(array.attrs),
                        "sha1": hashlib.sha1(array[:].astype("float32").tobytes()).hexdigest(),
                    }
                    for key, array in arrays.items()
                },
            }
        )
    )
else:
    zarr_format, tiled = int(sys.argv[3]), sys.argv[4] == "tiled"
    image = np.random.default_rng(0).integers(0, 255, (2, 24, 32), dtype="uint8")
    f = zarr.open_group(folder, mode="w", zarr_format=zarr_format)
    if tiled:
        group = f.create_group("features")
        group.attrs.update({"shape": [24, 32], "tile_shape": [16, 32], "halo": [4, 4]})
        for tile in range(2):
            data = features(tile, 2)
            array = group.create_array(str(tile), shape=data.shape, chunks=(1, 1, 256, 64, 64), dtype="float32")
            array[:] = data
            array.attrs.update({"original_size": [20 if tile == 0 else 12, 32], "input_size": [640, 1024]})
    else:
        data = features(0, 2)
        array = f.create_array("features", shape=data.shape, chunks=(1, 1, 256, 64, 64), dtype="float32")
        array[:] = data
    f.attrs.update(
        {
            "data_signature": hashlib.sha1(np.asarray(image).tobytes()).hexdigest(),
            "tile_shape": [16, 32] if tiled else None,
            "halo": [4, 4] if tiled else None,
            "model_type": "vit_t",
            "model_name": "vit_t",
            "micro_sam_version": "1.8.0",
            "model_hash": "xxh128:0",
            "input_size": None if tiled else [768, 1024],
            "original_size": None if tiled else [24, 32],
        }
    )
    print(
        json.dumps(
            {
                "image": image.ravel().tolist(),
                "sha1": [
                    [hashlib.sha1(plane.tobytes()).hexdigest() for plane in features(tile, 2)] for tile in range(1 + tiled)
                ],
            }
        )
    )
