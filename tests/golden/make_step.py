"""Records tests/golden/step.safetensors: one training step of resnet18 + simclr and of vit_tiny/8 + mae, by PyTorch in double.

Weights and pixels come from formula.py, so the file holds results alone. For each trainable tensor: "CASE.grad|NAME" = the norm of its
gradient, then its dot products with four vectors of formula.unit("NAME#j"); "CASE.full|NAME": the gradient itself, up to 2048 elements;
"CASE.OPTIMIZER|NAME": as grad, of the change that one update makes. Also losses, running statistics, the masks, and three updates of a few
small tensors by each optimizer in full. Models are torchvision's resnet18 and timm's VisionTransformer and Block; the losses are written
from the papers; sgd and adamw are torch.optim's, lars is LARS of MoCo v3's repository, written again.
Run: python make_step.py   (recorded with torch 2.14.1, torchvision 0.29.1, timm 1.0.31)
"""
import math
import os
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

import formula

SEED, EPOCH, MASK_OP = 5, 2, 3
SAMPLES = [3 + 7 * i for i in range(4)]
DECAY = 0.05
EPS = {"simclr": 0.05, "mae": 1e-3}  # of adamw: about a gradient, so that it does not step by the sign of those that are nearly zero
MEAN, STD = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
out = {}


def images(count):
    x = torch.from_numpy(formula.pixels("view", (count, 32, 32, 3))).double() / 255
    return (x.permute(0, 3, 1, 2) - MEAN) / STD


def nt_xent(z, temperature):
    n = z.shape[0] // 2
    z = F.normalize(z, dim=1, eps=1e-12)
    logits = (z @ z.T / temperature).masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
    return F.cross_entropy(logits, (torch.arange(2 * n) + n) % (2 * n))


class SimCLR(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = torchvision.models.resnet18()
        self.backbone.fc = nn.Identity()
        self.head = nn.Sequential(nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 128))

    def forward(self):
        return nt_xent(self.head(self.backbone(images(8))), 0.2)


def sincos(d, grid):
    def axis(p):
        angle = p * 10000.0 ** (-np.arange(d // 4) / (d / 4))
        return np.concatenate([np.sin(angle), np.cos(angle)])

    rows = [np.zeros(d)] + [np.concatenate([axis(x), axis(y)]) for y in range(grid) for x in range(grid)]
    return torch.tensor(np.stack(rows).astype(np.float32)).double()[None]


class MAE(nn.Module):
    def __init__(self, width=64, depth=2, heads=4):
        super().__init__()
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.backbone = VisionTransformer(img_size=32, patch_size=8, embed_dim=192, depth=12, num_heads=3, num_classes=0)
        h = self.head = nn.Module()
        h.decoder_embed = nn.Linear(192, width)
        h.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        h.decoder_pos_embed = nn.Parameter(sincos(width, 4), requires_grad=False)
        h.decoder_blocks = nn.ModuleList([Block(width, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth)])
        h.decoder_norm = norm(width)
        h.decoder_pred = nn.Linear(width, 8 * 8 * 3)
        self.backbone.pos_embed.requires_grad_(False)
        self.double()
        with torch.no_grad():
            self.backbone.pos_embed.copy_(sincos(192, 4))
        noise = torch.tensor(np.stack([formula.uniforms(16, SEED, EPOCH, s, MASK_OP) for s in SAMPLES]))
        shuffle = torch.argsort(noise, dim=1)
        self.restore, self.keep = torch.argsort(shuffle, dim=1), shuffle[:, :4]
        self.mask = (self.restore >= 4).double()

    def forward(self):
        x, b, h = images(4), self.backbone, self.head
        gather = lambda t, index: torch.gather(t, 1, index[..., None].expand(-1, -1, t.shape[2]))
        t = gather(b.patch_embed(x) + b.pos_embed[:, 1:], self.keep)
        t = torch.cat([(b.cls_token + b.pos_embed[:, :1]).expand(4, -1, -1), t], 1)
        t = h.decoder_embed(b.norm(b.blocks(t)))
        full = gather(torch.cat([t[:, 1:], h.mask_token.expand(4, 12, -1)], 1), self.restore)
        t = torch.cat([t[:, :1], full], 1) + h.decoder_pos_embed
        for block in h.decoder_blocks:
            t = block(t)
        prediction = h.decoder_pred(h.decoder_norm(t))[:, 1:]
        target = x.reshape(4, 3, 4, 8, 4, 8).permute(0, 2, 4, 3, 5, 1).reshape(4, 16, 192)
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
        return (((prediction - target) ** 2).mean(-1) * self.mask).sum() / self.mask.sum()


def ours(name):
    return name[len("backbone."):] if name.startswith("backbone.") else name


def summary(name, t):
    flat = t.detach().double().flatten().numpy()
    dots = [float(flat @ formula.unit(f"{name}#{j}", flat.size).astype(np.float64)) for j in range(4)]
    return torch.tensor([math.sqrt(float(flat @ flat))] + dots).float()


class LARS(torch.optim.Optimizer):
    def __init__(self, params, lr, weight_decay, momentum=0.9, trust=0.001):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, trust=trust))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                d = p.grad
                if p.ndim > 1:
                    d = d + g["weight_decay"] * p
                    w, n = p.norm(), d.norm()
                    d = d * (g["trust"] * w / n if w > 0 and n > 0 else 1.0)
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.mul_(g["momentum"]).add_(d)
                p.sub_(m, alpha=g["lr"])


def optimizer(kind, named, lr, eps=1e-8):
    decayed = lambda n, p: p.ndim > 1 and not n.endswith(".bias")
    groups = [{"params": [p for n, p in named if decayed(n, p)], "weight_decay": DECAY},
              {"params": [p for n, p in named if not decayed(n, p)], "weight_decay": 0.0}]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9)
    if kind == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), eps=eps)
    return LARS(groups, lr=lr, weight_decay=DECAY)


def record(case, model):
    model.double().train()
    trainable = [(ours(n), p) for n, p in model.named_parameters() if p.requires_grad]
    with torch.no_grad():
        for name, p in trainable:
            p.copy_(torch.from_numpy(formula.weight(name, tuple(p.shape))))
    loss = model()
    loss.backward()
    out[f"{case}.loss"] = loss.detach().float().reshape(1)
    for name, p in trainable:
        out[f"{case}.grad|{name}"] = summary(name, p.grad)
        if p.numel() <= 2048:
            out[f"{case}.full|{name}"] = p.grad.flatten().float()
    for name, b in model.named_buffers():
        if "running" in name or name.endswith("tracked"):
            out[f"{case}.buffer|{ours(name)}"] = b.detach().float().flatten().clone()
    start = [p.detach().clone() for _, p in trainable]
    for kind in ("sgd", "adamw", "lars"):
        with torch.no_grad():
            for (_, p), s in zip(trainable, start):
                p.copy_(s)
        optimizer(kind, trainable, 1.0, EPS[case]).step()  # a large lr: the change stands out of the rounding of weights
        for (name, p), s in zip(trainable, start):
            out[f"{case}.{kind}|{name}"] = summary(name, p - s)
    rms = [p.grad.pow(2).mean().sqrt().item() for _, p in trainable]
    print(case, loss.item(), len(trainable), "tensors, rms of gradients", min(rms), max(rms))


def three_updates():
    shapes = {"conv.weight": (6, 3, 3, 3), "conv.bias": (6,), "norm.weight": (10,), "cls_token": (1, 1, 12), "fc.weight": (7, 9)}
    for kind in ("sgd", "adamw", "lars"):
        named = [(n, nn.Parameter(torch.from_numpy(formula.weight(n, s)).double())) for n, s in shapes.items()]
        step = optimizer(kind, named, 0.05)
        for t in range(3):
            for n, p in named:
                p.grad = torch.from_numpy(formula.weight(f"{n}@{t}.grad", tuple(p.shape))).double()
            step.step()
        for n, p in named:
            out[f"updates.{kind}|{n}"] = p.detach().float().flatten()


record("simclr", SimCLR())
mae = MAE()
record("mae", mae)
out["mae.keep"], out["mae.restore"] = mae.keep.int(), mae.restore.int()
three_updates()
out = {k: v.contiguous().clone() for k, v in out.items()}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "step.safetensors")
save_file(out, path)
print(path, os.path.getsize(path))
