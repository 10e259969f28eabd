"""Whole pre-training compared: picture files on disk to weights on disk, Fovea and PyTorch in turns, the same recipe, a fixed number of
steps.

    python tests/bench/compare_pretrain.py build/release/fovea --eurosat FOLDER --clothing FOLDER [--cases REGEX] [--rounds 3] [--steps 100]

SimCLR on resnet18: crops, colour jitter, projector, loss, SGD with momentum and a cosine; PyTorch reads with Pillow and torchvision in a
DataLoader with as many workers as threads (torch_simclr.py), in the mode that --mode names. Both times are those of whole processes, from
their start to the weights on disk; images are counted as views. PyTorch's loop alone, from asking for the first batch to the end of the
last step, stands beside it, since loading Python and torch weighs the more the fewer --steps there are (and --mode compile far more); of
its memory that of its workers is left out. A Markdown table goes to standard error, JSON to standard output.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

# name: (folder option, image size, batch size, colour strength, blur)
CASES = {
    "simclr resnet18 64 px, eurosat": ("eurosat", 64, 128, 0.5, False),
    "simclr resnet18 96 px, clothing": ("clothing", 96, 64, 1.0, True),
}
PEER = str(pathlib.Path(__file__).with_name("torch_simclr.py"))


def run(command):
    """Wall seconds, what it printed, and the largest resident size of it alone."""
    with tempfile.TemporaryFile("w+") as out:
        begun = time.monotonic()
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}:\n{text}")
    return seconds, text, usage.ru_maxrss * 1024


def recipe(args, case):
    _, size, batch, strength, _ = case
    return ["--image-size", str(size), "--batch-size", str(batch), "--strength", str(strength), "--steps", str(args.steps),
            "--threads", str(args.threads), "--lr", "0.03"]


def ours(args, case, folder, scratch):
    out = os.path.join(scratch, f"run{time.monotonic_ns()}")
    command = [args.fovea, "pretrain", folder, "--out", out, "--method", "simclr", "--backbone", "resnet18", "--stem", "imagenet",
               *recipe(args, case), "--blur", "0.5" if case[4] else "0", "--optimizer", "sgd", "--quiet"]
    seconds, _, peak = run(command)
    return {"images_per_second": 2 * args.steps * case[2] / seconds, "peak_bytes": peak}


def peer(args, case, folder, scratch):
    command = [sys.executable, PEER, folder, "--out", os.path.join(scratch, "peer.safetensors"), *recipe(args, case),
               "--workers", str(args.threads), "--mode", args.mode, *(["--blur"] if case[4] else [])]
    seconds, text, _ = run(command)
    own = json.loads(text.strip().splitlines()[-1])
    return {**own, "loop_images_per_second": own["images_per_second"], "images_per_second": 2 * args.steps * case[2] / seconds}


def compare(args, case, folder):
    with tempfile.TemporaryDirectory() as scratch:
        rows = [(ours(args, case, folder, scratch), peer(args, case, folder, scratch)) for _ in range(args.rounds)]
    ratios = sorted(a["images_per_second"] / b["images_per_second"] for a, b in rows)
    return {
        "batch_size": case[2], "torch": rows[0][1]["torch"],
        "fovea_images_per_second": statistics.median(a["images_per_second"] for a, _ in rows),
        "torch_images_per_second": statistics.median(b["images_per_second"] for _, b in rows),
        "torch_loop_images_per_second": statistics.median(b["loop_images_per_second"] for _, b in rows),
        "ratio_median": statistics.median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1],
        "fovea_peak_bytes": max(a["peak_bytes"] for a, _ in rows), "torch_peak_bytes": max(b["peak_bytes"] for _, b in rows),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fovea")
    parser.add_argument("--eurosat", help="folder of EuroSAT pictures")
    parser.add_argument("--clothing", help="folder of clothing photos")
    parser.add_argument("--cases", default="", help="regular expression; those whose name it finds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mode", choices=["eager", "channels_last", "compile"], default="channels_last")
    args = parser.parse_args()
    if args.rounds < 1 or args.steps < 2:
        parser.error("--rounds is at least 1, --steps at least 2")
    folders = {"eurosat": args.eurosat, "clothing": args.clothing}
    chosen = {name: case for name, case in CASES.items() if re.search(args.cases, name) and folders[case[0]]}
    if not chosen:
        parser.error(f"nothing to compare: give --eurosat or --clothing, and a --cases that finds one of {', '.join(CASES)}")
    print("| pre-training | Fovea images/s | PyTorch images/s | its loop alone | ratio | Fovea MB | PyTorch MB |\n|---|---|---|---|---|---|---|", file=sys.stderr)
    results = {}
    for name, case in chosen.items():
        r = results[name] = compare(args, case, folders[case[0]])
        print(f"| {name} | {r['fovea_images_per_second']:.1f} | {r['torch_images_per_second']:.1f} | "
              f"{r['torch_loop_images_per_second']:.1f} | "
              f"{r['ratio_median']:.2f} ({r['ratio_min']:.2f} to {r['ratio_max']:.2f}) | {r['fovea_peak_bytes'] / 1e6:.0f} | "
              f"{r['torch_peak_bytes'] / 1e6:.0f} |", file=sys.stderr, flush=True)
    print(json.dumps({"rounds": args.rounds, "steps": args.steps, "threads": args.threads, "mode": args.mode, "cases": results}, indent=2))


if __name__ == "__main__":
    main()
