#!/usr/bin/env bash
# The whole way on the pictures that come with Fovea: set up, build, pre-train, probe, export. Takes a few minutes on two cores.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/scripts/setup.sh"
fovea="$root/build/release/fovea"
pictures="$root/samples/clipart"
run="$root/build/quickstart"
rm -rf "$run" # our own earlier result; fovea itself never overwrites a run

say() { printf '\n$ fovea %s\n' "$*"; }

say pretrain samples/clipart/train --out build/quickstart --image-size 32 --epochs 40
"$fovea" pretrain "$pictures/train" --out "$run" --image-size 32 --epochs 40
say probe --weights build/quickstart --train samples/clipart/train --test samples/clipart/test
"$fovea" probe --weights "$run" --train "$pictures/train" --test "$pictures/test"
say export --weights build/quickstart --out build/quickstart/clipart.safetensors
"$fovea" export --weights "$run" --out "$run/clipart.safetensors"
