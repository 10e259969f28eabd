"""Picture pipelines compared on one core: files to augmented views, as self-supervised training needs them.

    python tests/bench/compare_pipeline.py build/release/fovea PHOTOS [--recipe simclr|dino] [--image-size 224] [--rounds 5]
        [--threads 1] [--seconds 4] [--interpolation bicubic] [--json FILE] [--only NAME,NAME] [--check]

Each library does the same steps with the same probabilities on the same JPEG files, decodes each file once for all its views, and leaves its
views as bytes in one array per batch; nobody pays for floats or normalisation. All run pinned to as many cores as they get threads, from the
page cache, in turns, round after round; a peer's worker stays alive between its turns, so that no start is counted. Two figures each, as
median and spread over the rounds: images a second by the clock, and by CPU time (user and system of the whole process, all its threads), which
other work on the machine disturbs less. Ratios are made from the latter. A library that is not installed is reported as skipped.

What is not the same, in favour of the peer each time: albumentations (OpenCV) resizes without antialiasing; DALI applies brightness, contrast,
saturation and hue in one fixed order as one matrix, and blurs at whole windows; torchvision draws one random order for them, as Fovea does.
Before the rounds, flip, gray, jitter and blur rates of each peer are counted on drawn pictures (--check does that alone).
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# ---- the recipes: (size, crop low, crop high, flip, jitter p, (b, c, s, h), gray, blur p, solarize p) per view ----

COLOUR = {"simclr": (0.8, (0.8, 0.8, 0.8, 0.2)), "dino": (0.8, (0.4, 0.4, 0.2, 0.1))}


def recipe_views(name, size):
    p, factors = COLOUR[name]
    view = dict(flip=0.5, jitter=p, factors=factors, gray=0.2, solarize=0.0)
    if name == "simclr":
        one = dict(view, size=size, crop=(0.08, 1.0), blur=0.5, kernel=size // 10 // 2 * 2 + 1)
        return [one, one]
    small = size * 96 // 224
    wide = dict(view, size=size, crop=(0.4, 1.0), kernel=0)
    local = dict(view, size=small, crop=(0.05, 0.4), blur=0.5, kernel=0)
    return [dict(wide, blur=1.0), dict(wide, blur=0.1, solarize=0.2)] + [local] * 8


def fovea_text(views, interpolation):
    def one(v):
        b, c, s, h = v["factors"]
        blur = f"blur({v['blur']:g},0.1,2)" if v["kernel"] else f"pilblur({v['blur']:g},0.1,2)"
        solarize = f" solarize({v['solarize']:g})" if v["solarize"] else ""
        return (f"crop({v['size']},{v['crop'][0]:g},{v['crop'][1]:g},{interpolation}) flip({v['flip']:g}) "
                f"jitter({v['jitter']:g},{b:g},{c:g},{s:g},{h:g}) gray({v['gray']:g}) {blur}{solarize}")
    return " | ".join(map(one, views))


def jpegs(folder):
    found = []
    for root, _, names in os.walk(folder):
        found += [os.path.join(root, n) for n in names if n.lower().endswith((".jpg", ".jpeg"))]
    return sorted(found)


# ---- peers: each gives a function from a list of files to a list of view arrays, [count, s, s, 3] bytes per view ----

def by_picture(views, load, make):
    """A batch from functions for one picture and one view."""
    import numpy as np

    def batch(files):
        out = [np.empty((len(files), v["size"], v["size"], 3), np.uint8) for v in views]
        for i, file in enumerate(files):
            image = load(file)
            for k, transform in enumerate(make):
                out[k][i] = transform(image)
        return out
    return batch


def torchvision_pillow(views, interpolation, threads, own_blur=True):
    import random

    import numpy as np
    import torch
    from PIL import Image, ImageFilter
    from torchvision import transforms as T
    torch.set_num_threads(threads)
    mode = T.InterpolationMode(interpolation)

    class PillowBlur:  # as in the code of MoCo v2, SimSiam and DINO
        def __call__(self, image):
            return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))

    def one(v):
        blur = T.GaussianBlur(v["kernel"], (0.1, 2.0)) if own_blur and v["kernel"] else PillowBlur()
        steps = [T.RandomResizedCrop(v["size"], scale=v["crop"], interpolation=mode), T.RandomHorizontalFlip(v["flip"]),
                 T.RandomApply([T.ColorJitter(*v["factors"])], v["jitter"]), T.RandomGrayscale(v["gray"]), T.RandomApply([blur], v["blur"])]
        if v["solarize"]:
            steps.append(T.RandomSolarize(128, v["solarize"]))
        chain = T.Compose(steps)
        return lambda image: np.asarray(chain(image))

    def load(file):
        with open(file, "rb") as f:
            return Image.open(f).convert("RGB")
    return by_picture(views, load, [one(v) for v in views])


def torchvision_pillow_blur(views, interpolation, threads):
    return torchvision_pillow(views, interpolation, threads, own_blur=False)


def torchvision_tensors(views, interpolation, threads):
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import v2 as T
    torch.set_num_threads(threads)
    mode = InterpolationMode(interpolation)

    def one(v):
        kernel = v["kernel"] or 13  # of the largest sigma, 2, out to 3 sigma
        steps = [T.RandomResizedCrop(v["size"], scale=v["crop"], interpolation=mode, antialias=True), T.RandomHorizontalFlip(v["flip"]),
                 T.RandomApply([T.ColorJitter(*v["factors"])], v["jitter"]), T.RandomGrayscale(v["gray"]),
                 T.RandomApply([T.GaussianBlur(kernel, (0.1, 2.0))], v["blur"])]
        if v["solarize"]:
            steps.append(T.RandomSolarize(128, v["solarize"]))
        chain = T.Compose(steps)
        return lambda image: chain(image).permute(1, 2, 0).numpy()
    return by_picture(views, lambda file: decode_jpeg(read_file(file), mode=ImageReadMode.RGB), [one(v) for v in views])


def albumentations(views, interpolation, threads):
    import albumentations as A
    import cv2
    cv2.setNumThreads(threads if threads > 1 else 0)
    mode = {"bicubic": cv2.INTER_CUBIC, "bilinear": cv2.INTER_LINEAR}[interpolation]

    def one(v):
        b, c, s, h = v["factors"]
        kernel = v["kernel"]
        steps = [A.RandomResizedCrop(size=(v["size"], v["size"]), scale=v["crop"], interpolation=mode), A.HorizontalFlip(p=v["flip"]),
                 A.ColorJitter(brightness=(1 - b, 1 + b), contrast=(1 - c, 1 + c), saturation=(1 - s, 1 + s), hue=(-h, h), p=v["jitter"]),
                 A.ToGray(p=v["gray"]), A.GaussianBlur(blur_limit=(kernel, kernel), sigma_limit=(0.1, 2.0), p=v["blur"])]
        if v["solarize"]:
            steps.append(A.Solarize(threshold_range=(128 / 255, 128 / 255), p=v["solarize"]))
        chain = A.Compose(steps)
        return lambda image: chain(image=image)["image"]
    return by_picture(views, lambda file: cv2.imread(file, cv2.IMREAD_COLOR_RGB), [one(v) for v in views])


def dali(views, interpolation, threads):
    from nvidia.dali import fn, pipeline_def, types
    mode = {"bicubic": types.INTERP_CUBIC, "bilinear": types.INTERP_LINEAR}[interpolation]
    state = {}

    @pipeline_def(enable_conditionals=True)
    def graph(files):
        encoded, _ = fn.readers.file(files=files, name="reader")
        decoded = fn.decoders.image(encoded, device="cpu", output_type=types.RGB)
        out = []
        for v in views:
            b, c, s, h = v["factors"]
            x = fn.random_resized_crop(decoded, size=(v["size"], v["size"]), random_area=v["crop"], interp_type=mode, antialias=True)
            x = fn.flip(x, horizontal=fn.random.coin_flip(probability=v["flip"]))
            if fn.random.coin_flip(probability=v["jitter"], dtype=types.BOOL):
                x = fn.color_twist(x, brightness=fn.random.uniform(range=(1 - b, 1 + b)), contrast=fn.random.uniform(range=(1 - c, 1 + c)),
                                   saturation=fn.random.uniform(range=(1 - s, 1 + s)), hue=fn.random.uniform(range=(-360 * h, 360 * h)))
            if fn.random.coin_flip(probability=v["gray"], dtype=types.BOOL):
                x = fn.hsv(x, saturation=0.0)
            if fn.random.coin_flip(probability=v["blur"], dtype=types.BOOL):
                window = {"window_size": v["kernel"]} if v["kernel"] else {}
                x = fn.gaussian_blur(x, sigma=fn.random.uniform(range=(0.1, 2.0)), **window)
            if v["solarize"]:
                if fn.random.coin_flip(probability=v["solarize"], dtype=types.BOOL):
                    x = fn.lookup_table(x, keys=list(range(256)), values=[i if i < 128 else 255 - i for i in range(256)], dtype=types.UINT8)
            out.append(x)
        return tuple(out)

    def batch(files):
        """The reader goes through its files by itself, so that the list is only looked at the first time."""
        if "pipe" not in state:
            state["pipe"] = graph(files=state["files"], batch_size=len(files), num_threads=threads, device_id=None, seed=1)
            state["pipe"].build()
        return [o.as_array() for o in state["pipe"].run()]
    batch.take_files = lambda files: state.update(files=files)
    return batch


PEERS = {"torchvision, Pillow": torchvision_pillow, "torchvision, Pillow's blur": torchvision_pillow_blur,
         "torchvision, tensors": torchvision_tensors, "albumentations": albumentations, "DALI": dali}
OURS = {"fovea": "none", "fovea, --shrink auto": "auto"}  # whole and exact, as the peers decode; and as fovea pretrain does by default


# ---- a peer's worker: commands come on standard input, answers go out as lines of JSON ----

def measure(batch, files, size, seconds):
    """At least one batch, then until the time is up; each turn begins where the last one ended."""
    begun, cpu = time.perf_counter(), time.process_time()
    images = 0
    while images == 0 or time.perf_counter() - begun < seconds:
        first = measure.at
        batch([files[(first + i) % len(files)] for i in range(size)])
        measure.at = (first + size) % len(files)
        images += size
    return dict(images=images, wall=time.perf_counter() - begun, cpu=time.process_time() - cpu)


measure.at = 0


def peak_bytes():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def worker(name, args):
    views = recipe_views(args.recipe, args.image_size)
    try:
        batch = PEERS[name](views, args.interpolation, args.threads)
    except Exception as e:  # whatever an import can throw
        print(json.dumps(dict(skipped=f"{type(e).__name__}: {e}")), flush=True)
        return
    files = jpegs(args.data)
    if hasattr(batch, "take_files"):
        batch.take_files(files)
    try:
        out = batch(files[:args.batch_size])  # warms up
        for k, v in enumerate(views):
            want = (args.batch_size, v["size"], v["size"], 3)
            assert tuple(out[k].shape) == want and str(out[k].dtype) == "uint8", f"view {k}: {out[k].shape} {out[k].dtype}, not {want} bytes"
    except Exception as e:
        print(json.dumps(dict(skipped=f"{type(e).__name__}: {e}")), flush=True)
        return
    print(json.dumps(dict(ready=True)), flush=True)
    for line in sys.stdin:
        answer = measure(batch, files, args.batch_size, float(line))
        answer["peak_bytes"] = peak_bytes()
        print(json.dumps(answer), flush=True)


class Peer:
    def __init__(self, name, args):
        command = ["taskset", "-c", cores(args.threads), sys.executable, os.path.abspath(__file__), *args.passed, "--worker", name]
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.skipped = self.read().get("skipped")

    def read(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.errors.seek(0)
        last = self.errors.read().strip().splitlines()[-1:]
        return dict(skipped=f"its process ended: {' '.join(last)}")

    def turn(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self.read()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Fovea:
    skipped = None

    def __init__(self, args, shrink):
        self.args, self.shrink = args, shrink
        self.text = fovea_text(recipe_views(args.recipe, args.image_size), args.interpolation)

    def turn(self, seconds):
        a = self.args
        command = ["taskset", "-c", cores(a.threads), a.fovea, "bench", "pipeline", a.data, "--image-size", str(a.image_size), "--views", self.text,
                   "--threads", str(a.threads), "--batch-size", str(a.batch_size), "--seconds", str(seconds), "--shrink", self.shrink, "--json", "-",
                   "--quiet"]
        r = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return dict(images=r["images"], wall=r["seconds"], cpu=r["cpu_seconds"], peak_bytes=r["peak_bytes"], report=r)

    def end(self):
        pass


def cores(threads):
    allowed = sorted(os.sched_getaffinity(0))
    return ",".join(map(str, allowed[-threads:]))


# ---- what the peers really do: rates counted on drawn pictures ----

def drawn(folder):
    """A ramp of one colour, whose side tells flips and whose ratios tell colour steps; and an edge, whose sharpness tells blur."""
    import numpy as np
    from PIL import Image
    ramp = np.linspace(0.5, 1.0, 800)[None, :, None] * np.array([200, 120, 60])[None, None, :]
    Image.fromarray(np.broadcast_to(ramp, (800, 800, 3)).round().astype(np.uint8)).save(f"{folder}/ramp.jpg", quality=98, subsampling=0)
    edge = np.full((1600, 1600, 3), 100, np.uint8)
    edge[:, 800:] = 140
    Image.fromarray(edge).save(f"{folder}/edge.jpg", quality=98, subsampling=0)


def rates(name, args, folder):
    import numpy as np
    views = recipe_views("simclr", 224)
    n = 300
    found = {}
    for kind in ("ramp", "edge"):
        batch = PEERS[name](views, args.interpolation, args.threads)
        files = [f"{folder}/{kind}.jpg"] * n
        if hasattr(batch, "take_files"):
            batch.take_files(files)
        out = np.concatenate(batch(files)).astype(np.float64)
        if kind == "ramp":
            found["flip"] = np.mean(out[:, :, :112].mean((1, 2, 3)) > out[:, :, 112:].mean((1, 2, 3)))
            mean = out.mean((1, 2))
            found["gray"] = np.mean(np.abs(out[..., 0] - out[..., 2]).max((1, 2)) <= 1)
            ratio = mean[:, :2] / np.maximum(mean[:, 1:], 1e-3)
            found["untouched"] = np.mean(np.all(np.abs(ratio / (200 / 120, 2.0) - 1) < 0.012, axis=1))
        else:
            row = out.mean((1, 3))
            spread = row.max(1) - row.min(1)
            step = np.abs(np.diff(row, axis=1)).max(1)
            there = spread > 6
            found["blurred"] = np.mean(step[there] / spread[there] < 0.4)
    return found


EXPECTED = {"flip": 0.5, "gray": 0.2, "untouched": 0.16, "blurred": 0.28}


def check(args):
    """Prints the rates; True when they are those of the recipe (4 standard deviations of 600 draws, and some for how they are seen)."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        drawn(folder)
        for name in args.names:
            if name in OURS:
                continue
            command = [sys.executable, os.path.abspath(__file__), *args.passed, "--rates", name, folder]
            r = subprocess.run(command, capture_output=True, text=True)
            if r.returncode != 0:
                print(f"rates of {name}: none ({r.stderr.strip().splitlines()[-1:]})", file=sys.stderr)
                continue
            found = json.loads(r.stdout.splitlines()[-1])
            wrong = [k for k, want in EXPECTED.items() if abs(found[k] - want) > 4 * (want * (1 - want) / 600) ** 0.5 + 0.01]
            good = good and not wrong
            print(f"rates of {name}: " + ", ".join(f"{k} {found[k]:.3f} (recipe: {EXPECTED[k]:g})" for k in EXPECTED) +
                  (f"  WRONG: {', '.join(wrong)}" if wrong else ""), file=sys.stderr)
    return good


# ---- rounds and table ----

def summary(turns):
    wall, cpu = [t["images"] / t["wall"] for t in turns], [t["images"] / t["cpu"] for t in turns]
    return dict(images_per_second=statistics.median(wall), images_per_second_range=[min(wall), max(wall)],
                images_per_cpu_second=statistics.median(cpu), images_per_cpu_second_range=[min(cpu), max(cpu)],
                peak_bytes=max(t["peak_bytes"] for t in turns))


def compare(args):
    peers = {name: Fovea(args, OURS[name]) if name in OURS else Peer(name, args) for name in args.names}
    turns = {name: [] for name, p in peers.items() if p.skipped is None}
    for r in range(args.rounds):
        for name in turns:
            if peers[name].skipped is None:
                turn = peers[name].turn(args.seconds)
                peers[name].skipped = turn.get("skipped")
                turns[name] += [turn] if peers[name].skipped is None else []
        print(f"round {r + 1} of {args.rounds}", file=sys.stderr)
    for p in peers.values():
        p.end()
    rows = {name: dict(skipped=peers[name].skipped) if peers[name].skipped else summary(turns[name]) for name in peers}
    for name in OURS:
        if turns.get(name):
            rows[name]["report"] = turns[name][-1]["report"]
    if turns.get("fovea"):
        ours = rows["fovea"]["images_per_cpu_second"]
        for name, row in rows.items():
            if name not in OURS and "skipped" not in row:
                row["fovea_is_faster_by"] = ours / row["images_per_cpu_second"]
    return rows


def print_table(args, rows):
    print(f"{args.recipe}, {args.image_size} px, {args.interpolation}, {args.threads} thread(s), {args.rounds} rounds of {args.seconds:g} s, "
          f"{len(jpegs(args.data))} files: {fovea_text(recipe_views(args.recipe, args.image_size), args.interpolation)}")
    print(f"{'':28}{'images/s by CPU time':>30}{'by the clock':>24}{'peak MB':>9}{'fovea':>9}")
    for name, row in rows.items():
        if "skipped" in row:
            print(f"{name:28}  skipped: {row['skipped']}")
            continue
        low, high = row["images_per_cpu_second_range"]
        wall = row["images_per_second_range"]
        ratio = f"{row['fovea_is_faster_by']:.1f} x" if "fovea_is_faster_by" in row else ""
        print(f"{name:28}{row['images_per_cpu_second']:>12.1f} ({low:.1f} to {high:.1f})".ljust(58) +
              f"{row['images_per_second']:>8.1f} ({wall[0]:.1f} to {wall[1]:.1f})".ljust(26) + f"{row['peak_bytes'] / 1e6:>7.0f}{ratio:>9}")


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("fovea")
    p.add_argument("data")
    p.add_argument("--recipe", choices=["simclr", "dino"], default="simclr")
    p.add_argument("--image-size", type=int, default=224)
    p.add_argument("--interpolation", choices=["bicubic", "bilinear"], default="bicubic")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=4.0)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--only", default="", help="names, separated by semicolons")
    p.add_argument("--check", action="store_true", help="count the peers' rates and end")
    p.add_argument("--no-check", action="store_true")
    p.add_argument("--worker", metavar="NAME", help=argparse.SUPPRESS)
    p.add_argument("--rates", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    args = p.parse_args()
    args.passed = [a for a in sys.argv[1:] if a not in ("--check", "--no-check")]
    args.names = args.only.split(";") if args.only else list(PEERS) + list(OURS)
    return args


def main():
    args = arguments()
    os.environ.update(OMP_NUM_THREADS=str(args.threads), NO_ALBUMENTATIONS_UPDATE="1")
    if args.worker:
        return worker(args.worker, args)
    if args.rates:
        return print(json.dumps({k: float(v) for k, v in rates(args.rates[0], args, args.rates[1]).items()}))
    if not shutil.which("taskset"):
        sys.exit("compare_pipeline.py: taskset (util-linux) is needed to pin processes")
    if not args.no_check and not check(args):
        sys.exit("compare_pipeline.py: a peer does not do what the recipe says")
    if args.check:
        return
    for file in jpegs(args.data):  # into the page cache
        with open(file, "rb") as f:
            f.read()
    rows = compare(args)
    print_table(args, rows)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(dict(recipe=args.recipe, image_size=args.image_size, interpolation=args.interpolation, threads=args.threads,
                           rounds=args.rounds, rows=rows), f, indent=2)


if __name__ == "__main__":
    main()
