#!/usr/bin/env bash
# Packs as a user makes and uses them: every kind of payload, in the place of a folder in every command, and the ways in which it is refused.
# ctest: label=short timeout=300
source "$(dirname "$0")/common.sh"

pictures photos 6 # four classes of six, 40 px
: >photos/amber/empty.png
head -c 300 photos/blue/0000.png >photos/blue/cut.png

# ---- making ----
"$fovea" pack photos --out data.fvp >out.txt 2>err.txt
grep -q '^pack: data.fvp  24 pictures, ' out.txt && grep -q '^next: fovea pretrain data.fvp --out run$' out.txt || fail "pack said: $(cat out.txt)"
says '2 bad files left out, listed in data.fvp.bad.tsv'
grep -q '^photos/amber/empty.png	empty' data.fvp.bad.tsv && grep -q '^photos/blue/cut.png	corrupt' data.fvp.bad.tsv || fail "data.fvp.bad.tsv: $(cat data.fvp.bad.tsv)"
refused 3 'are bad' pack photos --out strict.fvp --max-bad 0.01
# Files that are found bad only when they are packed, too, are named once: a picture cut short behind its header.
mkdir late && head -c 300 photos/blue/0000.png >late/cut.png
refused 3 'late/cut.png' pack late --out late.fvp
[ "$(grep -o 'late/cut.png' err.txt | wc -l)" -eq 1 ] || fail "a path is named twice: $(cat err.txt)"
rm photos/amber/empty.png photos/blue/cut.png
"$fovea" pack photos --out clean.fvp -q >/dev/null
# A list that is there is not replaced unasked, and not taken away by features of the pack either.
echo mine >kept.fvp.bad.tsv
refused 2 'kept.fvp.bad.tsv exists' pack photos --out kept.fvp
grep -q '^mine$' kept.fvp.bad.tsv || fail "pack takes a list away that is not its own"
cmp data.fvp clean.fvp || fail "bad pictures change a pack"
[ ! -e clean.fvp.bad.tsv ] || fail "there are no bad pictures, yet a list of them"
# A pack that lies in a folder is left alone, and that is said.
cp data.fvp photos/blue/
"$fovea" pack photos --out beside.fvp >/dev/null 2>err.txt
says "1 pack inside of folders is passed over, such as 'photos/blue/data.fvp'; to use a pack, give its path"
cmp data.fvp beside.fvp || fail "a pack in a folder changes what is packed"
rm photos/blue/data.fvp
"$fovea" pack photos --out small.fvp --side 20 --quality 80 -q >out.txt
grep -q 'shorter side at most 20, JPEG of quality 80 (0 kept as they were)' out.txt || fail "pack --side said: $(cat out.txt)"
"$fovea" pack photos --out same.fvp --side 40 -q >/dev/null
cmp data.fvp same.fvp || fail "pictures that are small enough did not keep their bytes"
for threads in 1 3; do
    "$fovea" pack photos --out raw$threads.fvp --side 32 --raw --threads $threads -q >/dev/null
done
cmp raw1.fvp raw3.fvp || fail "a pack depends on the number of threads"
[ "$(stat -c %s raw1.fvp)" -gt $((24 * 32 * 32 * 3)) ] || fail "raw1.fvp holds no raw pixels"

"$fovea" pack photos --out grey.fvp --side 32 --raw --channels 1 --depth 16 -q >out.txt
grep -q '^next: fovea pretrain grey.fvp --out run --channels 1 --depth 16$' out.txt || fail "the next command leaves the format out: $(cat out.txt)"
refused 3 'give --channels 1 --depth 16' bench pipeline grey.fvp
"$fovea" bench pipeline grey.fvp --channels 1 --depth 16 --image-size 16 --batch-size 8 --seconds 0.05 --json now.json -q || fail "grey packs cannot be measured"
refused 2 '--quality 80 is for the JPEG that --side makes' pack photos --out x.fvp --quality 80

# ---- verify ----
for pack in data small raw1; do
    "$fovea" pack --verify $pack.fvp -q | grep -q '24 pictures.*every checksum is right and every picture decodes' || fail "--verify $pack.fvp"
done
cp data.fvp broken.fvp
printf 'x' | dd of=broken.fvp bs=1 seek=300 conv=notrunc status=none
fails 3 '1 of 24 pictures in this pack are damaged' "$fovea" pack --verify broken.fvp
grep -q '^damaged: record 0 at byte 64, amber/0000.png: damaged: its checksum differs' out.txt || fail "--verify said: $(cat out.txt)"
head -c 20000 data.fvp >cut.fvp
refused 3 'cut.fvp: a pack that does not end as one' pack --verify cut.fvp
refused 3 'photos/green/0000.png: not a pack' pack --verify photos/green/0000.png
refused 2 '--verify takes one pack' pack --verify data.fvp small.fvp
refused 2 '--verify takes one pack' pack --verify data.fvp --out x.fvp

# ---- refusals: each its own message, and nothing is left behind ----
refused 2 'pack needs --out FILE.fvp' pack photos
refused 2 'a folder, picture files or a pack' pack --out x.fvp
refused 2 'data.fvp exists; give another name, or --overwrite' pack photos --out data.fvp
refused 2 'is what would be packed' pack data.fvp --out ./data.fvp --overwrite
refused 2 'there is no folder data.fvp; make it first' pack data.fvp --out data.fvp/x.fvp
refused 2 'there is no folder nowhere; make it first' pack photos --out nowhere/x.fvp
refused 2 'photos exists and is not a regular file' pack small.fvp --out photos
refused 2 "'absent': no such file or folder" pack absent --out x.fvp
refused 2 'raw pixels need --side N' pack photos --out x.fvp --raw
refused 2 'add --raw' pack photos --out x.fvp --side 20 --channels 4
refused 2 'quality' pack photos --out x.fvp --side 20 --quality 101
mkdir other
cp -r photos/amber other/amber
refused 2 'two pictures have this name' pack photos other --out x.fvp
refused 3 'cut.fvp: a pack that does not end as one' pretrain cut.fvp --out run-cut
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked
    chmod 500 locked
    refused 4 'locked' pack photos --out locked/x.fvp
fi
FOVEA_FAIL_IO=write:1:ENOSPC fails 4 'No space left on device' "$fovea" pack photos --out x.fvp
FOVEA_FAIL_IO=fsync:1:EIO fails 4 'flush to disk' "$fovea" pack photos --out x.fvp
FOVEA_FAIL_ALLOC=60 fails 7 'out of memory' "$fovea" pack photos --out x.fvp
[ -z "$(find . -name 'x*')" ] || fail "a refused call left files: $(find . -name 'x*')"
"$fovea" pack small.fvp --out data.fvp --overwrite -q >/dev/null # a pack of a pack keeps its bytes
cmp small.fvp data.fvp || fail "a pack of a pack is another"
cp clean.fvp data.fvp

# Killed at any moment, nothing stands under the final name; a signal that can be heard also takes the unfinished file away.
mkdir many
for i in $(seq 40); do cp -r photos "many/p$i"; done
for delay in 0.00 0.01 0.02 0.03 0.05; do
    "$fovea" pack many --out killed.fvp --side 30 -q >/dev/null 2>&1 &
    sleep $delay
    kill -9 $! 2>/dev/null || true
    wait $! 2>/dev/null || true
    [ ! -e killed.fvp ] || "$fovea" pack --verify killed.fvp -q >/dev/null || fail "a killed call left half a pack"
    rm -f killed.fvp*
done

code=0
"$fovea" pack many --out killed.fvp --side 30 -q >/dev/null 2>err.txt &
sleep 0.05
kill -TERM $! 2>/dev/null || true
wait $! || code=$?
[ $code -eq 0 ] || [ $code -eq 143 ] || fail "pack ended with $code on SIGTERM: $(cat err.txt)"
[ $code -eq 0 ] || [ -z "$(find . -name 'killed*')" ] || fail "an interrupted call left files: $(find . -name 'killed*')"

# ---- in the place of a folder ----
train=("${vit[@]}" --steps 6 --save-every 3 --keep 9 --batch-size 8 --quiet)
"$fovea" pretrain photos "${train[@]}" --out from-folder >/dev/null
"$fovea" pretrain data.fvp "${train[@]}" --out from-pack >/dev/null
same_run from-folder from-pack "training on a pack"
"$fovea" pretrain raw1.fvp "${train[@]}" --out from-raw >/dev/null
cmp -s from-folder/backbone.safetensors from-raw/backbone.safetensors && fail "32 px pictures train as 40 px ones do"
# A run goes on with a pack of the same files, and with no other pack.
cp -r from-folder moved
rm moved/checkpoints/step-00000006.ckpt # as if it had been killed after step 3
refused 2 'the pictures differ from those that moved began with' pretrain small.fvp "${train[@]}" --out moved --resume
"$fovea" pretrain data.fvp "${train[@]}" --out moved --resume >/dev/null
cmp from-folder/backbone.safetensors moved/backbone.safetensors || fail "going on with a pack gives other weights"

"$fovea" embed --weights from-pack photos --out folder.npy -q >/dev/null
"$fovea" embed --weights from-pack data.fvp --out pack.npy -q >/dev/null
cmp folder.npy pack.npy || fail "features of a pack are others than those of its folder"
[ "$(sed -n 1p pack.tsv)" = data.fvp:amber/0000.png ] || fail "pack.tsv begins with $(sed -n 1p pack.tsv)"
"$fovea" embed --weights from-pack photos/green data.fvp small.fvp --out both.npy -q >/dev/null
[ "$(wc -l <both.tsv)" -eq 54 ] || fail "two packs and a folder together give $(wc -l <both.tsv) pictures"
"$fovea" probe --weights from-pack --train photos --test photos >folder.txt 2>/dev/null
"$fovea" probe --weights from-pack --train data.fvp --test data.fvp >pack.txt 2>/dev/null
diff <(sed 's/data.fvp/photos/g' pack.txt) folder.txt || fail "a labelled pack gives another verdict than its folder"
refused 2 'at least two' probe --weights from-pack --train photos/amber --test data.fvp

"$fovea" preview data.fvp --out sheet.png -q >/dev/null 2>&1 || fail "preview does not take a pack"
"$fovea" bench pipeline data.fvp --seconds 0.1 -q >/dev/null 2>&1 || fail "bench pipeline does not take a pack"
"$fovea" help pack | grep -- '--verify' >/dev/null || fail "help pack does not name --verify"
echo "packs do what folders do"
