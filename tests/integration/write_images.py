"""Writes an OME-Zarr image of either version with ome-zarr-py, for labels to be added to; or reads the labels back."""

import sys

import numpy as np
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr.writer import write_image

action, folder, version = sys.argv[1:4]
if action == "write":
    import zarr

    form = FormatV05() if version == "0.5" else FormatV04()
    group = zarr.open_group(folder, mode="w", zarr_format=form.zarr_format)
    write_image(np.zeros((64, 96), dtype="uint8"), group, axes="yx", fmt=form)
    zarr.consolidate_metadata(folder)
else:
    nodes = list(Reader(parse_url(folder))())
    labels = [node for node in nodes if str(node.zarr.path if hasattr(node.zarr, "path") else node.zarr).rstrip("/").endswith("cells")]
    assert len(labels) == 1, [str(node.zarr) for node in nodes]
    sys.stdout.write(",".join(map(str, labels[0].data[0].compute().ravel())))
