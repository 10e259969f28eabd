#!/usr/bin/env python3
"""Makes samples/clipart from Debian's openclipart-png: small labelled pictures, split into train and test.

The pictures of the Open Clip Art Library are in the public domain (see clipart/README.md). Each is put on white, scaled to at most 64 px,
reduced to 48 colours and written as PNG. Which pictures are taken, and which are for testing, follows a hash of their names, so the set is
the same whenever it is made from the same package.

    apt-get install openclipart-png python3-pil
    python3 samples/make_clipart.py [/usr/share/openclipart/png]
"""
import hashlib
import pathlib
import shutil
import sys

from PIL import Image

CLASSES = {
    "arrows": ["shapes/arrows"],
    "cards": ["recreation/games/cards"],
    "dishes": ["food/desserts", "food/breads_and_carbs", "food/meats_and_eggs"],
    "flags": ["signs_and_symbols/flags"],
    "fruit": ["food/fruit"],
    "mammals": ["animals/mammals"],
    "road_signs": ["transportation/roadsigns", "transportation/aiga-symbols"],
    "stars": ["shapes/stars"],
    "tools": ["tools"],
}
MOST, SIDE, COLOURS, TEST_SHARE = 120, 64, 48, 0.25


def key(path, purpose):
    return hashlib.sha256(f"{purpose}:{path}".encode()).hexdigest()


def small(path):
    with Image.open(path) as image:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image.quantize(COLOURS, dither=Image.Dither.NONE) if min(image.size) >= 8 else None


def look(image):
    """What a picture looks like from afar: equal for pictures that nobody could tell apart at 16 px."""
    tiny = image.convert("RGB").resize((16, 16), Image.Resampling.BOX)
    return bytes(value >> 5 for value in tiny.tobytes())


def main():
    source = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/openclipart/png")
    out = pathlib.Path(__file__).resolve().parent / "clipart"
    for split in ("train", "test"):
        shutil.rmtree(out / split, ignore_errors=True)
    total, seen = 0, set()
    for name, folders in CLASSES.items():
        files = sorted({str(p.relative_to(source)) for folder in folders for p in (source / folder).rglob("*.png")})
        files.sort(key=lambda f: key(f, "choose"))
        pictures = []
        for file in files:
            image = small(source / file)
            digest = None if image is None else look(image)
            if image is None or digest in seen:
                continue  # the library holds some pictures twice, or with another name and a line more
            seen.add(digest)
            pictures.append((file, image))
            if len(pictures) == MOST:
                break
        pictures.sort(key=lambda entry: key(entry[0], "split"))
        held_out = round(TEST_SHARE * len(pictures))
        for i, (file, image) in enumerate(pictures):
            folder = out / ("test" if i < held_out else "train") / name
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / (file.replace("/", "-"))
            image.save(target, optimize=True)
            total += target.stat().st_size
        print(f"{name}: {len(pictures) - held_out} train, {held_out} test")
    print(f"{total} bytes")


if __name__ == "__main__":
    main()
