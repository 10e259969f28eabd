"""Writes torch_small.safetensors with the format's own package: one tensor of each number type that checkpoints use, and the odd shapes.

One metadata entry only, because that package writes several in the order of a hash table. Run in this folder; needs torch and safetensors."""
import torch
from safetensors.torch import save_file

i = torch.arange(18, dtype=torch.float32)
save_file(
    {
        "conv1.weight": (i / 4 - 2).reshape(2, 1, 3, 3),
        "bn1.num_batches_tracked": torch.tensor(123456789012, dtype=torch.int64),
        "half": torch.tensor([1.0, -2.5, 65504.0, 6.103515625e-05, 5.960464477539063e-08, 0.0], dtype=torch.float16),
        "brain": torch.tensor([[1.0, -3.0], [1e30, 0.15625]], dtype=torch.bfloat16),
        "double": torch.tensor([0.1, -1e300], dtype=torch.float64),
        "empty": torch.zeros(0, 4),
        "bytes": torch.tensor([0, 127, 255], dtype=torch.uint8),
        "mask": torch.tensor([True, False]),
        "ints": torch.tensor([-2147483648, 2147483647], dtype=torch.int32),
        'n\u00e4me "x"\\\n\t': torch.tensor([1.0]),
    },
    "torch_small.safetensors",
    {"format": "pt"},
)
