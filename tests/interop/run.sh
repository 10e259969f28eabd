#!/usr/bin/env bash
# Runs a test against the Python peers: run.sh SCRIPT.py. PEERS_PYTHON names a Python that has what requirements.txt lists.
# Exit status 77 (skipped) where there is none.
set -euo pipefail

python=${PEERS_PYTHON:-}
if [ -z "$python" ] || ! command -v "$python" >/dev/null; then
    echo "skipped: the Python peers are not installed (PEERS_PYTHON)"
    exit 77
fi
if ! "$python" -c 'import torch, torchvision, timm, safetensors, numpy, PIL' 2>/dev/null; then
    echo "skipped: the Python peers are not installed: $python lacks torch, torchvision, timm, safetensors, numpy or pillow (tests/interop/requirements.txt)"
    exit 77
fi
exec "$python" "$1"
