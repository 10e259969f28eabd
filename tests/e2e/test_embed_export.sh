#!/usr/bin/env bash
# From a short run to features and an exported file, as a user does it, and the ways in which it is refused.
# ctest: label=short timeout=300
source "$(dirname "$0")/common.sh"

pictures made 10 # four kinds of ten
mkdir pictures
number=0
for picture in made/*/*.png; do
    mv "$picture" "pictures/p$(printf %03d $number).png"
    number=$((number + 1))
done
"$fovea" pretrain pictures --out run --image-size 32 --epochs 1 --batch-size 16 --quiet >/dev/null

# ---- embed ----
"$fovea" embed --weights run pictures --out features.npy --quiet >said.txt
grep -q '^features: features.npy  40 pictures x ' said.txt || fail "embed said: $(cat said.txt)"
[ "$(wc -l <features.tsv)" -eq 40 ] || fail "features.tsv does not have 40 lines"
[ "$(sed -n 1p features.tsv)" = pictures/p000.png ] && [ "$(sed -n 40p features.tsv)" = pictures/p039.png ] || fail "paths are not in order"
width=$(sed -nE 's/.* x ([0-9]+), float32/\1/p' said.txt)
[ "$(stat -c %s features.npy)" -eq $((128 + 40 * width * 4)) ] || fail "features.npy has the wrong size"
[ ! -e features.bad.tsv ] || fail "there are no bad files, yet a list of them"

# The same bits with one thread, and for one picture alone.
"$fovea" embed --weights run/backbone.safetensors pictures --out one.npy --threads 1 --quiet >/dev/null
cmp features.npy one.npy || fail "features depend on the number of threads"
"$fovea" embed --weights run pictures/p000.png --out alone.npy --quiet >/dev/null
cmp <(tail -c +129 alone.npy) <(tail -c +129 features.npy | head -c $((width * 4))) || fail "features depend on the other pictures"

# Bad files are left out and reported; the rest is as without them.
cp -r pictures dirty
head -c 300 pictures/p001.png >dirty/broken.png
: >dirty/empty.png
"$fovea" embed --weights run dirty --out dirty.npy >/dev/null 2>err.txt
cmp features.npy dirty.npy || fail "bad files change the features of the others"
grep -q '2 bad files left out' err.txt || fail "embed does not report bad files: $(cat err.txt)"
grep -q '^dirty/broken.png' dirty.bad.tsv && grep -q '^dirty/empty.png' dirty.bad.tsv || fail "dirty.bad.tsv does not list them"

# A picture that goes bad after the check has no row either, and counts as bad.
FOVEA_FAIL_IO=open:60:EIO "$fovea" embed --weights run pictures --out changed.npy --threads 1 >said.txt 2>err.txt
grep -q '^features: changed.npy  39 pictures x ' said.txt || fail "embed said: $(cat said.txt err.txt)"
grep -q '1 bad file left out, listed in changed.bad.tsv' err.txt || fail "embed does not report the lost picture: $(cat err.txt)"
lost=$(sed -nE 's/^([^\t]*)\tunreadable\t0\tcannot open: .*/\1/p' changed.bad.tsv)
row=$(grep -nxF "$lost" features.tsv | cut -d: -f1)
[ -n "$row" ] || fail "it was not lost in the second reading: $(cat changed.bad.tsv)"
cmp changed.tsv <(sed "${row}d" features.tsv) || fail "changed.tsv still has the lost picture"
cmp <(tail -c +129 changed.npy) <(tail -c +129 features.npy | head -c $(((row - 1) * width * 4)); tail -c +$((129 + row * width * 4)) features.npy) ||
    fail "a lost picture changes the features of the others"
FOVEA_FAIL_IO=open:60:EIO refused 3 '1 of 40 pictures are bad, over the limit of 0.0 %' embed --weights run pictures --out x.npy --threads 1 --max-bad 0

mkdir later
printf 'method = simclr\n' >later/config.ini
refused 3 'bad' embed --weights run dirty --out x.npy --max-bad 0
refused 2 'exists' embed --weights run pictures --out features.npy
echo mine >kept.bad.tsv
refused 2 'kept.bad.tsv exists' embed --weights run pictures --out kept.npy
refused 2 'must end in .npy' embed --weights run pictures --out features.txt
refused 2 'there is no folder' embed --weights run pictures --out nowhere/features.npy
refused 2 'does not exist' embed --weights nothing pictures --out x.npy
refused 2 'has not saved weights yet' embed --weights later pictures --out x.npy
refused 2 'embed needs --weights' embed pictures --out x.npy
refused 2 'a folder or picture files' embed --weights run --out x.npy
refused 2 '--weights' embed --wieghts run pictures --out x.npy
[ ! -e x.npy ] && [ ! -e x.tsv ] || fail "a refused call left files"

# ---- export ----
"$fovea" export --weights run --out backbone.safetensors >said.txt
grep -q 'largest difference of weights 0, of features 0$' said.txt || fail "export said: $(cat said.txt)"
"$fovea" embed --weights backbone.safetensors pictures --out again.npy --quiet >/dev/null
cmp features.npy again.npy || fail "the exported weights give other features"
refused 2 'exists' export --weights run --out backbone.safetensors
"$fovea" export --weights run --out backbone.safetensors --overwrite >/dev/null
refused 2 'not yet available in this version' export --weights run --out backbone.onnx
refused 2 'must end in .safetensors' export --weights run --out backbone.pt
refused 2 'there is no folder' export --weights run --out nowhere/backbone.safetensors
refused 2 'export needs --out' export --weights run
refused 2 'did you mean --weights run' export run
head -c 5000 backbone.safetensors >short.safetensors
refused 3 'short.safetensors' export --weights short.safetensors --out x.safetensors
[ ! -e x.safetensors ] || fail "a refused export left a file"

# standard output that cannot be written is a failure; closed, it must not lend its number to a file
status=0
"$fovea" list >/dev/full 2>err || status=$?
[ "$status" -eq 4 ] && grep -q 'standard output' err || fail "list to a full device ended with $status"
"$fovea" embed --weights run pictures --out open.npy -q >/dev/null
(ulimit -f 1 && fails 4 'large.safetensors: cannot write: File too large' "$fovea" export --weights run --out large.safetensors) || exit 1
[ -z "$(find . -name 'large*')" ] || fail "a file that may not grow leaves something: $(find . -name 'large*')"
"$fovea" embed --weights run pictures --out closed.npy -q >&-
cmp open.npy closed.npy || fail "what was printed went into the features"
# features that cannot be written leave no paths behind
FOVEA_FAIL_IO=write:2+:ENOSPC "$fovea" embed --weights run pictures --out none.npy -q 2>err && fail "a full disk went unnoticed"
[ ! -e none.npy ] && [ ! -e none.tsv ] || fail "a failed embed left a file"

for command in embed export; do
    "$fovea" help "$command" | grep -- --weights >/dev/null || fail "help $command does not name --weights"
done
echo "embed and export do what they say"
