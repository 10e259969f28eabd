#!/usr/bin/env python3
"""Makes tests/golden/images: tiny PNG and JPEG files of every kind, and expected.txt, what their pixels must be.

Needs Pillow and numpy (and jpegtran for the arithmetic-coded file); run by hand, its output is committed. PNG files come from the
encoder below, so that the expected pixels follow from the samples and the PNG specification, not from another decoder; where Pillow
gives 8 bits it is asked to agree. JPEG files are expected to decode to what Pillow (libjpeg-turbo, accurate integer DCT) gives.

Lines of expected.txt: file, mode, status, width, height, FNV-1a 64 of the RGB bytes. Modes are white, black, drop (transparency), keep
(orientation), lenient. With a folder as argument, prints such lines for the valid files of a copy of PngSuite instead."""
import glob
import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "images")
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
lines = []


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def expect(name, mode, rgb):
    h, w, _ = rgb.shape
    lines.append(f"{name} {mode} ok {w} {h} {fnv(np.ascontiguousarray(rgb, dtype=np.uint8).tobytes()):016x}")


def refuse(name, mode, status):
    lines.append(f"{name} {mode} {status} 0 0 0")


def write(name, data):
    assert len(data) < 3072, (name, len(data))
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)
    return data


# ---- PNG ----


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pack(samples, bits):
    """Rows of samples (h, w * channels) to packed bytes."""
    if bits == 16:
        return [row.astype(">u2").tobytes() for row in samples]
    if bits == 8:
        return [row.astype(np.uint8).tobytes() for row in samples]
    rows = []
    for row in samples:
        flat = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - bits:].reshape(-1)
        rows.append(np.packbits(flat).tobytes())
    return rows


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def filtered(rows, step):
    """Filter types 0 to 4 in turn."""
    out, above = b"", bytes(len(rows[0])) if rows else b""
    for i, row in enumerate(rows):
        kind = i % 5
        line = bytearray()
        for x, v in enumerate(row):
            a = row[x - step] if x >= step else 0
            b = above[x]
            c = above[x - step] if x >= step else 0
            line.append((v - (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]) & 255)
        out += bytes([kind]) + bytes(line)
        above = row
    return out


def png(samples, color, bits, interlace=False, palette=None, trns=None, extra=b""):
    h, w = samples.shape[:2]
    n = CHANNELS[color]
    flat = samples.reshape(h, w * n)
    step = max(1, n * bits // 8)
    passes = [(0, 0, 1, 1)]
    if interlace:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x0, y0, dx, dy in passes:
        part = samples[y0::dy, x0::dx]
        if part.size:
            raw += filtered(pack(part.reshape(part.shape[0], -1), bits), step)
    assert interlace or len(flat) == h
    z = zlib.compress(raw, 9)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, bits, color, 0, 0, int(interlace)))
    data += extra
    if palette is not None:
        data += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    if trns is not None:
        data += chunk(b"tRNS", trns)
    cut = len(z) // 2
    return data + chunk(b"IDAT", z[:cut]) + chunk(b"IDAT", z[cut:]) + chunk(b"IEND", b"")


def to8(v, bits):
    """Samples to 8 bits: exact rounding of v 255 / (2^bits - 1)."""
    top = (1 << bits) - 1
    return ((v.astype(np.int64) * 255 * 2 + top) // (2 * top)).astype(np.int64)


def meaning(samples, color, bits, palette, trns):
    """RGB and alpha, 8 bits."""
    alpha = np.full(samples.shape[:2], 255, np.int64)
    if color == 3:
        index = samples[..., 0].astype(int)
        table = np.full(256, 255, np.int64)
        if trns is not None:
            table[: len(trns)] = list(trns)
            alpha = table[index]
        return palette[index].astype(np.int64), alpha
    rgb = to8(samples[..., : 3 if color in (2, 6) else 1], bits)
    if color in (0, 4):
        rgb = np.repeat(rgb, 3, axis=2)
    if color in (4, 6):
        alpha = to8(samples[..., -1], bits)
    elif trns is not None:
        key = np.array(struct.unpack(f">{CHANNELS[color]}H", trns))
        alpha = np.where((samples == key).all(axis=2), 0, 255)
    return rgb, alpha


def make_png(name, samples, color, bits, interlace=False, palette=None, trns=None):
    data = write(name, png(samples, color, bits, interlace, palette, trns))
    rgb, alpha = meaning(samples, color, bits, palette, trns)
    a = alpha[..., None]
    composite = lambda back: (2 * (rgb * a + back * (255 - a)) + 255) // 510
    expect(name, "white", composite(255))
    if color in (4, 6) or trns is not None:
        expect(name, "black", composite(0))
        expect(name, "drop", rgb)
    if bits <= 8 and not (color == 0 and bits in (2, 4) and trns is not None):
        assert (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) == rgb).all(), name


def make_pngs():
    rng = np.random.default_rng(7)
    w, h = 19, 13
    for interlace in (False, True):
        tail = "i.png" if interlace else ".png"
        for color, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (4, (8, 16)), (6, (8, 16))):
            for bits in depths:
                smooth = np.add.outer(np.arange(h), np.arange(w))[..., None] * np.arange(1, CHANNELS[color] + 1)
                top = (1 << bits) - 1
                samples = (smooth * top // 37 + rng.integers(0, 2, smooth.shape)) % (top + 1)
                name = f"c{color}b{bits:02}"
                make_png(name + tail, samples, color, bits, interlace)
                if color == 0 or color == 2:
                    key = samples[3, 5]
                    samples[8, 2:9] = key
                    near = samples.copy()
                    if bits == 16:
                        near[9, 3] = key ^ 1  # same 8 bits, another colour: must stay opaque
                    make_png(name + "t" + tail, near, color, bits, interlace, trns=struct.pack(f">{len(key)}H", *key.tolist()))
        for bits in (1, 2, 4, 8):
            n = min(1 << bits, 40)
            palette = rng.integers(0, 256, (n, 3))
            samples = rng.integers(0, n, (h, w, 1))
            make_png(f"c3b{bits:02}" + tail, samples, 3, bits, interlace, palette=palette)
            make_png(f"c3b{bits:02}t" + tail, samples, 3, bits, interlace, palette=palette,
                     trns=bytes(rng.integers(0, 256, max(1, n // 2)).tolist()))
    one = np.array([[[200, 100, 50]]])
    make_png("one.png", one, 2, 8)
    make_png("onei.png", one, 2, 8, True)
    tiff = exif(6)
    samples = rng.integers(0, 256, (h, w, 3))
    turned = png(samples, 2, 8, extra=chunk(b"eXIf", tiff))
    write("exif6.png", turned)
    expect("exif6.png", "white", np.rot90(samples, -1))
    expect("exif6.png", "keep", samples)
    bad = bytearray(turned)
    bad[bad.index(b"eXIf") + 4 + len(tiff)] ^= 1  # its checksum: then it is not believed
    write("exif6crc.png", bytes(bad))
    expect("exif6crc.png", "white", samples)
    make_bad_pngs(samples)


def make_bad_pngs(samples):
    good = png(samples, 2, 8)
    bad = bytearray(good)
    bad[bad.index(b"IDAT") + 40] ^= 64
    write("badidat.png", bytes(bad))
    refuse("badidat.png", "white", "format")
    bad = bytearray(good)
    bad[25] ^= 4
    write("badheader.png", bytes(bad))
    refuse("badheader.png", "white", "format")
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 11000, 11000, 8, 2, 0, 0, 1)) + good[33:]
    write("bomb.png", bomb)
    refuse("bomb.png", "white", "format")
    huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 65500, 65500, 8, 2, 0, 0, 0)) + good[33:]
    write("huge.png", huge)
    refuse("huge.png", "white", "limit")
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20), 9))
    data = write("text.png", png(samples, 2, 8, extra=text))
    assert len(data) > 1500
    expect("text.png", "white", samples)


# ---- JPEG ----


def exif(value, order="II"):
    e = "<" if order == "II" else ">"
    return order.encode() + struct.pack(e + "HIHHHI", 42, 8, 2, 0x0100, 4, 1) + struct.pack(e + "I", 9) + struct.pack(
        e + "HHIHH", 0x0112, 3, 1, value, 0) + struct.pack(e + "I", 0)


def picture(w, h, n=3):
    y, x = np.mgrid[0:h, 0:w]
    planes = [128 + 100 * np.sin(x / 3.1 + c) * np.cos(y / (4.3 + c)) + (25 if c == 1 else -20) * ((x // 7 + y // 5) % 2) for c in range(n)]
    return np.clip(np.stack(planes, 2), 0, 255).astype(np.uint8)


def jpeg(image, **options):
    out = io.BytesIO()
    options.setdefault("quality", 80)
    image.save(out, "JPEG", **options)
    return out.getvalue()


def make_jpeg(name, data, mode="white"):
    write(name, data)
    image = Image.open(io.BytesIO(data))
    image.load()
    expect(name, mode, np.asarray(ImageOps.exif_transpose(image).convert("RGB")))


def segment(data, marker):
    """Start and length of a segment with its marker."""
    at = data.index(bytes([255, marker]))
    return at, 2 + struct.unpack(">H", data[at + 2:at + 4])[0]


def make_jpegs():
    rgb = Image.fromarray(picture(35, 27))
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        make_jpeg(f"{name}.jpg", jpeg(rgb, subsampling=subsampling))
        make_jpeg(f"{name}p.jpg", jpeg(rgb, subsampling=subsampling, progressive=True))
        make_jpeg(f"{name}r.jpg", jpeg(rgb, subsampling=subsampling, restart_marker_blocks=2))
    make_jpeg("gray.jpg", jpeg(Image.fromarray(picture(35, 27, 1)[..., 0])))
    make_jpeg("grayp.jpg", jpeg(Image.fromarray(picture(35, 27, 1)[..., 0]), progressive=True))
    make_jpeg("rgb.jpg", jpeg(rgb, keep_rgb=True))
    make_jpeg("q100.jpg", jpeg(Image.fromarray(picture(20, 17)), quality=100, subsampling=0))
    make_jpeg("tiny.jpg", jpeg(Image.fromarray(picture(1, 1)), optimize=True))
    # 4:2:2 to 4:4:0 by exchanging the factors: a square picture has as many MCUs either way
    data = bytearray(jpeg(Image.fromarray(picture(32, 32)), subsampling=1))
    at, _ = segment(data, 0xC0)
    assert data[at + 11] == 0x21
    data[at + 11] = 0x12
    make_jpeg("440.jpg", bytes(data))
    cmyk = Image.fromarray(picture(27, 21, 4), "CMYK")
    plain = jpeg(cmyk)
    make_jpeg("cmyk.jpg", plain)
    make_jpeg("cmykp.jpg", jpeg(cmyk, progressive=True))
    at, length = segment(plain, 0xEE)
    make_jpeg("cmykbare.jpg", plain[:at] + plain[at + length:])
    ycck = bytearray(plain)
    ycck[at + 4 + 11] = 2
    make_jpeg("ycck.jpg", bytes(ycck))
    strange = bytearray(jpeg(rgb, keep_rgb=True))
    at, _ = segment(strange, 0xEE)
    strange[at + 4 + 11] = 9  # unknown transform: warned about, read as YCbCr
    make_jpeg("adobe9.jpg", bytes(strange))
    small = Image.fromarray(picture(19, 13))
    for value in range(1, 9):
        order = "II" if value % 2 else "MM"
        make_jpeg(f"exif{value}.jpg", jpeg(small, quality=70, exif=b"Exif\0\0" + exif(value, order)))
    write("exif9.jpg", jpeg(small, exif=b"Exif\0\0" + exif(9)))
    expect("exif9.jpg", "white", np.asarray(Image.open(os.path.join(OUT, "exif9.jpg")).convert("RGB")))
    expect("exif6.jpg", "keep", np.asarray(Image.open(os.path.join(OUT, "exif6.jpg")).convert("RGB")))
    make_odd_jpegs(rgb)


def make_odd_jpegs(rgb):
    good = jpeg(rgb)
    at, length = segment(good, 0xC4)
    make_jpeg("stray.jpg", good[:at] + b"\1\2\3" + good[at:])  # bytes between segments
    make_jpeg("after.jpg", good + b"trailing bytes")
    arithmetic = subprocess.run(["jpegtran", "-arithmetic"], input=good, stdout=subprocess.PIPE, check=True).stdout
    write("arith.jpg", arithmetic)
    refuse("arith.jpg", "white", "unsupported")
    at, _ = segment(good, 0xC0)
    deep = bytearray(good)
    deep[at + 4] = 12
    write("bits12.jpg", bytes(deep))
    refuse("bits12.jpg", "white", "unsupported")
    bomb = bytearray(jpeg(rgb, progressive=True))
    at, _ = segment(bomb, 0xC2)
    bomb[at + 5:at + 9] = struct.pack(">HH", 11000, 11000)
    write("bomb.jpg", bytes(bomb))
    refuse("bomb.jpg", "white", "format")
    bomb[at + 5:at + 9] = struct.pack(">HH", 65500, 65500)
    write("huge.jpg", bytes(bomb))
    refuse("huge.jpg", "white", "limit")
    progressive = jpeg(Image.fromarray(picture(8, 8)), progressive=True)
    at = progressive.rindex(b"\xff\xda")
    write("scans.jpg", progressive[:at] + progressive[at:-2] * 101 + progressive[-2:])
    refuse("scans.jpg", "lenient", "limit")
    first, length = segment(progressive, 0xDA)
    baseline = jpeg(rgb, subsampling=0)
    scan = baseline.index(b"\xff\xda") + 14
    middle = scan + (len(baseline) - scan) // 2
    bad = baseline[:middle] + baseline[middle + 40:]
    write("lost.jpg", bad)
    refuse("lost.jpg", "white", "format")
    write("cut.jpg", baseline[:middle])
    refuse("cut.jpg", "white", "format")
    lines.append("cut.jpg lenient ok 35 27 *")
    # a progressive file that ends after a scan of AC coefficients alone, before any DC
    ac = progressive.index(b"\xff\xda", first + 2)
    tables = progressive[:first]
    second = progressive[first + length:ac]
    start = second.find(b"\xff\xc4")
    rest = progressive[ac:] if start < 0 else second[start:] + progressive[ac:]
    write("nodc.jpg", tables + rest)
    refuse("nodc.jpg", "white", "format")


def pngsuite(folder):
    for path in sorted(glob.glob(os.path.join(folder, "*.png"))):
        name = os.path.basename(path)
        if name.startswith("x"):
            continue  # broken on purpose
        image = Image.open(path)
        if image.mode.startswith("I") or (image.mode in ("RGB", "RGBA", "LA") and open(path, "rb").read()[24] == 16):
            lines.append(f"{name} keep ok {image.width} {image.height} *")  # Pillow cuts 16 bits off, it does not round them
            continue
        rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
        a = rgba[..., 3:]
        expect(name, "keep", (2 * (rgba[..., :3] * a + 255 * (255 - a)) + 255) // 510)


def main():
    if len(sys.argv) > 1:
        pngsuite(sys.argv[1])
        print("\n".join(lines))
        return
    os.makedirs(OUT, exist_ok=True)
    for old in glob.glob(os.path.join(OUT, "*")):
        os.remove(old)
    make_pngs()
    make_jpegs()
    with open(os.path.join(OUT, "expected.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")
    print(len(lines), "lines,", sum(os.path.getsize(p) for p in glob.glob(os.path.join(OUT, "*"))), "bytes")


main()
