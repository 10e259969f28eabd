#!/usr/bin/env python3
"""Records how torchvision's and timm's own draws are distributed, a million each, for test_draws.c.

    python3 make_draws.py draws.txt        (torchvision 0.29, timm 1.0, torch 2.14; ten minutes)

What is run is their code: get_params of the transforms, or the transforms themselves on a picture of a few pixels; nothing is computed
from formulas here. A line is

    NAME <tab> DRAWS k e_1 ... e_k c_0 ... c_k

where c_i draws lie in [e_i, e_i+1). Edges are quantiles of the draws, or lie between the values of something that has few. Names begin
with the step as it is written in a recipe, then the picture's width and height where they matter, then the quantity.
"""
import math
import random
import sys

import numpy as np
import torch
from timm.data import auto_augment, mixup
from torchvision import transforms as T

DRAWS = 1_000_000
BINS = 64
lines = []


def record(name, values, discrete=False):
    values = np.asarray(values, dtype=np.float64)
    if discrete:
        edges = np.unique(values)[1:] - 0.5
    else:
        edges = np.unique([float(f"{e:.6g}") for e in np.quantile(values, np.arange(1, BINS) / BINS)])
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    numbers = [f"{e:.9g}" for e in edges] + [str(c) for c in counts]
    lines.append(f"{name}\t{len(values)} {len(edges)} {' '.join(numbers)}")
    print(name, len(edges), flush=True)


def fallback(width, height, low, high):
    """The box torchvision takes when ten tries fail: an area that never fits brings it out."""
    return T.RandomResizedCrop.get_params(torch.empty(3, height, width), [100.0, 100.0], [low, high])


def crops(width, height, low, high):
    image = torch.empty(1, 1, 1).expand(3, height, width)
    boxes = np.array([T.RandomResizedCrop.get_params(image, [low, high], [3 / 4, 4 / 3]) for _ in range(DRAWS)])
    top, left, h, w = boxes.T
    name = f"crop(64,{low:g},{high:g}) {width} {height}"
    record(f"{name} area", w * h / (width * height))
    record(f"{name} ratio", np.log(w / h))
    fell = np.all(boxes == [fallback(width, height, 3 / 4, 4 / 3)], axis=1)
    record(f"{name} fallback", fell, True)
    for key, at, room in (("left", left, width - w), ("top", top, height - h)):
        record(f"{name} {key}", (at / (room + 1))[~fell])


def jitters():
    strengths = (0.4, 0.5, 1.5, 0.1)
    jitter = T.ColorJitter(*strengths)
    drawn = [T.ColorJitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) for _ in range(DRAWS)]
    order = np.array([d[0].numpy() for d in drawn])
    name = "jitter(1,0.4,0.5,1.5,0.1)"
    record(f"{name} order", order @ np.array([1, 4, 16, 64]), True)
    for i, key in enumerate(("brightness", "contrast", "saturation", "hue")):
        record(f"{name} {key}", [d[1 + i] for d in drawn])


def chances():
    pair = torch.tensor([[[0, 1]]], dtype=torch.uint8)
    rgb = torch.tensor([200, 10, 90], dtype=torch.uint8).reshape(3, 1, 1)

    class Marks(torch.nn.Module):
        def forward(self, image):
            return image + 1

    for name, transform, image in (
        ("flip(0.5)", T.RandomHorizontalFlip(0.5), pair),
        ("vflip(0.3)", T.RandomVerticalFlip(0.3), pair.transpose(1, 2).contiguous()),
        ("gray(0.2)", T.RandomGrayscale(0.2), rgb),
        ("solarize(0.2,128)", T.RandomSolarize(128, 0.2), rgb),
        ("posterize(0.2,4)", T.RandomPosterize(4, 0.2), rgb),
        ("invert(0.1)", T.RandomInvert(0.1), rgb),
        ("blur(0.5,0.1,2)", T.RandomApply([Marks()], 0.5), rgb),
        ("jitter(0.8,0.4,0.4,0.4,0.1)", T.RandomApply([Marks()], 0.8), rgb),
    ):
        record(f"{name} applies", [not torch.equal(transform(image), image) for _ in range(DRAWS)], True)


def erasures(side, low, high, ratio_low, ratio_high):
    image = torch.empty(1, 1, 1).expand(3, side, side)
    boxes = np.array([T.RandomErasing.get_params(image, (low, high), (ratio_low, ratio_high), [0.0])[:4] for _ in range(DRAWS)])
    top, left, h, w = boxes.T
    found = (w < side) & (h < side)
    name = f"erase(1,{low:g},{high:g},{ratio_low:g},{ratio_high:g}) {side} {side}"
    record(f"{name} found", found, True)
    top, left, h, w = boxes[found].T
    record(f"{name} area", w * h / (side * side))
    record(f"{name} ratio", np.log(w / h))
    record(f"{name} left", left / (side - w + 1))
    record(f"{name} top", top / (side - h + 1))


def angles():
    record("rotate(1,30) degrees", [T.RandomRotation.get_params([-30.0, 30.0]) for _ in range(DRAWS)])
    record("blur(1,0.1,2) sigma", [T.GaussianBlur.get_params(0.1, 2.0) for _ in range(DRAWS)])
    record("pilblur(1,0.1,2) sigma", [T.GaussianBlur.get_params(0.1, 2.0) for _ in range(DRAWS)])


def randaugments():
    """timm's RandAugment with its pixel functions taken out: what is left writes down which operation ran with which argument."""
    chosen = auto_augment.rand_augment_transform("rand-m9-mstd0.5-inc1", {"img_mean": (124, 116, 104)})
    ran = []
    for number, op in enumerate(chosen.ops):
        op.aug_fn = lambda image, *arguments, number=number, **_: ran.append((number, arguments[0] if arguments else 0.0))
    first, count, arguments = [], [], [[] for _ in chosen.ops]
    for _ in range(DRAWS):
        ran.clear()
        chosen(None)
        count.append(len(ran))
        if ran:
            first.append(ran[0][0])
        for number, argument in ran:
            arguments[number].append(argument)
    name = "randaugment(1,9,0.5,2,0.5)"
    record(f"{name} count", count, True)
    record(f"{name} first", first, True)
    for number, values in enumerate(arguments):
        few = len(set(values[:10000])) < 40
        if len(set(values)) > 1:
            record(f"{name} {number}", values, few)


def mixes():
    for alpha in (0.2, 0.8, 1.0, 3.0):
        mix = mixup.Mixup(mixup_alpha=alpha, prob=1.0)
        record(f"mixup(1,{alpha:g}) lambda", [mix._params_per_batch()[0] for _ in range(DRAWS)])
    record("mixup(0.4,1) applies", [m != 1.0 for m in (mixup.Mixup(mixup_alpha=1.0, prob=0.4)._params_per_batch()[0] for _ in range(DRAWS))], True)
    for side in (64, 33):
        mix = mixup.Mixup(mixup_alpha=0.0, cutmix_alpha=1.0, prob=1.0)
        boxes = [mixup.cutmix_bbox_and_lam((3, side, side), mix._params_per_batch()[0]) for _ in range(DRAWS)]
        name = f"cutmix(1,1) {side} {side}"
        record(f"{name} lambda", [lam for _, lam in boxes])
        top, bottom, left, right = np.array([box for box, _ in boxes]).T
        for key, values in (("left", left), ("top", top), ("width", right - left), ("height", bottom - top)):
            record(f"{name} {key}", values, True)


def main():
    torch.manual_seed(11)
    np.random.seed(12)
    random.seed(13)
    torch.set_num_threads(1)
    for crop in ((500, 375, 0.08, 1.0), (333, 500, 0.05, 0.4), (64, 64, 0.2, 1.0), (120, 400, 0.08, 1.0), (96, 40, 0.5, 1.0)):
        crops(*crop)
    jitters()
    chances()
    erasures(224, 0.02, 0.33, 0.3, 3.3)
    erasures(32, 0.1, 0.9, 0.2, 5.0)
    angles()
    randaugments()
    mixes()
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
