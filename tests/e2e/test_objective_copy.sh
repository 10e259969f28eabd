#!/usr/bin/env bash
# Adding an objective is one file and one line: a copy of simclr.c under another name and its line in objectives.def are found by the build,
# the program, and the tests that walk the registry.
# ctest: label=medium timeout=600
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

command -v cmake >/dev/null && command -v ninja >/dev/null || {
    echo "needs cmake and ninja"
    exit 77
}
mkdir tree
tar -C "$FOVEA_SOURCE" --exclude=./build --exclude=./.git -cf - . | tar -C tree -xf -
objectives=tree/src/objectives
sed -e 's/fov_objective_simclr/fov_objective_twin/' -e 's/\.name = "simclr"/.name = "twin"/' -e 's/simclr/twin/g' $objectives/simclr.c >$objectives/twin.c
echo twin >>$objectives/objectives.def
diff -rq "$FOVEA_SOURCE/src" tree/src | grep -v -e objectives.def -e twin.c && fail "the copy differs in more than a file and a line"

targets=(fovea make_pictures test_objectives test_grad_losses)
# Unoptimised: what counts is that it is built and found.
cmake -S tree -B made -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O1 >cmake.txt 2>&1 || fail "cmake: $(tail -20 cmake.txt)"
ninja -C made "${targets[@]}" >ninja.txt 2>&1 || fail "ninja: $(grep -m5 -A5 'error\|FAILED' ninja.txt)"

made/fovea list | grep -E '^  twin +[^ ]' >/dev/null || fail "list does not name the new objective"
made/fovea help pretrain --method twin | grep 'Method twin' >/dev/null || fail "its options are not in the help"
fails 2 "did you mean 'twin'?" made/fovea pretrain photos --out run --method twim
made/tests/make_pictures photos 4 4 40 1
for method in simclr twin; do
    made/fovea pretrain photos --out run-$method "${cnn[@]}" --method $method --batch-size 8 --steps 2 --quiet >/dev/null
done
[ "$(losses run-simclr)" = "$(losses run-twin)" ] || fail "the copy does not train as the original: $(losses run-twin)"
made/fovea plan --method twin --image-size 32 --batch-size 4 --repeat 0 --no-steps >/dev/null
for walker in test_objectives test_grad_losses; do
    (cd made/tests && ./$walker) >unit.txt 2>&1 || fail "$walker: $(tail -20 unit.txt)"
done
echo "one file and one line"
