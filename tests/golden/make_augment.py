#!/usr/bin/env python3
"""Records what Pillow and torchvision make of small pictures, for test_augment_golden.c.

    python3 make_augment.py augment.bin        (Pillow 12.3 and 13.0, torchvision 0.29, torch 2.14 make the same file)

Pillow up to 12 resizes horizontally first; 13 turns the passes round where the height shrinks much more than the width. The order up to
12 is the one recorded, in every version, by asking for one axis at a time.

Layout, little-endian: 8 bytes "FOVAUG02"; u32 pictures; for each u32 width, u32 height, u32 channels, u32 bytes of a sample (1 or 2), the
samples; u32 cases; for each 16 bytes kind (NUL-padded), u32 picture, u32 output width, u32 output height, u32 count of values,
f64 values[count], and the output, samples like the picture's. Values by kind:

    resize      left, top, width, height of the box, interpolation (0 bilinear, 1 bicubic), mirror; for a picture that is a frame shrunk
                from a larger one, to whose pixels the box belongs: shrink, full width, full height
    preprocess  shorter side, crop, interpolation
    jitter      brightness, contrast, saturation, hue, then the operations in order (0 to 3)
    gray, flip, vflip  none        solarize  threshold        pilblur  sigma        blur  sigma, kernel
"""
import struct
import sys

import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

INTERPOLATION = [InterpolationMode.BILINEAR, InterpolationMode.BICUBIC]
rng = np.random.default_rng(7)
pictures, cases = [], []


def picture(array):
    dtype = np.uint16 if array.dtype == np.uint16 else np.uint8
    pictures.append(np.ascontiguousarray(array, dtype=dtype))
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
    cases.append((kind, index, np.asarray(image), [float(v) for v in values]))


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


def resized_plane(plane, box, width, height, mode):
    """One channel, Pillow's resize with a box of floats on the picture cut to the pixels that it touches; horizontal pass first. 16 bits in
    mode F, whose result is rounded."""
    left, top, right, bottom = box
    x, y = int(left), int(top)
    cut = plane[y : int(np.ceil(bottom)), x : int(np.ceil(right))]
    image = Image.fromarray(cut.astype(np.float32) if plane.dtype == np.uint16 else cut)
    resample = [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC][mode]
    wide = image.resize((width, image.height), resample, box=(left - x, 0, right - x, image.height))
    out = np.asarray(wide.resize((width, height), resample, box=(0, top - y, width, bottom - y)))
    return np.rint(out).clip(0, 65535).astype(np.uint16) if plane.dtype == np.uint16 else out


def plane_resize(index, box, width, height, mode, mirror, shrink=1, full=None):
    left, top, w, h = box
    edges = [v / shrink for v in (left, top, left + w, top + h)]
    planes = [resized_plane(pictures[index][:, :, c], edges, width, height, mode) for c in range(pictures[index].shape[2])]
    out = np.stack(planes, axis=2)
    values = [left, top, w, h, mode, mirror] + ([shrink, full[0], full[1]] if shrink > 1 else [])
    case("resize", index, out[:, ::-1] if mirror else out, values)


def add_formats():
    """Other channels, 16 bits, shrunk frames."""
    for channels in (1, 2, 4, 5):
        index = picture(rng.integers(0, 256, (19, 26, channels)))
        for mode in (0, 1):
            plane_resize(index, (0, 0, 26, 19), 11, 13, mode, mode)
            plane_resize(index, (3, 5, 20, 7), 31, 6, mode, 0)
    for channels in (1, 3, 6):
        index = picture(rng.choice([0, 1, 300, 32767, 32768, 65534, 65535], (18, 25, channels)).astype(np.uint16))
        noisy = picture(rng.integers(0, 65536, (18, 25, channels)).astype(np.uint16))
        for at in (index, noisy):
            for mode in (0, 1):
                plane_resize(at, (0, 0, 25, 18), 10, 12, mode, mode)
                plane_resize(at, (2, 3, 21, 9), 33, 5, mode, 0)
                plane_resize(at, (2, 3, 4, 9), 4, 9, mode, 1)
    for shrink, width, height in ((2, 47, 39), (4, 85, 102), (8, 203, 149)):
        for dtype in (np.uint8, np.uint16):
            shape = (-(-height // shrink), -(-width // shrink), 3)
            index = picture(rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype))
            boxes = [(0, 0, width, height), (5, 9, width - 6, height - 11), (13, 3, 17, 21), (width - 1, height - 1, 1, 1)]
            for number, box in enumerate(boxes):
                for mode in (0, 1):
                    plane_resize(index, box, 9 + number, 7, mode, mode, shrink, (width, height))
    for channels in (1, 2):
        index = picture(rng.integers(0, 256, (14, 17, channels)))
        planes = [Image.fromarray(pictures[index][:, :, c]) for c in range(channels)]
        for sigma in (0.4, 1.7, 6.0):
            blurred = [np.asarray(p.filter(ImageFilter.GaussianBlur(radius=sigma))) for p in planes]
            case("pilblur", index, np.stack(blurred, axis=2), [sigma])
            blurred = [np.asarray(F.gaussian_blur(p, [7, 7], [sigma, sigma])) for p in planes]
            case("blur", index, np.stack(blurred, axis=2), [sigma, 7])
        case("solarize", index, np.stack([np.asarray(F.solarize(p, 90)) for p in planes], axis=2), [90])
        case("flip", index, pictures[index][:, ::-1], [])
        case("vflip", index, pictures[index][::-1], [])
        case("jitter", index, np.stack([np.asarray(F.adjust_brightness(p, 1.3)) for p in planes], axis=2), [1.3, 1, 1, 0, 0])
        if channels == 1:
            case("jitter", index, np.asarray(F.adjust_contrast(planes[0], 0.7))[:, :, None], [1, 0.7, 1, 0, 1])
    deep = picture(rng.integers(0, 65536, (14, 17, 2)).astype(np.uint16))
    tensor = torch.from_numpy(pictures[deep].astype(np.int32)).permute(2, 0, 1)
    blurred = F.gaussian_blur(tensor, [5, 5], [1.1, 1.1]).permute(1, 2, 0).numpy().astype(np.uint16)
    case("blur", deep, blurred, [1.1, 5])
    case("flip", deep, pictures[deep][:, ::-1], [])
    case("vflip", deep, pictures[deep][::-1], [])


def write(path):
    with open(path, "wb") as file:
        file.write(b"FOVAUG02" + struct.pack("<I", len(pictures)))
        for array in pictures:
            file.write(struct.pack("<IIII", array.shape[1], array.shape[0], array.shape[2], array.itemsize) + array.tobytes())
        file.write(struct.pack("<I", len(cases)))
        for kind, index, out, values in cases:
            file.write(kind.encode().ljust(16, b"\0"))
            file.write(struct.pack("<IIII", index, out.shape[1], out.shape[0], len(values)))
            file.write(struct.pack(f"<{len(values)}d", *values) + np.ascontiguousarray(out, dtype=pictures[index].dtype).tobytes())


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
    add_formats()
    write(sys.argv[1])


if __name__ == "__main__":
    main()
