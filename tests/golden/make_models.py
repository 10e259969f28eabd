"""Records tests/golden/model_names.txt: names and shapes of the state of torchvision's and timm's models, without their classifiers, after the
number of tensors that torchvision counts with it; and position.safetensors: position embeddings (formula.unit("position FROM TO D")) resized
by timm.
Run: python make_models.py   (recorded with torch 2.14.1, torchvision 0.29.1, timm 1.0.31)
"""
import os

import timm
import torch
import torchvision
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed

import formula

here = os.path.dirname(os.path.abspath(__file__))


def write(file, title, model, classifier):
    state = model.state_dict()
    print(f"= {title} {len(state)}", file=file)
    for name, tensor in state.items():
        if not name.startswith(classifier):
            print(" ".join([name] + [str(d) for d in tensor.shape]), file=file)


with open(os.path.join(here, "model_names.txt"), "w") as f:
    with torch.device("meta"):
        for name in ("resnet18", "resnet34", "resnet50"):
            write(f, f"{name} 224", getattr(torchvision.models, name)(), "fc.")
        for name, patch, size in (("tiny", 16, 224), ("small", 16, 224), ("base", 16, 224), ("small", 8, 96), ("tiny", 4, 32)):
            model = timm.create_model(f"vit_{name}_patch16_224", patch_size=patch, img_size=size)
            write(f, f"vit_{name}/{patch} {size}", model, "head.")

out = {}
for old, new, d in ((14, 7, 5), (7, 14, 5), (4, 6, 3), (8, 5, 4), (6, 6, 2), (2, 9, 3)):
    name = f"position {old} {new} {d}"
    position = torch.from_numpy(formula.unit(name, (1 + old * old) * d)).reshape(1, 1 + old * old, d)
    out[name] = resample_abs_pos_embed(position, [new, new], [old, old]).contiguous()
save_file(out, os.path.join(here, "position.safetensors"))
