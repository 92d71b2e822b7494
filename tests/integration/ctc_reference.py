"""Scores CTC results with py-ctcmetrics, independently of this project.

Input: a folder with cases.json = [{"reference": {...}, "computed": {...}}, ...]; each side has "shape" [T, H, W],
"file" (raw little-endian uint16) and "tracks" [[label, begin, end, parent], ...]. Prints a JSON list of
{"SEG", "DET", "TRA"}.
"""

import json
import os
import sys
import tempfile

import numpy as np
import tifffile
from ctc_metrics import evaluate_sequence


def write(folder, side, prefix, track_file, root):
    os.makedirs(folder, exist_ok=True)
    frames = np.fromfile(os.path.join(root, side["file"]), dtype="<u2").reshape(side["shape"])
    for t, frame in enumerate(frames):
        tifffile.imwrite(os.path.join(folder, f"{prefix}{t:03d}.tif"), frame)
    if track_file:
        with open(os.path.join(folder, track_file), "w") as f:
            for row in side["tracks"]:
                f.write(" ".join(str(v) for v in row) + "\n")


root = sys.argv[1]
scores = []
for case in json.load(open(os.path.join(root, "cases.json"))):
    with tempfile.TemporaryDirectory() as folder:
        res, gt = os.path.join(folder, "01_RES"), os.path.join(folder, "01_GT")
        write(res, case["computed"], "mask", "res_track.txt", root)
        write(os.path.join(gt, "TRA"), case["reference"], "man_track", "man_track.txt", root)
        write(os.path.join(gt, "SEG"), case["reference"], "man_seg", None, root)
        result = evaluate_sequence(res, gt, metrics=["SEG", "DET", "TRA"], threads=1)
        scores.append({name: float(result[name]) for name in ("SEG", "DET", "TRA")})
print(json.dumps(scores))
