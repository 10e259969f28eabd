"""SimCLR in PyTorch with Fovea's recipe, as the peer that `fovea pretrain` is compared with.

Same crops, colour jitter, projector, loss, optimizer, schedule, epochs and batch as `fovea pretrain --method simclr`; the pictures go
through Pillow and torchvision, the network through PyTorch, eager unless --mode says otherwise. Writes the backbone as safetensors with
torchvision's names, so that `fovea probe --weights FILE --backbone resnet18` judges both by the same probe, and prints one JSON line.

    python torch_simclr.py DATA --out backbone.safetensors --image-size 64 --batch-size 256 --epochs 20

--steps N ends it after N steps, for timing; compare_pretrain.py does that.
"""
import argparse
import json
import math
import pathlib
import resource
import time

import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as T


class TwoViews(torch.utils.data.Dataset):
    def __init__(self, root, size, strength, blur):
        self.files = sorted(p for p in pathlib.Path(root).rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
        s = strength
        steps = [
            T.RandomResizedCrop(size, scale=(0.08, 1.0), interpolation=InterpolationMode.BICUBIC),
            T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s)], p=0.8),
            T.RandomGrayscale(p=0.2),
        ]
        if blur:
            steps.append(T.RandomApply([T.GaussianBlur(int(0.1 * size) // 2 * 2 + 1, (0.1, 2.0))], p=0.5))
        self.make = T.Compose(steps + [T.PILToTensor()])

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        image = Image.open(self.files[i]).convert("RGB")
        return self.make(image), self.make(image)


def split_decay(modules, weight_decay):
    parameters = [p for m in modules for p in m.parameters()]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def nt_xent(z, temperature):
    z = F.normalize(z)
    n = z.shape[0] // 2
    logits = z @ z.T / temperature
    logits.fill_diagonal_(float("-inf"))
    return F.cross_entropy(logits, torch.arange(2 * n).roll(n))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--out", required=True)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=0, help="length in steps instead of epochs")
    parser.add_argument("--mode", choices=["eager", "channels_last", "compile"], default="eager")
    parser.add_argument("--lr", type=float, default=0.0, help="peak; 0: 0.06 * batch / 128")
    parser.add_argument("--strength", type=float, default=0.5)
    parser.add_argument("--temperature", type=float, default=0.2)
    parser.add_argument("--blur", action="store_true")
    parser.add_argument("--warmup-epochs", type=float, default=-1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    data = TwoViews(args.data, args.image_size, args.strength, args.blur)
    loader = torch.utils.data.DataLoader(data, args.batch_size, shuffle=True, drop_last=True, num_workers=args.workers,
                                         persistent_workers=args.workers > 0)
    backbone = torchvision.models.resnet18()
    backbone.fc = torch.nn.Identity()
    head = torch.nn.Sequential(torch.nn.Linear(512, 512, bias=False), torch.nn.BatchNorm1d(512), torch.nn.ReLU(),
                               torch.nn.Linear(512, 128))
    model = torch.nn.Sequential(backbone, head)
    if args.mode == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    forward = torch.compile(model) if args.mode == "compile" else model
    if len(loader) == 0:
        parser.error(f"{len(data)} pictures make no batch of {args.batch_size}")
    peak = args.lr or 0.06 * args.batch_size / 128
    optimizer = torch.optim.SGD(split_decay([backbone, head], 5e-4), lr=peak, momentum=0.9)
    if args.steps > 0:
        args.epochs = math.ceil(args.steps / len(loader))
    steps = args.steps or args.epochs * len(loader)
    warmup = args.warmup_epochs if args.warmup_epochs >= 0 else min(10, args.epochs / 10)
    warmup = int(warmup * len(loader))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

    if args.mode == "compile":  # compiling is no part of the time, neither for nor against
        nt_xent(forward(torch.zeros(2 * args.batch_size, 3, args.image_size, args.image_size)), args.temperature).backward()
    step, begun, losses = 0, time.monotonic(), []
    for epoch in range(args.epochs):
        for first, second in loader:
            if step == steps:
                break
            lr = peak * step / warmup if step < warmup else 0.5 * peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
            for group in optimizer.param_groups:
                group["lr"] = lr
            x = (torch.cat([first, second]).float() / 255 - mean) / std
            if args.mode == "channels_last":
                x = x.contiguous(memory_format=torch.channels_last)
            loss = nt_xent(forward(x), args.temperature)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            step += 1
        print(f"epoch {epoch + 1}: loss {sum(losses[-len(loader):]) / len(loader):.4f}, {time.monotonic() - begun:.0f} s", flush=True)
    seconds = time.monotonic() - begun
    save_file({k: v.contiguous() for k, v in backbone.state_dict().items()}, args.out)
    print(json.dumps({"steps": step, "seconds": seconds, "images_per_second": 2 * step * args.batch_size / seconds,
                      "final_loss": sum(losses[-len(loader):]) / len(loader),
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
