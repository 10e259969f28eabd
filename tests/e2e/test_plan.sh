#!/usr/bin/env bash
# `fovea plan` shows each operation of a step, the sums, and what sharing memory saves; `fovea list` names what there is.
# ctest: label=short timeout=120
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

memory() { # of the sums line, in bytes
    sed -nE 's/^[0-9]+ operations, .* parameters, ([0-9.]+) ([kMGT]?)B of memory.*/\1 \2/p' "$1" |
        awk '{ m["" ] = 1; m["k"] = 1e3; m["M"] = 1e6; m["G"] = 1e9; m["T"] = 1e12; print $1 * m[$2] }'
}

check() { # NAME arguments...
    local name=$1 reused apart operations lines
    shift
    "$fovea" plan "$@" --batch-size 8 --repeat 1 >"$name.txt" || fail "plan $* ended with $?"
    "$fovea" plan "$@" --batch-size 8 --repeat 0 --no-steps --no-reuse >"$name.apart.txt"
    "$fovea" plan "$@" --batch-size 8 --repeat 0 --no-steps >"$name.sums.txt"
    grep -qE '^one step: [0-9.]+ ms, [0-9.]+ images/s, [0-9.]+ GFLOP/s, [0-9]+ % of this machine' "$name.txt" || fail "no time of a step: $(tail -3 "$name.txt")"
    grep -qE '^[0-9]+ operations, [0-9,]+ parameters, .* of memory, [0-9.]+ GFLOP forward, [0-9.]+ backward$' "$name.txt" || fail "no sums: $(tail -3 "$name.txt")"
    grep -qE '^ *step .* us +GFLOP/s +GB/s +%$' "$name.txt" || fail "no rates in the table: $(head -3 "$name.txt")"
    grep -qE '^this machine: [0-9.]*[1-9][0-9.]* GFLOP/s, [0-9.]+ GB/s read' "$name.txt" || fail "no limits: $(head -3 "$name.txt")"
    operations=$(sed -nE 's/^([0-9]+) operations.*/\1/p' "$name.txt")
    lines=$(wc -l <"$name.txt")
    [ "$operations" -ge 40 ] && [ "$lines" -gt "$operations" ] || fail "$lines lines for $operations operations"
    [ "$(wc -l <"$name.sums.txt")" -eq 1 ] || fail "--no-steps --repeat 0 prints more than the sums: $(cat "$name.sums.txt")"
    reused=$(memory "$name.sums.txt")
    apart=$(memory "$name.apart.txt")
    awk -v a="$reused" -v b="$apart" 'BEGIN { exit !(a > 0 && b > 1.2 * a) }' || fail "--no-reuse takes $apart bytes, sharing $reused"
    echo "$name: $operations operations, $reused bytes, $apart without sharing"
}

check simclr --method simclr --backbone resnet18 --image-size 32
grep -qE 'conv2d (winograd|direct)' simclr.txt || fail "the plan does not say how convolutions are done"
for way in direct winograd; do
    "$fovea" plan --image-size 32 --batch-size 2 --repeat 1 --conv $way >way.txt
    grep -q "conv2d $way" way.txt || fail "--conv $way is not followed: $(head -5 way.txt)"
done
grep -q 'conv2d direct' way.txt || fail "--conv winograd took convolutions that it cannot do"
"$fovea" plan --image-size 32 --batch-size 2 --repeat 0 --conv direct | grep -qE 'winograd|product' && fail "--conv direct is not followed everywhere"
grep -qw conv2d simclr.txt && grep -qw nt_xent simclr.txt || fail "no conv2d or nt_xent in the plan of simclr"
check mae --method mae --backbone vit_tiny/8 --image-size 32
grep -qw attention mae.txt && grep -qw masked_mse mae.txt || fail "no attention or masked_mse in the plan of mae"

"$fovea" list >list.txt
for file in src/objectives/objectives src/train/optimizers augment/augments; do
    for name in $(sed -e 's/#.*//' -e 's/ .*//' "$FOVEA_SOURCE/$file.def"); do
        grep -qE "^  $name +[^ ]" list.txt || fail "list does not name $name"
    done
done
for name in $(sed -nE 's/^FOV_RECIPE\("([a-z0-9_]+)".*/\1/p' "$FOVEA_SOURCE/augment/recipes.def"); do
    grep -qE "^  $name +[^ ]" list.txt || fail "list does not name the recipe $name"
done
# A word gives one kind in full, and what is printed for a recipe is a recipe.
"$fovea" list steps >steps.txt
grep -qE '^  rotate +turn' steps.txt && grep -qE '^ +interpolation +nearest\|bilinear\|bicubic \(nearest\)$' steps.txt || fail "list steps lacks parameters: $(cat steps.txt)"
grep -q 'Methods' steps.txt && fail "list steps has other things too"
"$fovea" list recipes --image-size 96 >recipes.txt
grep -qxF '      2 * crop(96,0.08,1,bicubic) flip(0.5) jitter(0.8,0.4,0.4,0.4,0.1) gray(0.2)' recipes.txt || fail "list recipes does not print simclr for 96 px: $(cat recipes.txt)"
grep -qF '6 * crop(48,0.05,0.14' recipes.txt || fail "local views of 96 px are not 48 px: $(cat recipes.txt)"
for kind in methods backbones optimizers; do
    "$fovea" list "$kind" >"$kind.txt"
    [ "$(wc -l <"$kind.txt")" -ge 2 ] || fail "list $kind is empty"
done
echo "plan and list are complete"
