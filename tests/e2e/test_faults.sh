#!/usr/bin/env bash
# Disks that fill up, memory that runs out, files that are damaged: a run ends with the right status and a message, or goes on; what was
# saved before stays good, and resuming gives the bits of a run that nothing happened to.
# ctest: label=medium timeout=600
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pictures photos 4
all=(pretrain photos "${vit[@]}" --batch-size 4 --steps 6 --save-every 2)
"$fovea" "${all[@]}" --out whole --quiet >/dev/null

# A run with a fault; then it is resumed, or begun again where it had not begun, and must end as if nothing had happened.
# Counts what happened in $went_on and $ended.
went_on=0
ended=0
with_fault() { # FOVEA_FAIL_IO
    local code=0
    rm -rf faulty
    FOVEA_FAIL_IO=$1 "$fovea" "${all[@]}" --out faulty >out.txt 2>err.txt || code=$?
    case $code in
    0)
        same_run whole faulty "a run with $1"
        went_on=$((went_on + 1))
        return
        ;;
    4) grep -qE '^fovea: .*(No space left on device|Input/output error)' err.txt || fail "$1 ended without a reason: $(cat err.txt)" ;;
    *) fail "$1 ended with $code: $(cat err.txt)" ;;
    esac
    ended=$((ended + 1))
    again faulty "$1"
}
again() { # RUN what
    local resume=()
    [ ! -e "$1/config.ini" ] || resume=(--resume)
    "$fovea" "${all[@]}" --out "$1" ${resume[@]+"${resume[@]}"} >out.txt 2>err.txt || fail "going on after $2 ended with $?: $(cat err.txt)"
    grep -q '^warning' err.txt && fail "going on after $2 found something damaged: $(cat err.txt)"
    same_run whole "$1" "going on after $2"
    [ -z "$(find "$1" -name '*.tmp-*')" ] || fail "$2 leaves half-written files: $(find "$1")"
}

# Every fsync and rename of the run, until the number is past the last; writes, of which there are many, at steps of a few. The first failures
# may pass unseen (syncing a folder just made is best effort); three unseen in a row are past the end.
sweep() { # OPERATION ERROR STEP: k = 1, 1 + STEP, ...
    local k=1 before unseen=0
    while [ $unseen -lt 3 ] && [ $k -lt 2000 ]; do
        before=$went_on
        with_fault "$1:$k:$2"
        unseen=$((unseen + 1))
        if [ $went_on -eq "$before" ] || grep -q '^warning' err.txt; then
            unseen=0
        fi
        k=$((k + $3))
    done
    [ $k -gt $((6 * $3)) ] || fail "only $k calls of $1: the faults do not arrive"
    echo "$1: $2 at every ${3}th of about $k calls"
}
sweep fsync EIO 1
sweep rename ENOSPC 1
sweep write ENOSPC 37
[ $went_on -gt 5 ] && [ $ended -gt 5 ] || fail "$went_on runs went on and $ended ended: too few of one kind to prove anything"
with_fault mkdir:1:ENOSPC
with_fault mkdir:2:ENOSPC
echo "$went_on runs went on, $ended ended and were resumed"

# A disk that stays full: three failed saves in a row end the run; the checkpoint before stands.
rm -rf faulty
saves=("${all[@]}" --save-every 1 --out faulty)
FOVEA_FAIL_IO=rename:6+:ENOSPC fails 4 '3 saves in a row failed' "$fovea" "${saves[@]}"
says 'No space left on device'
[ "$(grep -c 'the checkpoint before stands, trying again later' err.txt)" -eq 2 ] || fail "two warnings come before the end: $(cat err.txt)"
[ "$(cat faulty/checkpoints/latest)" = step-00000001.ckpt ] || fail "latest: $(cat faulty/checkpoints/latest)"
grep -q 'saves in a row failed' faulty/log.txt || fail "log.txt does not say why the run ended"
again faulty 'a full disk'

# A lock that cannot be signed is not left behind, and a run that nothing of can be saved does not begin.
rm -rf faulty
FOVEA_FAIL_IO=write:1:ENOSPC fails 4 'faulty/lock: cannot write: No space left on device' "$fovea" "${all[@]}" --out faulty
[ ! -e faulty/lock ] || fail "an empty lock stays: $(ls -l faulty)"
again faulty 'a lock that could not be signed'
small_disk() { # SIZE: the first steps of a run on a disk of its own
    unshare -rm bash -c 'mkdir -p disk && mount -t tmpfs -o size="$1" tmpfs disk && shift && "$@" --out disk/run; code=$?; ls disk/run; exit $code' \
        bash "$1" "$fovea" "${all[@]}" --steps 1
}
if unshare -rm bash -c 'mkdir -p disk && mount -t tmpfs tmpfs disk' 2>/dev/null; then
    fails 4 'disk/run: cannot save a checkpoint: No space left on device (needed ' small_disk 1M
    grep -q config.ini out.txt && fail "a run that cannot be saved has begun: $(cat out.txt)"
    checkpoint=$(stat -c %s whole/checkpoints/step-00000006.ckpt)
    small_disk $((checkpoint * 5 / 2)) >out.txt 2>err.txt || fail "a disk for two checkpoints does not take one: $(cat err.txt)"
    grep -q '^warning: disk/run: checkpoints of a long run take' err.txt || fail "no word of what checkpoints will take: $(cat err.txt)"
else
    echo "skipped: no disk of one's own to fill (unshare -rm)"
fi

# ---- damaged checkpoints ----
newest() { ls "$1"/checkpoints/step-*.ckpt | tail -1; }
damage() { # FILE KIND
    case $2 in
    flipped) printf '\377' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") - 5000)) conv=notrunc status=none ;;
    header) printf 'x' | dd of="$1" bs=1 seek=40 conv=notrunc status=none ;;
    torn) truncate -s 1000000 "$1" ;;
    empty) truncate -s 0 "$1" ;;
    esac
}
"$fovea" "${all[@]}" --out stopped --quiet >/dev/null
rm stopped/checkpoints/step-00000006.ckpt # as if it had been killed after step 4
"$fovea" "${all[@]}" --out early --save-every 2 --keep 9 --quiet >/dev/null
cp early/checkpoints/step-00000002.ckpt stopped/checkpoints/
for kind in flipped header torn empty; do
    rm -rf faulty
    cp -r stopped faulty
    damage "$(newest faulty)" $kind
    fails 3 'step-00000004.ckpt' "$fovea" "${all[@]}" --out faulty --resume --strict-resume
    code=0
    "$fovea" "${all[@]}" --out faulty --resume >out.txt 2>err.txt || code=$?
    [ $code -eq 0 ] || fail "resuming with a $kind checkpoint ended with $code: $(cat err.txt)"
    says 'going back to the one before'
    same_run whole faulty "a $kind checkpoint"
done
rm -rf faulty
cp -r stopped faulty
for file in faulty/checkpoints/step-*; do damage "$file" torn; done
fails 3 'past the end of the file' "$fovea" "${all[@]}" --out faulty --resume

# ---- memory ----
short=(pretrain photos "${vit[@]}" --batch-size 4 --steps 2)
"$fovea" "${short[@]}" --out two --quiet >/dev/null
out_of_memory=0
n=1
for try in $(seq 25); do
    code=0
    rm -rf faulty
    FOVEA_FAIL_ALLOC=$n "$fovea" "${short[@]}" --out faulty >out.txt 2>err.txt || code=$?
    case $code in
    0) cmp two/backbone.safetensors faulty/backbone.safetensors || fail "allocation $n failed silently: other weights" ;;
    7)
        grep -q 'out of memory' err.txt || fail "allocation $n failed without a message: $(cat err.txt)"
        out_of_memory=$((out_of_memory + 1))
        ;;
    *) fail "allocation $n failed with status $code: $(cat err.txt)" ;;
    esac
    n=$((n + n / 3 + 1 + try % 2))
done
[ $out_of_memory -ge 8 ] || fail "only $out_of_memory of 25 failed allocations were felt"
echo "$out_of_memory of 25 failed allocations ended a run, up to number $n"
