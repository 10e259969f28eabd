"""Training steps of Fovea and of PyTorch on this machine, in turns, in one run: images/s (views counted), median, spread and ratio.

    python tests/bench/compare_torch.py build/release/fovea [--rounds 5] [--threads 2]

Both do the same step on pixels in memory: normalise, forward, loss, backward, optimizer. PyTorch runs eagerly; peak memory is each process's
own largest resident size.
"""
import argparse
import json
import re
import statistics
import subprocess
import sys
import textwrap

CASES = {
    "simclr resnet18 64 px, batch 128": dict(method="simclr", backbone="resnet18", size=64, batch=128),
    "mae vit_tiny/16 224 px, batch 32": dict(method="mae", backbone="vit_tiny/16", size=224, batch=32),
}

PEER = textwrap.dedent('''
    import sys, time, json, resource, torch, torch.nn.functional as F
    method, size, batch, threads, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if method == "simclr":
        import torchvision
        net = torchvision.models.resnet18(); net.fc = torch.nn.Identity()
        head = torch.nn.Sequential(torch.nn.Linear(512, 512, bias=False), torch.nn.BatchNorm1d(512), torch.nn.ReLU(), torch.nn.Linear(512, 128))
        params = list(net.parameters()) + list(head.parameters())
        opt = torch.optim.SGD(params, lr=1e-3, momentum=0.9, weight_decay=5e-4)
        views = 2
        def loss_of(x):
            z = F.normalize(head(net(x)))
            n = z.shape[0] // 2
            logits = z @ z.T / 0.2
            logits.fill_diagonal_(float("-inf"))
            return F.cross_entropy(logits, torch.arange(2 * n).roll(n))
    else:
        import timm
        from timm.models.vision_transformer import Block
        p = 16
        enc = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0, img_size=size)
        n_patch, width = (size // p) ** 2, 256
        embed = torch.nn.Linear(192, width); mask_token = torch.nn.Parameter(torch.zeros(1, 1, width))
        pos = torch.zeros(1, 1 + n_patch, width)
        dec = torch.nn.Sequential(*[Block(width, 8, qkv_bias=True) for _ in range(4)]); norm = torch.nn.LayerNorm(width)
        pred = torch.nn.Linear(width, p * p * 3)
        params = [*enc.parameters(), *embed.parameters(), mask_token, *dec.parameters(), *norm.parameters(), *pred.parameters()]
        opt = torch.optim.AdamW(params, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05)
        views = 1
        def loss_of(x):
            n = x.shape[0]
            order = torch.rand(n, n_patch).argsort(1); restore = order.argsort(1); keep = order[:, : n_patch // 4]
            t = enc.patch_embed(x) + enc.pos_embed[:, 1:]
            t = t.gather(1, keep[:, :, None].expand(-1, -1, t.shape[2]))
            t = torch.cat([(enc.cls_token + enc.pos_embed[:, :1]).expand(n, -1, -1), t], 1)
            t = embed(enc.norm(enc.blocks(t)))
            full = torch.cat([t[:, 1:], mask_token.expand(n, n_patch - keep.shape[1], -1)], 1)
            full = full.gather(1, restore[:, :, None].expand(-1, -1, width))
            out = pred(norm(dec(torch.cat([t[:, :1], full], 1) + pos)))[:, 1:]
            target = x.reshape(n, 3, size // p, p, size // p, p).permute(0, 2, 4, 3, 5, 1).reshape(n, n_patch, -1)
            target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6) ** 0.5
            hidden = (restore >= keep.shape[1]).float()
            return (((out - target) ** 2).mean(-1) * hidden).sum() / hidden.sum()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1); std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    pixels = torch.randint(0, 256, (views * batch, 3, size, size), dtype=torch.uint8)
    def step():
        loss = loss_of((pixels.float() / 255 - mean) / std)
        opt.zero_grad(); loss.backward(); opt.step()
    step()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    took = (time.perf_counter() - begun) / steps
    print(json.dumps({"images_per_second": views * batch / took, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
''')


def ours(fovea, case, threads, steps):
    command = ["/usr/bin/env", fovea, "plan", "--method", case["method"], "--backbone", case["backbone"], "--image-size", str(case["size"]),
               "--batch-size", str(case["batch"]), "--threads", str(threads), "--repeat", str(steps), "--no-steps"]
    code = ("import subprocess, resource, sys; r = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=True); print(r.stdout);"
            "print('PEAK', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)")
    text = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"([\d.]+) images/s", text).group(1)), int(re.search(r"PEAK (\d+)", text).group(1))


def peer(case, threads, steps):
    command = [sys.executable, "-c", PEER, case["method"], str(case["size"]), str(case["batch"]), str(threads), str(steps)]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    return result["images_per_second"], result["peak_bytes"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("fovea")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    table = {}
    for name, case in CASES.items():
        rows = [(ours(args.fovea, case, args.threads, args.steps), peer(case, args.threads, args.steps)) for _ in range(args.rounds)]
        ratios = sorted(a[0] / b[0] for a, b in rows)
        table[name] = {
            "fovea_images_per_second": statistics.median(a[0] for a, _ in rows),
            "torch_images_per_second": statistics.median(b[0] for _, b in rows),
            "ratio_median": statistics.median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1],
            "fovea_peak_bytes": max(a[1] for a, _ in rows), "torch_peak_bytes": max(b[1] for _, b in rows),
        }
        print(f"{name}: {json.dumps(table[name])}", file=sys.stderr)
    print(json.dumps({"rounds": args.rounds, "threads": args.threads, "cases": table}, indent=2))


if __name__ == "__main__":
    main()
