"""One training step of a method in PyTorch, as the peer of `fovea bench step`: prints a JSON line with images_per_second (views counted),
peak_bytes (largest resident size of this process) and the version.

    python torch_step.py simclr resnet18 --stem cifar --image-size 32 --batch-size 128 [--mode eager|channels_last|compile] [--bf16]

Pixels are bytes in memory; a step normalises, runs forward, loss, backward and the optimizer. Steps before the clock starts: one, or with
torch.compile two, since the second may compile again. Networks are torchvision's and timm's own.
"""
import argparse
import contextlib
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


def vit(backbone, size):
    import timm
    name, patch = backbone.split("/")
    return timm.create_model(f"{name}_patch16_224", pretrained=False, num_classes=0, img_size=size, patch_size=int(patch))


def encoder(backbone, stem, size):
    if "/" in backbone:
        net = vit(backbone, size)
        return net, net.embed_dim
    import torchvision
    net = getattr(torchvision.models, backbone)()
    width = net.fc.in_features
    net.fc = nn.Identity()
    if stem == "cifar":
        net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        net.maxpool = nn.Identity()
    return net, width


class SimCLR(nn.Module):
    views = 2

    def __init__(self, backbone, stem, size):
        super().__init__()
        self.net, d = encoder(backbone, stem, size)
        self.head = nn.Sequential(nn.Linear(d, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(), nn.Linear(d, 128))
        self.tokens = "/" in backbone

    def optimizer(self):
        if self.tokens:
            return torch.optim.AdamW(self.parameters(), lr=1e-4)
        return torch.optim.SGD(self.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def forward(self, x):
        z = F.normalize(self.head(self.net(x)).float())
        n = z.shape[0] // 2
        logits = (z @ z.T / 0.2).masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
        return F.cross_entropy(logits, torch.arange(2 * n).roll(n))


class MAE(nn.Module):
    views = 1

    def __init__(self, backbone, stem, size, width, depth, heads):
        super().__init__()
        from timm.models.vision_transformer import Block
        self.enc = vit(backbone, size)
        self.patch = int(backbone.split("/")[1])
        self.side = size // self.patch
        self.embed = nn.Linear(self.enc.embed_dim, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("position", torch.zeros(1, 1 + self.side ** 2, width))
        self.dec = nn.Sequential(*[Block(width, heads, qkv_bias=True) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.pred = nn.Linear(width, self.patch ** 2 * 3)

    def optimizer(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05)

    def forward(self, x):
        n, patches, p = x.shape[0], self.side ** 2, self.patch
        order = torch.rand(n, patches).argsort(1)
        restore, keep = order.argsort(1), order[:, : patches // 4]
        enc = self.enc
        t = enc.patch_embed(x) + enc.pos_embed[:, 1:]
        t = t.gather(1, keep[:, :, None].expand(-1, -1, t.shape[2]))
        t = torch.cat([(enc.cls_token + enc.pos_embed[:, :1]).expand(n, -1, -1), t], 1)
        t = self.embed(enc.norm(enc.blocks(t)))
        width = t.shape[2]
        full = torch.cat([t[:, 1:], self.mask_token.expand(n, patches - keep.shape[1], -1).to(t.dtype)], 1)
        full = full.gather(1, restore[:, :, None].expand(-1, -1, width))
        out = self.pred(self.norm(self.dec(torch.cat([t[:, :1], full], 1) + self.position)))[:, 1:].float()
        target = x.reshape(n, 3, self.side, p, self.side, p).permute(0, 2, 4, 3, 5, 1).reshape(n, patches, -1)
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6) ** 0.5
        hidden = (restore >= keep.shape[1]).float()
        return (((out - target) ** 2).mean(-1) * hidden).sum() / hidden.sum()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("method", choices=["simclr", "mae"])
    parser.add_argument("backbone")
    parser.add_argument("--stem", choices=["imagenet", "cifar"], default="imagenet")
    parser.add_argument("--image-size", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--mode", choices=["eager", "channels_last", "compile"], default="eager")
    parser.add_argument("--bf16", action="store_true", help="under autocast to bfloat16")
    parser.add_argument("--decoder", type=int, nargs=3, metavar=("WIDTH", "DEPTH", "HEADS"), default=(256, 4, 8))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    size = args.image_size
    model = SimCLR(args.backbone, args.stem, size) if args.method == "simclr" else MAE(args.backbone, args.stem, size, *args.decoder)
    if args.mode == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    optimizer, views = model.optimizer(), model.views
    loss_of = torch.compile(model) if args.mode == "compile" else model
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    pixels = torch.randint(0, 256, (views * args.batch_size, 3, size, size), dtype=torch.uint8)

    def step():
        begun = time.perf_counter()
        x = (pixels.float() / 255 - mean) / std
        if args.mode == "channels_last":
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16) if args.bf16 else contextlib.nullcontext():
            loss = loss_of(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return time.perf_counter() - begun

    for _ in range(2 if args.mode == "compile" else 1):
        step()
    seconds = statistics.median(step() for _ in range(args.steps))
    print(json.dumps({"mode": args.mode, "images_per_second": views * args.batch_size / seconds, "torch": torch.__version__,
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
