"""Training steps of Fovea and of PyTorch on this machine, in turns, in one run: images/s (views counted), median, spread and ratio.

    python tests/bench/compare_torch.py build/release/fovea [--cases REGEX] [--rounds 5] [--threads 2] [--mode MODE] [--precision bf16]

Both do the same step on pixels in memory: normalise, forward, loss, backward, optimizer (`fovea bench step` and torch_step.py). PyTorch
runs in its best mode for the case: eager, channels_last (of convolutional networks) or torch.compile, found by one short round of each
unless --mode names it. With --precision bf16 Fovea rounds operands of linear layers to bfloat16 and PyTorch runs under autocast to it.
Peak memory is each process's own largest resident size. A Markdown table goes to standard error, JSON to standard output.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

# name: (method, backbone, stem, image size, batch size)
CASES = {
    "simclr resnet18 cifar stem 32 px, batch 128": ("simclr", "resnet18", "cifar", 32, 128),
    "simclr resnet18 64 px, batch 128": ("simclr", "resnet18", "imagenet", 64, 128),
    "simclr resnet50 224 px, batch 16": ("simclr", "resnet50", "imagenet", 224, 16),
    "simclr vit_tiny/16 224 px, batch 32": ("simclr", "vit_tiny/16", "imagenet", 224, 32),
    "simclr vit_small/16 224 px, batch 16": ("simclr", "vit_small/16", "imagenet", 224, 16),
    "simclr vit_tiny/4 32 px, batch 128": ("simclr", "vit_tiny/4", "imagenet", 32, 128),
    "mae vit_small/16 224 px, batch 16": ("mae", "vit_small/16", "imagenet", 224, 16),
    "mae vit_tiny/16 224 px, batch 32": ("mae", "vit_tiny/16", "imagenet", 224, 32),
}
PEER = str(pathlib.Path(__file__).with_name("torch_step.py"))


def answer(command):
    """The JSON object that ends what a command prints; None, and why on standard error, when it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    start = re.search(r"^\{", done.stdout, re.MULTILINE)
    if done.returncode != 0 or start is None:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{' '.join(command)} ended with {done.returncode}: {last}", file=sys.stderr)
        return None
    return json.loads(done.stdout[start.start():])


def shape(case, threads):
    _, _, stem, size, batch = case
    return ["--stem", stem, "--image-size", str(size), "--batch-size", str(batch), "--threads", str(threads)]


def ours(args, case):
    result = answer([args.fovea, "bench", "step", "--method", case[0], "--backbone", case[1], *shape(case, args.threads),
                     "--precision", args.precision, "--repeat", str(args.steps), "--json", "-"])
    if result is None:
        sys.exit(1)
    return result


def peer(args, case, mode, steps):
    return answer([sys.executable, PEER, case[0], case[1], *shape(case, args.threads), "--mode", mode, "--steps", str(steps),
                   *(["--bf16"] if args.precision == "bf16" else [])])


def choose_mode(args, case):
    """The fastest mode, and what each gave in a short round; a mode that does not work is left out."""
    modes = ["eager", "compile"] if "/" in case[1] else ["eager", "channels_last", "compile"]
    tried = {mode: peer(args, case, mode, 1 if args.steps < 2 else 2) for mode in modes}
    rates = {mode: result["images_per_second"] for mode, result in tried.items() if result is not None}
    if not rates:
        sys.exit("PyTorch does not run in any mode")
    return max(rates, key=rates.get), rates


def compare(args, case):
    mode, rates = (args.mode, {}) if args.mode else choose_mode(args, case)
    rows = []
    for _ in range(args.rounds):
        mine, theirs = ours(args, case), peer(args, case, mode, args.steps)
        if theirs is None:
            sys.exit(f"PyTorch does not run in mode {mode}")
        rows.append((mine, theirs))
    ratios = sorted(a["images_per_second"] / b["images_per_second"] for a, b in rows)
    peaks = [max(row[side]["peak_bytes"] for row in rows) for side in (0, 1)]
    return {
        "mode": mode, "modes": rates, "torch": rows[0][1]["torch"],
        "fovea_images_per_second": statistics.median(a["images_per_second"] for a, _ in rows),
        "torch_images_per_second": statistics.median(b["images_per_second"] for _, b in rows),
        "ratio_median": statistics.median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1],
        "fovea_peak_bytes": peaks[0], "torch_peak_bytes": peaks[1], "memory_ratio": peaks[0] / peaks[1],
    }


def table_row(name, r):
    return (f"| {name} | {r['fovea_images_per_second']:.1f} | {r['torch_images_per_second']:.1f} ({r['mode']}) | "
            f"{r['ratio_median']:.2f} ({r['ratio_min']:.2f} to {r['ratio_max']:.2f}) | "
            f"{r['fovea_peak_bytes'] / 1e6:.0f} | {r['torch_peak_bytes'] / 1e6:.0f} | {100 * r['memory_ratio']:.0f} % |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fovea")
    parser.add_argument("--cases", default="", help="regular expression; those whose name it finds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="timed steps a round, of both; their median counts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mode", choices=["eager", "channels_last", "compile"], help="of PyTorch; default: the fastest for each case")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    args = parser.parse_args()
    if args.rounds < 1 or args.steps < 1:
        parser.error("--rounds and --steps are at least 1")
    chosen = {name: case for name, case in CASES.items() if re.search(args.cases, name)}
    if not chosen:
        parser.error(f"no case is named like {args.cases}; there are: {', '.join(CASES)}")
    print("| step | Fovea images/s | PyTorch images/s | ratio | Fovea MB | PyTorch MB | memory |", file=sys.stderr)
    print("|---|---|---|---|---|---|---|", file=sys.stderr)
    results = {}
    for name, case in chosen.items():
        results[name] = compare(args, case)
        print(table_row(name, results[name]), file=sys.stderr, flush=True)
    print(json.dumps({"rounds": args.rounds, "threads": args.threads, "precision": args.precision, "cases": results}, indent=2))


if __name__ == "__main__":
    main()
