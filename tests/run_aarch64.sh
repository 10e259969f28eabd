#!/usr/bin/env bash
# Builds for 64-bit ARM with Debian's cross compiler and runs the short tier there, emulated by qemu-user. Emulated arithmetic is a hundred times
# slower: the whole takes an hour on two processors, and `quick` leaves out what trains for long.
#
#   tests/run_aarch64.sh [quick] [ctest arguments]
#
# Ends with 77 where the compiler, the emulator or the libraries cannot be had; the line before says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
apart='^interop/'
if [ "${1:-}" = quick ]; then
    apart+='|^sample/|^grad/test_grad_losses$|^unit/test_(api|encoder|train_parts)$|^e2e/test_(embed_export|pack|pretrain|probe|wrong_use)$'
    shift
fi
scripts/setup.sh packages gcc-aarch64-linux-gnu qemu-user-static || { echo "skipped: no cross compiler or emulator"; exit 77; }
scripts/sysroot.sh arm64 || { echo "skipped: no libraries for arm64"; exit 77; }
mkdir -p build
cmake --preset aarch64 >build/aarch64.log
cmake --build build/aarch64 >>build/aarch64.log 2>&1 || { tail -n 50 build/aarch64.log; exit 1; }
cd build/aarch64
exec ctest -L '^short$' -E "$apart" --output-on-failure -j2 "$@"
