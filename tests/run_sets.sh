#!/usr/bin/env bash
# Runs what depends on the instruction set once in each lower one that this processor has: tests/run_sets.sh BUILD [ctest arguments]. The best one
# is what every other run uses. All unit tests, recordings and gradients, and of the end-to-end tests those that train; pixels, which have a further
# set, are compared across all of them by their own tests.
set -euo pipefail
cd "${1:?names a build folder}"
shift
failed=0
for set in c avx2 avx512; do
    if refusal=$(FOVEA_ISA=$set ./fovea list 2>&1 >/dev/null); then
        echo "-- FOVEA_ISA=$set"
        FOVEA_ISA=$set ctest -L '^(short|medium)$' -R '^(unit|golden|grad|sample)/|^e2e/test_(determinism|pretrain|probe|embed_export)$' \
            -E '_sweep$|pixels_hue|golden/test_draws' --output-on-failure "$@" || failed=1
    else
        echo "-- FOVEA_ISA=$set skipped: $refusal"
    fi
done
exit $failed
