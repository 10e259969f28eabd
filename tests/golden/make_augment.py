#!/usr/bin/env python3
"""Records what Pillow and torchvision make of small pictures, for test_augment_golden.c.

    python3 make_augment.py augment.bin        (Pillow 12.3 and 13.0, torchvision 0.29, torch 2.14 make the same file)

Pillow up to 12 resizes horizontally first; 13 turns the passes round where the height shrinks much more than the width. The order up to
12 is the one recorded, in every version, by asking for one axis at a time.

Layout, little-endian: 8 bytes "FOVAUG01"; u32 pictures; for each u32 width, u32 height, width * height * 3 bytes (RGB); u32 cases; for
each 16 bytes kind (NUL-padded), u32 picture, u32 output width, u32 output height, u32 count of values, f64 values[count], and the
output, width * height * 3 bytes. Values by kind:

    resize      left, top, width, height of the box, interpolation (0 bilinear, 1 bicubic), mirror
    preprocess  shorter side, crop, interpolation
    jitter      brightness, contrast, saturation, hue, then the operations in order (0 to 3)
    gray, flip, vflip  none        solarize  threshold        pilblur  sigma        blur  sigma, kernel
"""
import struct
import sys

import numpy as np
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

INTERPOLATION = [InterpolationMode.BILINEAR, InterpolationMode.BICUBIC]
rng = np.random.default_rng(7)
pictures, cases = [], []


def picture(array):
    pictures.append(np.ascontiguousarray(array, dtype=np.uint8))
    return len(pictures) - 1


def resized(image, width, height, mode):
    """Whole picture, horizontal pass first."""
    wide = F.resize(image, [image.height, width], INTERPOLATION[mode])
    return F.resize(wide, [height, width], INTERPOLATION[mode])


def noise(width, height):
    return picture(rng.integers(0, 256, (height, width, 3)))


def smooth(width, height):
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = [127 + 127 * np.sin(x / 5 + k) * np.cos(y / 4 - 2 * k) for k in range(3)]
    return picture((np.stack(planes, axis=2) + rng.normal(0, 3, (height, width, 3))).clip(0, 255))


def extremes(width, height):
    return picture(rng.choice([0, 1, 127, 128, 254, 255], (height, width, 3)))


def case(kind, index, image, values):
    cases.append((kind, index, np.asarray(image.convert("RGB")), [float(v) for v in values]))


def pil(index):
    return Image.fromarray(pictures[index])


def add_resizes(indices):
    for index in indices:
        height, width, _ = pictures[index].shape
        boxes = [(0, 0, width, height), (width // 3, height // 4, width // 2, height // 2), (width - 3, 1, 3, 5), (2, height - 1, 7, 1)]
        sizes = [(width, height), (16, 16), (9, 31), (width, 11), (13, height), (1, 1), (33, 6)]
        for b, (left, top, w, h) in enumerate(boxes):
            for s, (ow, oh) in enumerate(sizes):
                if (b + s) % 2 and b:
                    continue
                for mode in (0, 1):
                    out = resized(F.crop(pil(index), top, left, h, w), ow, oh, mode)
                    mirror = (b + s + mode) % 3 == 0
                    case("resize", index, F.hflip(out) if mirror else out, [left, top, w, h, mode, mirror])


def add_preprocess(indices):
    for index in indices:
        for shorter, crop, mode in [(16, 16, 0), (19, 14, 0), (19, 14, 1), (24, 21, 1), (18, 17, 0), (40, 29, 0)]:
            width, height = F.resize(pil(index), shorter).size
            out = F.center_crop(resized(pil(index), width, height, mode), [crop, crop])
            case("preprocess", index, out, [shorter, crop, mode])


def jitter(index, factors, order):
    image = pil(index)
    operations = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
    for op in order:
        image = operations[op](image, factors[op])
    case("jitter", index, image, list(factors) + list(order))


def add_jitter(indices):
    for index in indices:
        for op in range(3):
            for factor in (0.0, 0.2, 0.6000000000000001, 0.93, 1.0, 1.05, 1.4, 1.8, 3.7):
                factors = [1.0, 1.0, 1.0, 0.0]
                factors[op] = factor
                jitter(index, factors, [op])
        for hue in (-0.5, -0.37, -0.2, -0.1, -0.05, -0.003, 0.0, 0.003, 0.04, 0.1, 0.13, 0.2, 0.31, 0.4, 0.5):
            jitter(index, [1.0, 1.0, 1.0, hue], [3])
        for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1], [3, 1], [2, 1, 0]):
            factors = [rng.uniform(0.6, 1.4), rng.uniform(0.6, 1.4), rng.uniform(0.2, 1.8), rng.uniform(-0.2, 0.2)]
            jitter(index, factors, order)


def add_blurs(indices):
    for index in indices:
        image = pil(index)
        for sigma in (0.1, 0.3, 0.5, 0.77, 1.0, 1.3, 1.61, 2.0, 3.5, 8.0):
            case("pilblur", index, image.filter(ImageFilter.GaussianBlur(radius=sigma)), [sigma])
        for sigma, kernel in [(0.1, 3), (0.1, 9), (0.4, 5), (0.9, 3), (1.0, 7), (1.37, 7), (2.0, 9), (2.0, 23), (1.7, 1), (5.0, 11)]:
            if kernel // 2 < min(image.size):
                case("blur", index, F.gaussian_blur(image, [kernel, kernel], [sigma, sigma]), [sigma, kernel])


def add_simple(indices):
    for index in indices:
        case("gray", index, F.to_grayscale(pil(index), 3), [])
        case("flip", index, F.hflip(pil(index)), [])
        case("vflip", index, F.vflip(pil(index)), [])
        for threshold in (0, 1, 100, 128, 255, 256):
            case("solarize", index, F.solarize(pil(index), threshold), [threshold])


def write(path):
    with open(path, "wb") as file:
        file.write(b"FOVAUG01" + struct.pack("<I", len(pictures)))
        for array in pictures:
            file.write(struct.pack("<II", array.shape[1], array.shape[0]) + array.tobytes())
        file.write(struct.pack("<I", len(cases)))
        for kind, index, out, values in cases:
            file.write(kind.encode().ljust(16, b"\0"))
            file.write(struct.pack("<IIII", index, out.shape[1], out.shape[0], len(values)))
            file.write(struct.pack(f"<{len(values)}d", *values) + out.tobytes())


def main():
    noisy, wavy, hard, tall, tiny = noise(29, 23), smooth(23, 29), extremes(17, 13), noise(9, 40), noise(11, 8)
    colors = noise(37, 24)
    add_resizes([noisy, wavy])
    add_resizes([hard])
    add_preprocess([noisy, tall, tiny])
    add_jitter([hard, tiny])
    for hue in np.linspace(-0.5, 0.5, 9):
        jitter(colors, [1.0, 1.0, 1.0, float(hue)], [3])
    add_blurs([noisy, tiny, hard])
    add_simple([tiny])
    write(sys.argv[1])


if __name__ == "__main__":
    main()
