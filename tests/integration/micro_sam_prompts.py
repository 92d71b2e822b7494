"""What micro-sam 1.8.14 makes of prompts: prompt_based_segmentation.py and segment_mask_in_volume, read file by file.

    python micro_sam_prompts.py <packages> <folder>

In the folder: decoder.json (torch names -> shapes, in the order of decoder.bin, float32), images.json (per image: shape
[H, W] and inputSize; embeddings in <index>.bin, [planes, 1, 256, 64, 64] float32) and jobs.json. Coordinates are (y, x);
masks are run lengths over the image, row-major, beginning with background. Writes masks.json: per job its masks.
"""

import json
import sys
import types
from pathlib import Path

sys.path.insert(0, sys.argv[1])

import numpy as np
import torch

from stand_ins import module_of, stand_in

torch.set_num_threads(1)


class Unused:
    def __class_getitem__(cls, item):
        return cls


class Standing(types.ModuleType):
    """Any name of a package that is not there, as long as nobody calls it."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Unused


for name in (
    "torchvision", "torchvision.ops", "torchvision.ops.boxes", "torchvision.transforms",
    "torchvision.transforms.functional", "networkx", "elf", "elf.segmentation", "elf.tracking",
    "elf.tracking.tracking_utils", "elf.tracking.motile_tracking", "tqdm", "micro_sam.instance_segmentation",
):  # fmt: skip
    sys.modules[name] = Standing(name)
    parent, _, own = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], own, sys.modules[name])

from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.predictor import SamPredictor
from segment_anything.utils.transforms import ResizeLongestSide

target_size = ResizeLongestSide.get_preprocess_shape


def apply_image_torch(self, image):
    """As segment-anything has it now: its release 1.0 reads the batch and its channels for height and width."""
    size = target_size(image.shape[2], image.shape[3], self.target_length)
    return torch.nn.functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)


ResizeLongestSide.apply_image_torch = apply_image_torch


def set_precomputed(predictor, embeddings, i=None, tile_id=None):
    """As micro_sam.util has it, of whole images."""
    predictor.features = embeddings["features"][0 if i is None else i]
    predictor.original_size = embeddings["original_size"]
    predictor.input_size = embeddings["input_size"]
    predictor.is_image_set = True
    return predictor


def compute_iou(a, b):
    return float(np.logical_and(a == 1, b == 1).sum()) / float(np.logical_or(a == 1, b == 1).sum() + 1e-7)


stand_in("micro_sam")
stand_in("micro_sam.util", set_precomputed=set_precomputed, compute_iou=compute_iou, ImageEmbeddings=Unused)
sys.modules["micro_sam"].util = sys.modules["micro_sam.util"]
source = Path(sys.argv[1]) / "micro_sam"
prompted = module_of("micro_sam.prompt_based_segmentation", source / "prompt_based_segmentation.py")
multi = module_of("micro_sam.multi_dimensional_segmentation", source / "multi_dimensional_segmentation.py")

folder = Path(sys.argv[2])


def floats(file):
    return np.fromfile(folder / file, dtype="<f4")


def predictor_of():
    prompts = PromptEncoder(embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    encoder = torch.nn.Identity()
    encoder.img_size = 1024
    sam = Sam(encoder, prompts, MaskDecoder(transformer=transformer, transformer_dim=256))
    state, at, values = sam.state_dict(), 0, floats("decoder.bin")
    given = json.loads((folder / "decoder.json").read_text())
    missing = [name for name in state if name not in given]
    if missing:
        raise SystemExit(f"No weights for {missing}.")
    for name, shape in given.items():
        size = int(np.prod(shape))
        state[name] = torch.from_numpy(values[at : at + size].copy()).reshape(state[name].shape)
        at += size
    sam.load_state_dict(state)
    sam.eval()
    return SamPredictor(sam)


def bitmap(runs, shape):
    values = np.arange(len(runs)) % 2
    return np.repeat(values, runs).reshape(shape).astype("uint8")


def runs_of(mask):
    flat = np.concatenate([[0], np.asarray(mask).astype("int8").ravel(), [-1]])
    edges = np.flatnonzero(np.diff(flat))
    return np.diff(np.concatenate([[0], edges])).tolist()


def run(job, predictor, images):
    kind, options = job["kind"], job.get("options", {})
    image = images[job["image"]]
    shape = image["original_size"]
    points = np.array(job["points"]) if "points" in job else None
    labels = np.array(job["labels"]) if "labels" in job else None
    if kind == "volume":
        marked = {int(z): bitmap(runs, shape) for z, runs in job["slices"].items()}
        volume = np.zeros((len(image["features"]), *shape), dtype="uint8")
        for z, mask in marked.items():
            volume[z] = mask
        slices = np.array(sorted(marked))
        found, _ = multi.segment_mask_in_volume(volume, predictor, image, slices, False, False, **options)
        return list(found)
    given = dict(image_embeddings=image, i=job.get("plane", 0))
    if kind == "points":
        return list(prompted.segment_from_points(predictor, points, labels, **given, **options))
    if kind == "box":
        return list(prompted.segment_from_box(predictor, np.array(job["box"]), **given, **options))
    if kind == "box_and_points":
        return list(prompted.segment_from_box_and_points(predictor, np.array(job["box"]), points, labels, **given))
    if kind == "mask":
        mask = bitmap(job["mask"], shape)
        extra = {} if points is None else dict(points=points[:, ::-1].copy(), labels=labels)
        if "box" in job:
            extra["box"] = np.array(job["box"])
        return list(prompted.segment_from_mask(predictor, mask, **given, **extra, **options))
    if kind == "previous":
        first = prompted.segment_from_points(predictor, points[:1], labels[:1], **given, return_all=True)
        logits = first[2][np.argmax(first[1])][None]
        found, _, _ = predictor.predict(points[:, ::-1], labels, mask_input=logits, multimask_output=False)
        return list(found)
    raise SystemExit(f"No such kind: {kind}.")


def main():
    images = []
    for index, image in enumerate(json.loads((folder / "images.json").read_text())):
        features = torch.from_numpy(floats(f"{index}.bin")).reshape(-1, 1, 256, 64, 64)
        sizes = dict(original_size=tuple(image["shape"]), input_size=tuple(image["inputSize"]))
        images.append(dict(features=features, **sizes))
    predictor = predictor_of()
    with torch.no_grad():
        masks = [
            [runs_of(mask) for mask in run(job, predictor, images)]
            for job in json.loads((folder / "jobs.json").read_text())
        ]
    (folder / "masks.json").write_text(json.dumps(masks))


main()
