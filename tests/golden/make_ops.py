"""Records tests/golden/ops_tokens.safetensors: attention, NT-Xent and the loss of MAE with their gradients, by PyTorch in double.

Inputs are rounded to float32 first, so that both sides start from the same numbers.
Run: python make_ops.py   (recorded with torch 2.14.1, safetensors 0.8.0)
"""
import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(20)
tensors = {}


def leaf(*shape, scale=1.0):
    """Random numbers that float32 holds exactly, as a double tensor that takes a gradient."""
    return (torch.randn(*shape) * scale).double().requires_grad_(True)


def attention(name, n, t, d, heads, scale):
    qkv = leaf(n, t, 3 * d, scale=scale)
    grad = torch.randn(n, t, d).double()
    q, k, v = qkv.reshape(n, t, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d)
    out.backward(grad)
    tensors.update({f"{name}.qkv": qkv, f"{name}.out": out, f"{name}.grad_out": grad, f"{name}.grad": qkv.grad})


def nt_xent(name, n, d, temperature):
    z = F.normalize(torch.randn(2 * n, d), dim=1).double().requires_grad_(True)
    logits = (z @ z.T / temperature).masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
    loss = F.cross_entropy(logits, (torch.arange(2 * n) + n) % (2 * n))
    loss.backward()
    tensors.update({f"{name}.z": z, f"{name}.loss": loss.reshape(1), f"{name}.grad": z.grad})


def mae(name, n, t, p, normalize):
    """forward_loss of the authors' models_mae.py."""
    prediction, target = leaf(n, t, p), (torch.rand(n, t, p) * torch.rand(n, t, 1) * 3 - 1).float().double()
    mask = (torch.rand(n, t) < 0.6).double()
    goal = target
    if normalize:
        goal = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6) ** 0.5
    loss = (((prediction - goal) ** 2).mean(-1) * mask).sum() / mask.sum()
    loss.backward()
    tensors.update({f"{name}.prediction": prediction, f"{name}.target": target, f"{name}.mask": mask.int(), f"{name}.loss": loss.reshape(1),
                    f"{name}.grad": prediction.grad})


attention("attention3", 2, 9, 12, 3, 1.5)
attention("attention1", 1, 70, 6, 1, 1.0)
nt_xent("nt_xent", 6, 8, 0.2)
nt_xent("nt_xent_long", 35, 4, 0.1)
mae("mae", 2, 6, 12, True)
mae("mae_plain", 2, 5, 12, False)
tensors = {k: (v.detach() if v.dtype == torch.int32 else v.detach().float()).contiguous().clone() for k, v in tensors.items()}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops_tokens.safetensors")
save_file(tensors, path)
print(path, os.path.getsize(path))
