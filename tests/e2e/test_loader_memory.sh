#!/usr/bin/env bash
# Memory of the loader: beyond what the program held before, resident memory stays within the ring of three batches and 8 MB a thread, for any
# number of pictures and for photos of any size, decoded whole or smaller: their files come in pieces and their pixels in strips.
# ctest: label=medium timeout=600
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if grep -qE '^FOVEA_SANITIZE:[A-Z]+=.+' "$FOVEA_BUILD/CMakeCache.txt"; then
    echo "skipped: sanitizers keep freed memory and shadows of their own"
    exit 77
fi
thread_bytes=8000000
program_bytes=16000000 # the program with its libraries, and the index of a small folder; measured: 6 MB

# Photos of 13, 24 and 101 million pixels, and PNG of 24: contact sheets of large crops, and waves.
pictures photos 12
sheet() { # FILE CROP PICTURES SIZE
    mkdir -p "$(dirname "$1")"
    "$fovea" preview photos --out "$1" --pictures "$3" --samples 3 --views "crop($2,0.5,1)" "${@:5}" >said.txt
    grep -q ", $4 px" said.txt || fail "not the size that this test is about: $(cat said.txt)"
}
for seed in 1 2 3; do
    sheet "large/$seed.jpg" 1024 3 '4138 x 3108' --seed $seed
done
sheet photos24/1.jpg 1480 3 '5962 x 4476'
sheet photos24/2.png 1480 3 '5962 x 4476' --seed 2
mkdir photos100
"$FOVEA_BUILD/tests/make_photo" photos100/1.jpg 12000 8400 || fail "no photo of 101 million pixels"
cp -r photos large/

# The same, turned by a quarter as phones write it, and mirrored too.
turn() { # FILE ORIENTATION
    local exif="\xff\xe1\x00\x22Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x0$2\x00\x00\x00\x00\x00\x00\x00"
    mkdir -p "turned/$(dirname "$1")"
    { head -c 2 "$1"; printf "$exif"; tail -c +3 "$1"; } >"turned/$1"
}
turn photos24/1.jpg 6
turn photos100/1.jpg 5
sets=(large photos24 photos100 turned/photos24 turned/photos100)
mkdir scans
made=0
"$FOVEA_BUILD/tests/make_photo" scans/1.tif 6000 4000 || made=$?
case $made in
0) sets+=(scans) ;;
77) echo "TIFF left out: this build does not read it" ;;
*) fail "no TIFF of 24 million pixels" ;;
esac

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
    for photos in "${sets[@]}"; do
        within $((threads * thread_bytes)) $photos $threads --image-size 96 --batch-size 4
        within $((threads * thread_bytes)) $photos $threads --image-size 96 --batch-size 4 --shrink none
        within $((threads * thread_bytes)) $photos $threads --image-size 224 --batch-size 4
        within $((threads * thread_bytes)) $photos $threads --image-size 224 --batch-size 4 --shrink none
    done
done
# Many batches later it is still the same: nothing grows with the pictures seen.
before=$(beyond photos 1 --image-size 32)
after=$(beyond photos 1 --image-size 32 --seconds 4)
[ "$after" -le $((before + 1000000)) ] || fail "$before bytes besides the ring after a second, $after after four"
# The test can tell: what has to be decoded whole takes a frame.
[ "$(beyond turned/photos24 1 --image-size 224 --batch-size 2 --shrink none --depth 16)" -gt $((2 * thread_bytes)) ] ||
    fail "frames of turned photos of 16 bits are not seen"
echo "memory is bounded"
