"""Training steps as PyTorch takes them, with the weights, the batch and the loss that it is given.

    python torch_training.py <folder> <sources> <part> <steps> <threads>

`sources`: where segment_anything and mobile_sam lie. <part>.json and <part>.bin in the folder hold weights and batch, names
with shapes and float32 values. Prints JSON: the loss before each step, and the processor time of each step in seconds.
The encoder, `late` or `full`, has random weights: of it only the time counts.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from stand_ins import module_of, stand_in


def tensors_of(folder, part):
    values = np.fromfile(folder / f"{part}.bin", dtype=np.float32)
    found, at = {}, 0
    for name, shape in json.loads((folder / f"{part}.json").read_text()).items():
        length = int(np.prod(shape))
        found[name] = torch.from_numpy(values[at : at + length].reshape(shape).copy())
        at += length
    return found


class Block(nn.Module):
    """A convolution, a norm over channels, ReLU."""

    def __init__(self, channels, to, kernel):
        super().__init__()
        self.conv = nn.Conv2d(channels, to, kernel, padding=kernel // 2)
        self.norm = nn.LayerNorm(to, eps=1e-6)

    def forward(self, *parts):
        x = self.conv(torch.cat(parts, 1) if len(parts) > 1 else parts[0])
        return F.relu(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


class LightDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.coarse = Block(256, 128, 1), Block(128, 128, 3)
        self.second_stage, self.middle, self.middle2 = Block(128, 32, 1), Block(160, 64, 3), Block(64, 64, 3)
        self.first_stage, self.fine, self.fine2 = Block(64, 32, 1), Block(96, 48, 3), Block(48, 48, 3)
        self.image, self.finest = Block(3, 12, 3), Block(60, 16, 3)
        self.maps = nn.Conv2d(16, 3, 1)

    def forward(self, emb, s1, s0, img):
        def enlarge(x):
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

        x = enlarge(self.coarse(self.embedding(emb)))
        x = enlarge(self.middle2(self.middle(x, self.second_stage(s1))))
        x = enlarge(self.fine2(self.fine(x, self.first_stage(s0))))
        return self.maps(self.finest(x, self.image(img)))


def instance_loss(logits, target):
    maps, objects, known = logits.sigmoid(), target[:, :1], target[:, 3:]
    p, t = maps[:, :1] * known, objects * known
    dice = 1 - 2 * (p * t).sum() / ((p * p).sum() + (t * t).sum()).clamp(min=1e-6)
    entropy = F.binary_cross_entropy_with_logits(logits[:, :1], objects, weight=known)
    away = ((maps[:, 1:] - target[:, 1:3]).abs() * objects).sum() / objects.sum().clamp(min=1)
    return dice + entropy + away


def instances(tensors, _):
    network = LightDecoder()
    own = network.state_dict()
    network.load_state_dict({name: tensors[name] for name in own})
    batch = [tensors[name] for name in ("emb", "s1", "s0", "img")]
    return network.parameters(), lambda: instance_loss(network(*batch), tensors["target"])


def sam_parts():
    for name in ("torchvision", "torchvision.transforms"):
        stand_in(name)
    stand_in("torchvision.transforms.functional", resize=None, to_pil_image=None)
    stand_in("torchvision.ops")
    stand_in("torchvision.ops.boxes", batched_nms=None, box_area=None)
    from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

    prompts = PromptEncoder(embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    return prompts, MaskDecoder(transformer=transformer, transformer_dim=256)


def prompt_loss(masks, iou, target):
    """The best of the three masks for a point by Dice, and the squared error of their predicted IoU."""
    masks, iou = masks[:, 1:], iou[:, 1:]
    p, inside = masks.sigmoid(), masks > 0
    area = lambda x: x.sum(dim=(2, 3))  # noqa: E731
    dice = 1 - 2 * area(p * target) / (area(p * p) + area(target)).clamp(min=1e-7)
    overlap = area(inside * target)
    measured = overlap / (area(inside) + area(target) - overlap).clamp(min=1)
    return dice.min(dim=1).values.mean() + ((iou - measured.detach()) ** 2).mean()


def decoder(tensors, _):
    prompts, network = sam_parts()
    for prefix, module in (("prompt_encoder.", prompts), ("mask_decoder.", network)):
        state = module.state_dict()
        given = {name: tensors[prefix + name] for name in state if prefix + name in tensors}
        module.load_state_dict({**state, **{name: value.reshape(state[name].shape) for name, value in given.items()}})
    prompts.requires_grad_(False)
    sparse, dense = prompts(points=(tensors["coords"], tensors["labels"]), boxes=None, masks=None)
    inputs = {"image_pe": prompts.get_dense_pe(), "sparse_prompt_embeddings": sparse, "dense_prompt_embeddings": dense}

    def loss():
        masks, iou = network.predict_masks(image_embeddings=tensors["embedding"], **inputs)
        return prompt_loss(masks, iou, tensors["target"])

    return network.parameters(), loss


def tiny_vit(sources):
    stand_in("timm")
    stand_in("timm.models")
    pair = lambda n: (n, n)  # noqa: E731
    stand_in("timm.models.layers", DropPath=nn.Identity, to_2tuple=pair, trunc_normal_=nn.init.trunc_normal_)
    stand_in("timm.models.registry", register_model=lambda f: f)
    tiny = module_of("tiny_vit_sam", next(Path(sources).glob("**/tiny_vit_sam.py")))
    return tiny.TinyViT(
        img_size=1024, in_chans=3, num_classes=1, embed_dims=[64, 128, 160, 320], depths=[2, 2, 6, 2],
        num_heads=[2, 4, 5, 10], window_sizes=[7, 7, 14, 7], mlp_ratio=4.0, drop_rate=0.0, drop_path_rate=0.0,
        use_checkpoint=False, mbconv_expand_ratio=4.0, local_conv_size=3, layer_lr_decay=0.8,
    )


def encoder(part, tensors, sources):
    """Statistics of the batch are not learned: a batch is one image. Of the third stage only what merges its patches is late."""
    # What attention looks up of its biases is kept while a network is not trained; here they learn.
    network = tiny_vit(sources).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    layers = [network.layers[2].downsample, network.layers[3]] if part == "late" else [network.patch_embed, *network.layers]
    learned = [*layers, network.neck]

    def loss():
        x = tensors["input"]
        for layer in layers:
            x = layer(x)
        emb = network.neck(x.view(1, 64, 64, -1).permute(0, 3, 1, 2))
        return (emb * tensors["gradient"]).sum()

    return [p for module in learned for p in module.parameters() if p.requires_grad], loss


PARTS = {
    "instances": (instances, 2e-3, 5),
    "decoder": (decoder, 1e-4, 1),
    "late": (lambda *given: encoder("late", *given), 1e-4, 1),
    "full": (lambda *given: encoder("full", *given), 1e-4, 1),
}


def main(folder, sources, part, steps, threads):
    sys.path.insert(0, sources)
    torch.manual_seed(1)
    torch.set_num_threads(int(threads))
    build, rate, clip = PARTS[part]
    parameters, loss_of = build(tensors_of(Path(folder), part), sources)
    parameters = list(parameters)
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-4)
    losses, seconds = [], []
    for _ in range(int(steps)):
        start = time.process_time()
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        seconds.append(time.process_time() - start)
        losses.append(loss.item())
    print(json.dumps({"torch": torch.__version__, "losses": losses, "seconds": seconds}))


main(*sys.argv[1:])
