#!/usr/bin/env python3
"""Makes tests/golden/images: tiny PNG, JPEG, WebP and TIFF files of every kind, and expected.txt, what their pixels must be.

Needs Pillow and numpy (and jpegtran for the arithmetic-coded file); run by hand, its output is committed. PNG files and most TIFF files come
from the encoders below, so that the expected pixels follow from the samples and the specification, not from another decoder; where Pillow
gives 8 bits it is asked to agree. All others are expected to decode to what Pillow (libjpeg-turbo with the accurate integer DCT, libwebp,
libtiff) gives.

Lines of expected.txt: file, mode, status, width, height, FNV-1a 64 of the pixels' bytes. Modes are white, black, drop (transparency), keep
(orientation), lenient; and 1, 2, 3, ... for that many channels, 1d, 2d, ... for 16 bits. With a folder as argument, prints such lines for the valid files of a copy of PngSuite instead."""
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
    kind = "<u2" if mode.endswith("d") else np.uint8
    assert rgb.min() >= 0 and rgb.max() <= np.iinfo(kind).max
    lines.append(f"{name} {mode} ok {w} {h} {fnv(np.ascontiguousarray(rgb).astype(kind).tobytes()):016x}")


def refuse(name, mode, status):
    lines.append(f"{name} {mode} {status} 0 0 0")


def write(name, data):
    assert len(data) < 10000, (name, len(data))
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


def luma(rgb):
    """Pillow's "L"."""
    r, g, b = (rgb[..., c:c + 1].astype(np.int64) for c in range(3))
    return (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16


def mixed(colors, alpha, back, top):
    return (2 * (colors * alpha + back * (top - alpha)) + top) // (2 * top)


def expect_formats(name, planes, colors, alpha, bits):
    """Other formats than 3 x 8 bits of `planes`, whose meaning is `colors` (1 or 3 planes, or None) and alpha (a plane, or None), of 8 or 16
    bits."""
    top = (1 << bits) - 1
    n = planes.shape[2]
    for deep in (False, True):
        tail = "d" if deep else ""
        to = (lambda v: v) if bits == (16 if deep else 8) else (lambda v: v * 257) if deep else (lambda v: to8(v, 16))
        if n not in (1, 3) or colors is None:
            expect(name, f"{n}{tail}", to(planes))
        if colors is None:
            continue
        down = (lambda v: to8(v, 16)) if bits == 16 and not deep else (lambda v: v)
        up = (lambda v: v * 257) if bits == 8 and deep else (lambda v: v)
        c = down(colors)
        now = 65535 if bits == 16 and deep else 255
        if alpha is not None:
            c = mixed(c, down(alpha), now, now)
        expect(name, "1" + tail, up(c if c.shape[2] == 1 else luma(c)))
        expect(name, "3" + tail, up(np.repeat(c, 3, axis=2) if c.shape[2] == 1 else c))
    for wrong in (2, 4, 5):
        if wrong != n:
            refuse(name, str(wrong), "unsupported")
    if colors is None:
        refuse(name, "1", "unsupported")


def make_png(name, samples, color, bits, interlace=False, palette=None, trns=None):
    data = write(name, png(samples, color, bits, interlace, palette, trns))
    rgb, alpha = meaning(samples, color, bits, palette, trns)
    a = alpha[..., None]
    composite = lambda back: (2 * (rgb * a + back * (255 - a)) + 255) // 510
    expect(name, "white", composite(255))
    if color in (4, 6) or trns is not None:
        expect(name, "black", composite(0))
        expect(name, "drop", rgb)
    if color in (2, 4, 6) and trns is None or color == 0 and bits == 16 and trns is None:
        n = CHANNELS[color]
        expect_formats(name, samples, samples[..., :3] if n > 2 else samples[..., :1], samples[..., -1:] if n % 2 == 0 else None, bits)
    if name in ("c3b08t.png", "c3b04.png", "c0b02t.png"):
        expect(name, "3d", composite(255) * 257)
        expect(name, "1", composite(255)[..., :1] if color == 0 else luma(composite(255)))
        refuse(name, "2", "unsupported")
        refuse(name, "4", "unsupported")
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
    for name in ("420.jpg", "422p.jpg", "gray.jpg"):
        image = Image.open(os.path.join(OUT, name))
        expect(name, "1", np.asarray(image.convert("L"))[..., None])
        expect(name, "3d", np.asarray(image.convert("RGB")).astype(int) * 257)
        refuse(name, "4", "unsupported")
    for name in ("cmyk.jpg", "cmykbare.jpg", "ycck.jpg"):
        image = Image.open(os.path.join(OUT, name))
        planes = 255 - np.asarray(image).astype(int)  # Pillow takes all for Adobe's inverted inks and turns them
        expect(name, "4", planes)
        expect(name, "4d", planes * 257)
        refuse(name, "2", "unsupported")


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


# ---- WebP ----


def webp(image, **options):
    out = io.BytesIO()
    image.save(out, "WEBP", **options)
    return out.getvalue()


def make_webp(name, data):
    write(name, data)
    image = Image.open(io.BytesIO(data))
    planes = np.asarray(image).astype(np.int64)
    alpha = planes[..., 3:] if image.mode == "RGBA" else None
    turned = np.asarray(ImageOps.exif_transpose(image)).astype(np.int64)
    rgb, a = turned[..., :3], turned[..., 3:] if alpha is not None else np.full(turned.shape[:2] + (1,), 255)
    expect(name, "white", mixed(rgb, a, 255, 255))
    if alpha is not None:
        expect(name, "black", mixed(rgb, a, 0, 255))
        expect(name, "drop", rgb)
    if name.startswith("exif"):
        expect(name, "keep", planes)
    else:
        expect_formats(name, planes, planes[..., :3], alpha, 8)


def make_webps():
    rgb = Image.fromarray(picture(35, 27))
    rgba = Image.fromarray(np.concatenate([picture(34, 29), picture(34, 29, 4)[..., 3:]], 2))
    make_webp("lossy.webp", webp(rgb, quality=80))
    make_webp("lossless.webp", webp(rgb, lossless=True))
    make_webp("lossya.webp", webp(rgba, quality=75))
    make_webp("losslessa.webp", webp(rgba, lossless=True, exact=True))
    make_webp("tiny.webp", webp(Image.fromarray(picture(1, 1)), quality=90))
    small = Image.fromarray(picture(19, 13))
    make_webp("exif6.webp", webp(small, quality=80, exif=exif(6)))
    make_webp("exif3.webp", webp(small, lossless=True, exif=b"Exif\0\0" + exif(3, "MM")))
    frames = [Image.fromarray(picture(16, 16)), Image.fromarray(picture(16, 16)[::-1])]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    write("moving.webp", out.getvalue())
    refuse("moving.webp", "white", "unsupported")
    good = webp(rgb, quality=80)
    write("cut.webp", good[:len(good) - 20])
    refuse("cut.webp", "white", "format")
    lines.append("cut.webp lenient ok 35 27 *")
    flat = webp(Image.new("RGB", (6000, 6000), (10, 200, 30)), lossless=True)
    write("bomb.webp", flat)
    refuse("bomb.webp", "white", "format")
    refuse("bomb.webp", "lenient", "format")


# ---- TIFF ----


def packbits(row):
    out = b""
    for at in range(0, len(row), 128):
        piece = row[at:at + 128]
        out += bytes([len(piece) - 1]) + piece if len(set(piece)) > 1 or len(piece) < 2 else bytes([257 - len(piece), piece[0]])
    return out


def tiff(samples, bits, photometric, tile=None, strip=5, separate=False, compression=1, order="<", big=False, extra=None, palette=None,
         orientation=None, kind=None):
    """The specification's smallest file of that kind: TIFF 6.0, or BigTIFF."""
    h, w, n = samples.shape
    bw, bh = tile or (w, strip)
    blocks = []
    for plane in range(n) if separate else [slice(None)]:
        for y in range(0, h, bh):
            for x in range(0, w, bw):
                block = samples[y:y + bh, x:x + bw, plane]
                block = block.reshape(block.shape[0], block.shape[1], -1)
                if tile:
                    block = np.pad(block, ((0, bh - block.shape[0]), (0, bw - block.shape[1]), (0, 0)), mode="edge")
                rows = [row.reshape(-1).astype(order + "u2" if bits == 16 else np.uint8).tobytes() for row in block]
                blocks.append(b"".join(packbits(r) for r in rows) if compression == 32773 else
                              zlib.compress(b"".join(rows)) if compression == 8 else b"".join(rows))
    header = 16 if big else 8
    offsets, data = [], b""
    for block in blocks:
        offsets.append(header + len(data))
        data += block + b"\0" * (len(block) % 2)
    tags = {256: (4, [w]), 257: (4, [h]), 258: (3, [bits] * n), 259: (3, [compression]), 262: (3, [photometric]), 277: (3, [n]),
            284: (3, [2 if separate else 1])}
    tags.update({322: (4, [bw]), 323: (4, [bh]), 324: (4, offsets), 325: (4, [len(b) for b in blocks])} if tile else
                {273: (4, offsets), 278: (4, [bh]), 279: (4, [len(b) for b in blocks])})
    if extra is not None:
        tags[338] = (3, extra)
    if palette is not None:
        tags[320] = (3, palette)
    if orientation is not None:
        tags[274] = (3, [orientation])
    if kind is not None:
        tags[339] = (3, [kind] * n)
    count, inline = ("Q", 8) if big else ("I", 4)
    at = header + len(data)
    entries, tail = b"", b""
    beyond = at + (8 + 20 * len(tags) + 8 if big else 2 + 12 * len(tags) + 4)
    for tag in sorted(tags):
        kind_of, values = tags[tag]
        body = struct.pack(f"{order}{len(values)}{'H' if kind_of == 3 else 'I'}", *values)
        entries += struct.pack(order + "HH" + count, tag, kind_of, len(values))
        if len(body) <= inline:
            entries += body.ljust(inline, b"\0")
        else:
            entries += struct.pack(order + count, beyond + len(tail))
            tail += body
    mark = b"II" if order == "<" else b"MM"
    head = mark + (struct.pack(order + "HHHQ", 43, 8, 0, at) if big else struct.pack(order + "HI", 42, at))
    return head + data + struct.pack(order + ("Q" if big else "H"), len(tags)) + entries + struct.pack(order + count, 0) + tail


def make_tiff(name, samples, bits, photometric, colors=None, alpha=None, agrees=True, turn=None, **options):
    data = write(name, tiff(samples, bits, photometric, **options))
    if turn is not None:
        expect(name, "white", turn(samples))
        expect(name, "keep", samples)
        return
    expect_formats(name, samples, colors, alpha, bits)
    if agrees:
        have = np.asarray(Image.open(io.BytesIO(data)))
        assert (have.reshape(samples.shape) == samples).all(), name


def pillow_tiff(name, image, **options):
    out = io.BytesIO()
    image.save(out, "TIFF", **options)
    write(name, out.getvalue())
    expect(name, "white", np.asarray(Image.open(io.BytesIO(out.getvalue())).convert("RGB")))


def make_tiffs():
    rng = np.random.default_rng(11)
    rgb = picture(21, 14).astype(np.int64)
    gray = rgb[..., :1]
    deep = rgb * 257 + rng.integers(-100, 100, rgb.shape) * ((rgb > 1) & (rgb < 254))
    bands = np.concatenate([picture(21, 14, 3), picture(21, 14, 3)[::-1, ::-1, :2]], 2).astype(np.int64)
    for order in "<>":
        end = "le" if order == "<" else "be"
        make_tiff(f"rgb_{end}.tif", rgb, 8, 2, colors=rgb, order=order)
        make_tiff(f"deep_{end}.tif", deep, 16, 2, colors=deep, order=order, compression=8, agrees=False)
        make_tiff(f"gray16_{end}.tif", deep[..., :1], 16, 1, colors=deep[..., :1], order=order, agrees=False)
        make_tiff(f"tiles_{end}.tif", deep, 16, 2, colors=deep, order=order, tile=(16, 16), separate=True, compression=8, agrees=False)
        make_tiff(f"big_{end}.tif", rgb, 8, 2, colors=rgb, order=order, big=True, agrees=False)
    tall = np.random.default_rng(5).integers(0, 256, (97, 90, 1))  # over 8 KiB in one strip, which libtiff chops
    make_tiff("strip.tif", tall, 8, 1, colors=tall, strip=97)
    make_tiff("strips.tif", tall, 8, 1, colors=tall, strip=40)  # the last one short
    make_tiff("gray.tif", gray, 8, 1, colors=gray, compression=32773)
    make_tiff("tiles.tif", rgb, 8, 2, colors=rgb, tile=(16, 16), compression=32773)
    make_tiff("planes.tif", rgb, 8, 2, colors=rgb, separate=True, compression=8)
    make_tiff("bands5.tif", bands, 8, 1, extra=[0, 0, 0, 0], agrees=False)
    make_tiff("bands5s.tif", bands * 257, 16, 1, extra=[0, 0, 0, 0], separate=True, tile=(16, 16), compression=8,
              agrees=False)
    make_tiff("rgbx.tif", bands[..., :4], 8, 2, colors=bands[..., :3], extra=[0], agrees=False)
    make_tiff("rgba.tif", bands[..., :4], 8, 2, colors=bands[..., :3], alpha=bands[..., 3:4], extra=[2])
    make_tiff("graya16.tif", deep[..., :2], 16, 1, colors=deep[..., :1], alpha=deep[..., 1:2], extra=[2], agrees=False)
    a = bands[..., 3:4]
    premultiplied = np.concatenate([bands[..., :3] * a // 255, a], 2)
    write("rgbap.tif", tiff(premultiplied, 8, 2, extra=[1]))
    expect("rgbap.tif", "white", np.minimum(premultiplied[..., :3] + 255 - a, 255))
    expect("rgbap.tif", "black", premultiplied[..., :3])
    expect("rgbap.tif", "4", premultiplied)
    white = 255 - gray
    write("miniswhite.tif", tiff(white, 8, 0))
    expect("miniswhite.tif", "white", np.repeat(gray, 3, axis=2))
    expect("miniswhite.tif", "1d", gray * 257)
    palette = rng.integers(0, 256, (256, 3)) * 256 + rng.integers(0, 256, (256, 3))
    write("palette.tif", tiff(gray, 8, 3, palette=palette.T.reshape(-1).tolist(), strip=64))
    expect("palette.tif", "white", palette[gray[..., 0]] >> 8)
    expect("palette.tif", "3d", palette[gray[..., 0]])
    expect("palette.tif", "1", luma(palette[gray[..., 0]] >> 8))
    refuse("palette.tif", "2", "unsupported")
    write("palette8.tif", tiff(gray, 8, 3, palette=(palette >> 8).T.reshape(-1).tolist()))
    expect("palette8.tif", "white", palette[gray[..., 0]] >> 8)
    small = picture(19, 13).astype(np.int64)
    turns = {2: lambda v: v[:, ::-1], 4: lambda v: v[::-1], 5: lambda v: v.transpose(1, 0, 2), 6: lambda v: np.rot90(v, -1), 8: np.rot90}
    for value, turn in turns.items():
        make_tiff(f"turned{value}.tif", small, 8, 2, orientation=value, turn=turn, strip=4)
    image = Image.fromarray(picture(35, 27))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        pillow_tiff(f"{compression}.tif", image, compression=compression)
    make_bad_tiffs(rgb)


def make_bad_tiffs(rgb):
    for name, options in (("float.tif", {"bits": 16, "kind": 3}), ("signed.tif", {"bits": 8, "kind": 2}), ("lab.tif", {"photometric": 8}),
                          ("fax.tif", {"compression": 3}), ("ycbcr.tif", {"photometric": 6})):
        options = {"bits": 8, "photometric": 2, **options}
        write(name, tiff(rgb, **options))
        refuse(name, "white", "unsupported")
    good = tiff(rgb, 8, 2, compression=8)
    at = good.index(b"\x78\x9c") + 40
    write("damaged.tif", good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1:])
    refuse("damaged.tif", "white", "format")
    lines.append("damaged.tif lenient ok 21 14 *")
    write("cut.tif", tiff(rgb, 8, 2)[:-8])
    refuse("cut.tif", "white", "format")
    directory = tiff(rgb, 8, 2)
    for name, value, status in (("bomb.tif", 11000, "format"), ("huge.tif", 65500, "limit")):
        sides = struct.pack("<I", 21), struct.pack("<I", 14)
        bomb = directory
        for tag, side in ((256, sides[0]), (257, sides[1])):
            entry = struct.pack("<HHI", tag, 4, 1)
            bomb = bomb.replace(entry + side, entry + struct.pack("<I", value))
        write(name, bomb)
        refuse(name, "white", status)
        refuse(name, "lenient", status)


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
    make_webps()
    make_tiffs()
    with open(os.path.join(OUT, "expected.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")
    print(len(lines), "lines,", sum(os.path.getsize(p) for p in glob.glob(os.path.join(OUT, "*"))), "bytes")


main()
