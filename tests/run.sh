#!/usr/bin/env bash
# Sets up, builds and tests: tests/run.sh [TIER ...], tiers short (default), medium, long; further ctest arguments after --.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tiers=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    tiers+=("$1")
    shift
done
[ $# -eq 0 ] || shift
[ ${#tiers[@]} -gt 0 ] || tiers=(short)
"$root/scripts/setup.sh"
cd "$root/build/release"
exec ctest -L "^($(IFS='|'; echo "${tiers[*]}"))\$" --output-on-failure "$@"
