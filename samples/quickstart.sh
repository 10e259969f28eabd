#!/usr/bin/env bash
# The whole way on the pictures that come with Fovea: set up, build, pre-train, probe, export. Takes a few minutes on two cores.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/scripts/setup.sh"
fovea="$root/build/release/fovea"
cd "$root"
run=build/quickstart
rm -rf "$run" # our own earlier result; fovea itself never overwrites a run

say() {
    printf '\n$ fovea %s\n' "$*"
    "$fovea" "$@"
}

say pretrain samples/clipart/train --out "$run" --image-size 64 --epochs 20
say probe --weights "$run" --train samples/clipart/train --test samples/clipart/test
say export --weights "$run" --out "$run/clipart.safetensors"
