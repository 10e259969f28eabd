#!/usr/bin/env bash
# Memory of the loader: beyond what the program held before, resident memory stays within the ring of three batches and 8 MB a thread, for any
# number of pictures, and for photos of 13 million pixels as far as they are decoded smaller. Decoded whole, one frame a thread comes on top.
# ctest: label=medium timeout=300
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if grep -qE '^FOVEA_SANITIZE:[A-Z]+=.+' "$FOVEA_BUILD/CMakeCache.txt"; then
    echo "skipped: sanitizers keep freed memory and shadows of their own"
    exit 77
fi
thread_bytes=8000000
program_bytes=16000000 # the program with its libraries, and the index of a small folder; measured: 6 MB

# Photos of 4138 x 3108 px: contact sheets of large crops.
pictures photos 12
mkdir large
for seed in 1 2 3; do
    "$fovea" preview photos --out "large/$seed.jpg" --seed "$seed" --pictures 3 --samples 3 --views 'crop(1024,0.5,1)' >said.txt
    grep -q ', 4138 x 3108 px' said.txt || fail "not the size that this test is about: $(cat said.txt)"
done
cp -r photos large/

value() { sed -nE "s/^ *\"$1\": ([0-9.e+-]+),?$/\1/p" now.json | head -1; }

# beyond FOLDER THREADS options...: bytes that the loader took besides its ring
beyond() {
    "$fovea" bench pipeline "$1" --threads "$2" --batch-size 16 --seconds 1 --json now.json --quiet "${@:3}" || fail "bench pipeline $* ended with $?"
    [ "$(value started_bytes)" -lt $program_bytes ] || fail "the program alone holds $(value started_bytes) bytes"
    echo $(($(value peak_bytes) - $(value started_bytes) - $(value ring_bytes)))
}

within() { # LIMIT FOLDER THREADS options...
    local bytes
    bytes=$(beyond "${@:2}")
    echo "${*:2}: $bytes bytes besides the ring, $1 allowed"
    [ "$bytes" -le "$1" ] || fail "bench pipeline ${*:2} takes $bytes bytes besides its ring, more than $1"
}

for threads in 1 2; do
    within $((threads * thread_bytes)) photos $threads --image-size 96
    within $((threads * thread_bytes)) photos $threads --image-size 224 --views dino
    # The smallest crops of such photos are 878 px wide: decoded at 1/4 for 96 px.
    within $((threads * thread_bytes)) large $threads --image-size 96
    # Whole frames, or the box around all crops at full size: 4138 x 3108 x 3 bytes at most.
    within $((threads * (thread_bytes + 4138 * 3108 * 3))) large $threads --image-size 96 --shrink none
    within $((threads * (thread_bytes + 4138 * 3108 * 3))) large $threads --image-size 224
done
# Many batches later it is still the same: nothing grows with the pictures seen.
before=$(beyond photos 1 --image-size 32)
after=$(beyond photos 1 --image-size 32 --seconds 4)
[ "$after" -le $((before + 1000000)) ] || fail "$before bytes besides the ring after a second, $after after four"
# The test can tell: decoding whole photos takes a frame.
[ "$(beyond large 1 --image-size 96 --shrink none)" -gt $thread_bytes ] || fail "whole frames of 38 MB are not seen"
echo "memory is bounded"
