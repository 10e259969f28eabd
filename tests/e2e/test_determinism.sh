#!/usr/bin/env bash
# The same settings give the same bits of weights and metrics, whatever the number of threads that compute or read.
# ctest: label=medium timeout=300
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pictures photos 10
for kind in cnn vit; do
    declare -n net=$kind
    first=
    for threads in 1 2 3 8; do
        for loaders in 1 4; do
            run=$kind-$threads-$loaders
            "$fovea" pretrain photos --out "$run" "${net[@]}" --batch-size 10 --steps 9 --threads $threads --loader-threads $loaders --quiet >/dev/null
            rm -r "$run/checkpoints"
            [ -n "$first" ] || first=$run
            same_run "$first" "$run" "$kind with --threads $threads --loader-threads $loaders"
        done
    done
    # Micro-batches and the average of weights cut the work otherwise; each must not depend on threads either.
    for threads in 1 3; do
        "$fovea" pretrain photos --out "$kind-parts-$threads" "${net[@]}" --batch-size 10 --micro-batch 5 --ema 0.9 --clip-norm 1 --steps 4 --threads $threads --quiet >/dev/null
    done
    same_run "$kind-parts-1" "$kind-parts-3" "$kind in micro-batches with --threads 3"
    rm -rf ./$kind-*
done
echo "equal bits"
