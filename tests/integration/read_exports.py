"""Reads exported labels with the libraries people use and prints what differs from the expectation, as JSON."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import roifile
import tifffile
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models import open_ome_zarr
from pycocotools import mask as coco_mask
from skimage.io import imread
from skimage.measure import grid_points_in_poly, regionprops

folder = Path(sys.argv[1])
manifest = json.loads((folder / "manifest.json").read_text())
differences = []
checks = 0


def check(what, ok):
    global checks
    checks += 1
    if not ok:
        differences.append(what)


def same(what, got, expected):
    check(what, np.array_equal(np.asarray(got), expected))


def close(what, got, expected):
    check(f"{what}: {got}, expected {expected}", np.allclose(got, expected, rtol=1e-9, atol=1e-9, equal_nan=True))


def paint(shape, polygons):
    """Polygons as (label, plane, rings of (x, y)); even-odd at pixel centres."""
    out = np.zeros(shape, dtype="uint32")
    planes = out if out.ndim == 3 else out[None]
    for label, plane, rings in polygons:
        inside = np.zeros(planes.shape[1:], dtype=bool)
        for ring in rings:
            inside ^= grid_points_in_poly(inside.shape, np.asarray(ring, dtype=float)[:, ::-1] - 0.5)
        planes[plane][inside] = label
    return out


def read_geojson(path, shape):
    polygons = []
    for feature in json.loads(path.read_text())["features"]:
        geometry = feature["geometry"]
        parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        plane = geometry.get("plane", {}).get("z", 0)
        polygons.append((feature["properties"]["label"], plane, [ring for part in parts for ring in part]))
    return paint(shape, polygons)


def read_rois(path, shape):
    polygons = []
    rois = roifile.roiread(path)
    for roi in rois if isinstance(rois, list) else [rois]:
        rings = roi.coordinates(multi=True)
        label = int(roi.properties["label"])
        polygons.append((label, max(roi.position - 1, 0), rings if isinstance(rings, list) else [rings]))
    return paint(shape, polygons)


def read_coco(path, shape):
    out = np.zeros(shape, dtype="uint32")
    planes = out if out.ndim == 3 else out[None]
    for annotation in json.loads(path.read_text())["annotations"]:
        rle = annotation["segmentation"]
        check(f"{path.name} area", coco_mask.area(rle) == annotation["area"])
        check(f"{path.name} bbox", list(coco_mask.toBbox(rle)) == annotation["bbox"])
        planes[annotation["image_id"] - 1][coco_mask.decode(rle) == 1] = annotation["label"]
    return out


def check_table(path, labels, image, size):
    rows = {int(row["label"]): row for row in csv.DictReader(path.open())}
    regions = regionprops(labels.astype("int64"), intensity_image=image, spacing=(size, size))
    check("csv labels", sorted(rows) == [region.label for region in regions])
    for region in regions:
        row = {key: float(value or "nan") for key, value in rows[region.label].items()}
        what = f"{path.name} {region.label}"
        close(f"{what} area", row["area_um2"], region.area)
        close(f"{what} centroid", [row["centroid_y_um"], row["centroid_x_um"]], region.centroid)
        close(f"{what} bbox", [row[f"bbox_{k}_{a}_px"] for k in ("min", "max") for a in "yx"], region.bbox)
        close(f"{what} diameter", row["equivalent_diameter_um"], region.equivalent_diameter_area)
        close(f"{what} perimeter", row["perimeter_um"], region.perimeter)
        close(f"{what} intensity", row["mean_intensity_signal"], region.intensity_mean)
        close(f"{what} intensity std", row["std_intensity_signal"], region.intensity_std)
        close(f"{what} major axis", row["major_axis_length_um"], region.axis_major_length)
        close(f"{what} eccentricity", row["eccentricity"], region.eccentricity)


def check_ome_zarr(path, labels, version, size):
    group = zarr.open_group(path, mode="r")
    check(f"{path.name} zarr format", group.metadata.zarr_format == (3 if version == "0.5" else 2))
    same(f"{path.name} zarr", group["0"][:], labels)
    open_ome_zarr(group)  # validates the metadata against the specification
    node = next(iter(Reader(parse_url(path))()))
    same(f"{path.name} ome-zarr", node.data[0].compute(), labels)
    scale = node.metadata["coordinateTransformations"][0][0]["scale"]
    close(f"{path.name} scale", scale, size[-labels.ndim :])


for case in manifest:
    shape = tuple(case["shape"])
    labels = np.fromfile(folder / case["labels"], dtype="<u4").reshape(shape)
    size = case["pixelSize"]
    files = {name: folder / file for name, file in case["files"].items()}

    for name in ("tiff", "ome-tiff"):
        same(f"{name} {shape} tifffile", tifffile.imread(files[name]), labels)
        same(f"{name} {shape} scikit-image", imread(files[name]).reshape(shape), labels)
        with tifffile.TiffFile(files[name]) as tif:
            check(f"{name} dtype", tif.pages[0].dtype == ("uint16" if labels.max() < 65536 else "uint32"))
            x = tif.pages[0].tags["XResolution"].value
            y = tif.pages[0].tags["YResolution"].value
            if name == "tiff":
                check("is ImageJ", tif.is_imagej)
                check("ImageJ unit", tif.imagej_metadata["unit"] == "um")
                close("ImageJ pixel", [y[1] / y[0], x[1] / x[0]], size[1:])
                if labels.ndim == 3:
                    check("ImageJ axes", tif.series[0].axes == "ZYX")
                    close("ImageJ spacing", tif.imagej_metadata["spacing"], size[0])
            else:
                check("is OME", tif.is_ome)
                check("OME axes", tif.series[0].axes == ("ZYX" if labels.ndim == 3 else "YX"))
                pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
                close("OME pixel", [pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]], size[1:])
                check("OME unit", pixels["PhysicalSizeXUnit"] == "µm")
                close("cm", [y[1] / y[0] * 1e4, x[1] / x[0] * 1e4], size[1:])
    if "png" in files:
        same(f"png {shape}", imread(files["png"]), labels)
    same(f"geojson {shape}", read_geojson(files["geojson"], shape), labels)
    same(f"coco {shape}", read_coco(files["coco"], shape), labels)
    same(f"imagej-roi {shape}", read_rois(files["imagej-roi"], shape), labels)
    check_ome_zarr(files["ome-zarr"], labels, "0.5", size)
    check_ome_zarr(files["ome-zarr-0.4"], labels, "0.4", size)
    if "image" in case:
        # numpy would average float32 in float32.
        image = np.fromfile(folder / case["image"], dtype="<f4").reshape(shape).astype("float64")
        check_table(files["csv"], labels, image, size[1])
    if "ctc" in files:
        frames = sorted(files["ctc"].glob("mask*.tif"))
        same("ctc", np.stack([imread(frame) for frame in frames]), labels)
        for label, begin, end, parent in np.loadtxt(files["ctc"] / "res_track.txt", dtype=int, ndmin=2):
            present = np.flatnonzero((labels == label).any(axis=(1, 2)))
            check(f"ctc track {label}", (present[0], present[-1], 0) == (begin, end, parent))

print(json.dumps({"checks": checks, "differences": differences}))
