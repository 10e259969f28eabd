#!/usr/bin/env python3
"""Records what Pillow, torchvision and timm make of small pictures by the steps that turn, map, sharpen and erase, for test_steps_golden.c.

    python3 make_steps.py steps.bin [ROUNDS]        (Pillow 13.0, torchvision 0.29, timm 1.0; ROUNDS of random pictures, 1 is recorded)

Layout, little-endian: 8 bytes "FOVSTP01"; u32 pictures; for each u32 width, height, channels and the bytes; u32 cases; for each 16 bytes
name of the step (NUL-padded), u32 picture, u32 count of values, f64 values[count], and the output, as large as the picture. Values:

    posterize bits    sharpness factor    rotate90 quarters    rotate degrees, sampling (0 nearest, 1 bilinear, 2 bicubic)
    equalize, autocontrast, invert  none        erase  left, top, width, height, value
    randaugment  pairs of operation and argument, in order
"""
import struct
import sys

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from timm.data import auto_augment
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

MODES = {1: "L", 3: "RGB", 4: "CMYK"}  # CMYK is Pillow's way of four channels that have no meaning of their own
SAMPLING = [InterpolationMode.NEAREST, InterpolationMode.BILINEAR, InterpolationMode.BICUBIC]
rng = np.random.default_rng(21)
pictures, cases = [], []
OPS = auto_augment.rand_augment_transform(
    "rand-m9-mstd0.5-inc1", {"img_mean": (124, 116, 104), "interpolation": Image.Resampling.BICUBIC}).ops


def picture(array):
    pictures.append(np.ascontiguousarray(array, dtype=np.uint8))
    return len(pictures) - 1


def noise(width, height, channels=3, low=0, high=256):
    return picture(rng.integers(low, high, (height, width, channels)))


def smooth(width, height):
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = [90 + 60 * np.sin(x / 5 + k) * np.cos(y / 4 - 2 * k) + 10 * k for k in range(3)]
    return picture((np.stack(planes, axis=2) + rng.normal(0, 3, (height, width, 3))).clip(0, 255))


def extremes(width, height):
    return picture(rng.choice([0, 1, 127, 128, 254, 255], (height, width, 3)))


def pil(index):
    array = pictures[index]
    return Image.frombytes(MODES[array.shape[2]], (array.shape[1], array.shape[0]), array.tobytes())


def case(kind, index, image, values=()):
    cases.append((kind, index, image.tobytes(), [float(v) for v in values]))
    assert len(cases[-1][2]) == pictures[index].size


def add_tables(index):
    image = pil(index)
    case("equalize", index, ImageOps.equalize(image))
    case("autocontrast", index, ImageOps.autocontrast(image))
    case("invert", index, F.invert(image))
    for bits in range(1, 9):  # Pillow 13 refuses 0 bits, which earlier ones made black
        case("posterize", index, ImageOps.posterize(image, bits), [bits])


def add_sharpness(index):
    for factor in (0.0, 0.1, 0.55, 1.0, 1.37, 1.9, 2.0, 7.5):
        case("sharpness", index, ImageEnhance.Sharpness(pil(index)).enhance(factor), [factor])


def add_turns(index):
    image = pil(index)
    square = image.width == image.height
    for quarters in range(4):
        if square or quarters % 2 == 0:
            turned = torch.rot90(torch.from_numpy(pictures[index].copy()), quarters).contiguous().numpy()
            case("rotate90", index, turned, [quarters])
    for degrees in (-180.0, -137.25, -90.0, -45.0, -0.3, 0.0, 1e-3, 12.34567, 30.0, 89.999, 90.0, 101.5, 180.0):
        for sampling in range(3):
            case("rotate", index, F.rotate(image, degrees, SAMPLING[sampling]), [degrees, sampling])


def add_operation(index, layers):
    image, values = pil(index), []
    for number, argument in layers:
        op = OPS[number]
        image = op.aug_fn(image, *([] if argument is None else [argument]), **op.kwargs)
        values += [number, 0.0 if argument is None else argument]
    case("randaugment", index, image, values)


def argument(number):
    """As timm draws it, from a random magnitude."""
    op = OPS[number]
    return None if op.level_fn is None else op.level_fn(max(0.0, min(rng.normal(8, 2), 9.99)), op.hparams)[0]


def add_operations(index):
    for number in range(len(OPS)):
        for _ in range(3):
            add_operation(index, [(number, argument(number))])
    for count in (0, 2, 2, 2, 3, 4):
        chosen = rng.integers(0, len(OPS), count)
        add_operation(index, [(n, argument(n)) for n in chosen])


def add_erasures(index):
    height, width, _ = pictures[index].shape
    for left, top, w, h, value in ((0, 0, 3, 2, 0), (2, 1, width - 3, height - 2, 255), (width - 1, height - 1, 1, 1, 77), (4, 3, 0, 5, 9)):
        tensor = torch.from_numpy(pictures[index].copy()).permute(2, 0, 1)
        out = F.erase(tensor, top, left, h, w, torch.tensor([[[value]]], dtype=torch.uint8))
        case("erase", index, out.permute(1, 2, 0).contiguous().numpy(), [left, top, w, h, value])


def write(path):
    with open(path, "wb") as file:
        file.write(b"FOVSTP01" + struct.pack("<I", len(pictures)))
        for array in pictures:
            file.write(struct.pack("<III", array.shape[1], array.shape[0], array.shape[2]) + array.tobytes())
        file.write(struct.pack("<I", len(cases)))
        for kind, index, out, values in cases:
            file.write(kind.encode().ljust(16, b"\0"))
            file.write(struct.pack("<II", index, len(values)))
            file.write(struct.pack(f"<{len(values)}d", *values) + out)


def one_round():
    few = noise(19, 16, low=100, high=140)  # equalize: a step of one pixel
    square, oblong, wavy, hard = noise(15, 15), noise(13, 10), smooth(22, 20), extremes(11, 9)
    grey, four = noise(12, 9, 1), noise(9, 9, 4)
    for index in (few, square, wavy, hard, grey):
        add_tables(index)
    for index in (square, oblong, hard, grey, four, noise(2, 5), noise(5, 2), noise(3, 3)):
        add_sharpness(index)
    for index in (square, oblong, grey, four):
        add_turns(index)
    for index in (square, oblong, wavy):
        add_operations(index)
    for index in (oblong, four):
        add_erasures(index)


def main():
    for k in range(int(sys.argv[2]) if len(sys.argv) > 2 else 1):
        one_round()
        if k == 0:
            add_tables(picture(np.full((20, 30, 3), [0, 9, 255])))
            gap = rng.integers(0, 2, (20, 30, 3)) * [255, 1, 0]
            add_tables(picture(gap))
    write(sys.argv[1])


if __name__ == "__main__":
    main()
