"""Weights of torchvision and timm in Fovea, and Fovea's exports in torchvision and timm: the same features both ways.

ctest: label=medium timeout=900 serial

Environment: FOVEA_BIN, the program. Weights are random, with batch-norm statistics, gains and biases that are not what a fresh model has.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import timm
import torch
import torchvision
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from timm.layers import resample_abs_pos_embed
from timm.models import adapt_input_conv
from timm.models.vision_transformer import VisionTransformer
from torchvision.transforms import CenterCrop, InterpolationMode, Normalize, Resize, ToTensor

FOVEA = os.environ["FOVEA_BIN"]
TOLERANCE = 1e-4
NORMALIZE = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
failures = 0


def check(name, passed, detail=""):
    global failures
    print(f"{'ok  ' if passed else 'FAIL'} {name} {detail}", flush=True)
    failures += not passed


def fovea(*arguments):
    done = subprocess.run([FOVEA, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"fovea {' '.join(map(str, arguments))}: status {done.returncode}: {done.stderr}")
    return done.stdout


def pictures(folder, count, width, height, seed):
    """Smooth colour fields with noise, so that resizing has something to get wrong."""
    folder.mkdir()
    generator = numpy.random.default_rng(seed)
    for i in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=numpy.uint8)).resize((width, height), Image.BICUBIC)
        noise = generator.integers(-40, 41, (height, width, 3))
        pixels = numpy.clip(numpy.asarray(coarse).astype(int) + noise, 0, 255).astype(numpy.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return folder


def batch(folder, transform=None):
    images = [Image.open(path).convert("RGB") for path in sorted(folder.iterdir())]
    return torch.stack([NORMALIZE(ToTensor()(transform(image) if transform else image)) for image in images])


def disturb(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif name.endswith("num_batches_tracked"):
                tensor.fill_(1234)
            elif name.endswith("running_mean") or tensor.dim() == 1:
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    return model.eval()


def torch_features(model, x):
    with torch.no_grad():
        return model(x).numpy()


def embed(scratch, weights, folder, *options):
    out = scratch / "features.npy"
    fovea("embed", "--weights", weights, folder, "--out", out, "--overwrite", "--quiet", *options)
    paths = (scratch / "features.tsv").read_text().splitlines()
    assert [Path(path).name for path in paths] == sorted(p.name for p in folder.iterdir()), paths
    features = numpy.load(out)
    assert features.dtype == numpy.float32 and features.shape[0] == len(paths)
    return features


def apart(a, b):
    if a.shape != b.shape:
        return float("inf")
    return float(numpy.abs(a - b).max() / numpy.abs(b).max())


def compare(name, ours, theirs):
    # Features of different pictures must differ by more than the tolerance, or equality would prove nothing.
    spread = float(numpy.abs(theirs - theirs[0]).max() / numpy.abs(theirs).max())
    difference = apart(ours, theirs)
    check(name, difference <= TOLERANCE and spread > 100 * TOLERANCE, f"difference {difference:.2e}, spread of features {spread:.2g}")


def without_classifier(model):
    model.fc = torch.nn.Identity()
    return model


def resnet(name, small_stem=False):
    model = getattr(torchvision.models, name)(weights=None)
    if small_stem:
        model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        model.maxpool = torch.nn.Identity()
    return model


def vit(name, size):
    if name == "vit_tiny_patch8":  # not among timm's names
        return VisionTransformer(img_size=size, patch_size=8, embed_dim=192, depth=12, num_heads=3, num_classes=0)
    return timm.create_model(f"{name}_224", pretrained=False, num_classes=0, img_size=size)


def there_and_back(scratch, name, full, bare, fresh, folder, size):
    """`full`: the model that is saved, classifier and all; `bare`: the same giving features; `fresh`: another without classifier."""
    source, exported = scratch / f"{name}.safetensors", scratch / f"{name}-exported.safetensors"
    save_file({key: value.contiguous() for key, value in full.state_dict().items()}, source)
    bare = bare(full)
    theirs = torch_features(bare, batch(folder))
    compare(f"{name}: features of its weights", embed(scratch, source, folder, "--image-size", size), theirs)
    said = fovea("export", "--weights", source, "--out", exported, "--image-size", size)
    check(f"{name}: export says what it read back", "largest difference of weights 0, of features 0" in said, said.splitlines()[-1])
    tensors = load_file(exported)
    fresh.load_state_dict(tensors, strict=True)
    check(f"{name}: every number arrives", all(torch.equal(tensors[key], value) for key, value in bare.state_dict().items()))
    compare(f"{name}: features of the export in torch", torch_features(fresh.eval(), batch(folder)), theirs)
    check(f"{name}: the export gives the same bits", 
          numpy.array_equal(embed(scratch, exported, folder), embed(scratch, source, folder, "--image-size", size)))
    with safe_open(exported, "pt") as file:
        metadata = file.metadata()
    check(f"{name}: metadata", metadata["fovea.image_size"] == str(size) and name.startswith(metadata["fovea.backbone"].split("/")[0]),
          json.dumps(metadata))
    return source, bare


def resnets(scratch, folder, size):
    for seed, name in enumerate(("resnet18", "resnet34", "resnet50")):
        there_and_back(scratch, name, disturb(resnet(name), seed), without_classifier, without_classifier(resnet(name)), folder, size)
    small = there_and_back(scratch, "resnet18-small-stem", disturb(resnet("resnet18", True), 9), without_classifier, without_classifier(resnet("resnet18", True)),
                           folder, size)
    return small


def vits(scratch, folder, size):
    for seed, name in enumerate(("vit_tiny_patch16", "vit_small_patch16", "vit_base_patch16", "vit_tiny_patch8", "vit_small_patch8", "vit_base_patch8")):
        source, model = there_and_back(scratch, name, disturb(vit(name, size), 20 + seed), lambda m: m, vit(name, size), folder, size)
    return source, model


def resampled(scratch, size):
    """A ViT on larger pictures than it was made for: positions as timm resamples them."""
    larger, name = size + 16, "vit_tiny_patch8"  # below 96 px the whole picture is taken
    folder = pictures(scratch / "larger", 3, larger, larger, 5)
    source = scratch / f"{name}.safetensors"
    state = load_file(source)
    grid = larger // 8
    state["pos_embed"] = resample_abs_pos_embed(state["pos_embed"], [grid, grid], num_prefix_tokens=1)
    model = vit(name, larger)
    model.load_state_dict(state, strict=True)
    compare(f"{name}: positions for {larger} px", embed(scratch, source, folder, "--image-size", larger), torch_features(model.eval(), batch(folder)))


def preprocessed(scratch, model, source):
    """Pictures of other sizes: torchvision's Resize of the shorter side and CenterCrop.

    Pillow up to 12 resizes horizontally first, and so does Fovea; 13 turns the passes round for some tall pictures, where each pixel then may
    differ by 1. Resizing in two calls keeps the order.
    """
    size = 128

    def transform(image):
        whole = Resize(size * 256 // 224, InterpolationMode.BILINEAR)(image)
        if image.height > image.width:
            whole = image.resize((whole.width, image.height), Image.BILINEAR).resize(whole.size, Image.BILINEAR)
        return CenterCrop(size)(whole)

    for width, height in ((301, 217), (150, 333), (100, 90)):
        folder = pictures(scratch / f"{width}x{height}", 3, width, height, width)
        compare(f"preprocessing of {width} x {height}", embed(scratch, source, folder, "--image-size", size), torch_features(model, batch(folder, transform)))


def half_precision(scratch, model, folder, size):
    """Files in other number types are read as what they say."""
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in model.state_dict().items()}
        source = scratch / "other.safetensors"
        save_file(state, source)
        other = without_classifier(resnet("resnet18"))
        other.load_state_dict({key: value.float() if value.is_floating_point() else value for key, value in state.items()})
        compare(f"weights in {dtype}", embed(scratch, source, folder, "--image-size", size), torch_features(other.eval(), batch(folder)))


def planes(scratch, size):
    """Grey pictures and pictures of four planes: timm and torchvision with in_chans. Such files do not say how pixels are normalised: 0 to 1."""
    for channels, mode in ((1, "L"), (4, "RGBA")):
        folder = pictures(scratch / f"planes{channels}", 4, size, size, 30 + channels)
        generator = numpy.random.default_rng(channels)
        for path in folder.iterdir():
            image = Image.open(path)
            if channels == 4:
                image.putalpha(Image.fromarray(generator.integers(0, 256, (size, size), dtype=numpy.uint8)))
            image.convert(mode).save(path)
        x = torch.stack([ToTensor()(Image.open(path)) for path in sorted(folder.iterdir())])
        assert x.shape[1] == channels
        full = torchvision.models.resnet18(weights=None)
        full.conv1 = torch.nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        vit = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0, img_size=size, in_chans=channels)
        models = (("resnet18", without_classifier(disturb(full, 50 + channels)), timm.create_model("resnet18", num_classes=0, in_chans=channels)),
                  ("vit_tiny", disturb(vit, 60 + channels), timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=size, in_chans=channels)))
        for name, model, fresh in models:
            source, exported = scratch / f"{name}-{channels}.safetensors", scratch / f"{name}-{channels}-exported.safetensors"
            save_file({key: value.contiguous() for key, value in model.state_dict().items()}, source)
            theirs = torch_features(model, x)
            compare(f"{name} of {channels} channels: features of its weights", embed(scratch, source, folder, "--image-size", size), theirs)
            fovea("export", "--weights", source, "--out", exported, "--image-size", size)
            fresh.load_state_dict(load_file(exported), strict=True)
            compare(f"{name} of {channels} channels: features of the export in timm", torch_features(fresh.eval(), x), theirs)
            with safe_open(exported, "pt") as file:
                check(f"{name} of {channels} channels: metadata", file.metadata()["fovea.channels"] == str(channels), json.dumps(file.metadata()))
        adapted(scratch, folder, channels)


def adapted(scratch, folder, channels):
    """--init with weights for RGB: the first layer is as timm's adapt_input_conv makes it."""
    for name, backbone, key in (("resnet18", "resnet18", "conv1.weight"), ("vit_tiny_patch16_224", "vit_tiny/16", "patch_embed.proj.weight")):
        model = timm.create_model(name, pretrained=False, num_classes=0, **({"img_size": 32} if "vit" in name else {}))
        source, run = scratch / "rgb.safetensors", scratch / f"adapted-{name}-{channels}"
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, source)
        fovea("pretrain", folder, "--out", run, "--channels", channels, "--backbone", backbone, "--image-size", 32, "--batch-size", 2, "--steps", 1,
              "--lr", 0, "--weight-decay", 0, "--init", source, "--quiet", *(("--stem", "imagenet") if name == "resnet18" else ()))
        ours, theirs = load_file(run / "backbone.safetensors")[key], adapt_input_conv(channels, model.state_dict()[key])
        check(f"{name} adapted to {channels} channels", ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-6, atol=1e-8),
              f"difference {float((ours - theirs).abs().max()):.2g}")


def main():
    torch.manual_seed(0)
    torch.set_num_threads(2)
    size = 64
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = pictures(scratch / "exact", 5, size, size, 1)
        resnets(scratch, folder, size)
        vits(scratch, folder, size)
        resampled(scratch, size)
        planes(scratch, size)
        model = disturb(without_classifier(resnet("resnet18")), 40)
        source = scratch / "plain.safetensors"
        save_file(model.state_dict(), source)
        preprocessed(scratch, model, source)
        half_precision(scratch, model, folder, size)
    print(f"{failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
