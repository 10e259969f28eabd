#!/usr/bin/env bash
# --precision bf16: refused where it cannot be had and when a run began with the other; the same bits at any thread count; near to float32.
# ctest: label=short timeout=120
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pictures photos 4
all=(pretrain photos "${vit[@]}" --batch-size 4 --steps 4 --quiet)

FOVEA_ISA=c refused 3 'AVX512-BF16' "${all[@]}" --precision bf16 --out never
says 'use float32'
[ ! -e never ] || fail "a refused run left a folder"
refused 2 '--precision' "${all[@]}" --precision float16 --out never

if ! "$fovea" plan --method mae --backbone vit_tiny/16 --image-size 32 --batch-size 2 --repeat 0 --no-steps --precision bf16 >plan.txt 2>err.txt; then
    says 'which this processor lacks; use float32'
    echo "the rest needs AVX512-BF16"
    exit 0
fi
FOVEA_ISA=avx512 refused 3 'which FOVEA_ISA=avx512 leaves out' "${all[@]}" --precision bf16 --out never

"$fovea" "${all[@]}" --out float >/dev/null
"$fovea" "${all[@]}" --out half --precision bf16 --threads 1 >/dev/null
"$fovea" "${all[@]}" --out half3 --precision bf16 --threads 3 >/dev/null
same_run half half3 "bf16 with one and with three threads"
! cmp -s float/backbone.safetensors half/backbone.safetensors || fail "bf16 changes nothing"
first() { sed -nE '1s/.*"loss":([0-9.]+).*/\1/p' "$1/metrics.jsonl"; }
awk -v a="$(first float)" -v b="$(first half)" 'BEGIN { d = (a - b) / a; exit !(a > 0 && d < 0.01 && d > -0.01) }' ||
    fail "the first loss is $(first half) with bf16, $(first float) with float32"

grep -qE '^precision *= *bf16' half/config.ini || fail "config.ini does not hold the precision: $(cat half/config.ini)"
fails 2 'but you gave --precision float32' "$fovea" "${all[@]}" --out half --resume --precision float32
fails 2 'but you gave --precision bf16' "$fovea" "${all[@]}" --out float --resume --precision bf16
"$fovea" pretrain photos --out half --resume --quiet >/dev/null || fail "a run with bf16 does not go on"
