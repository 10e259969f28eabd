#!/usr/bin/env bash
# A folder with bad files of every kind trains to the same bits as the folder without them; each is listed with its reason.
# ctest: label=medium timeout=120
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pictures clean 10
cp "$FOVEA_SOURCE/tests/golden/images/420.jpg" clean/blue/extra.jpg
cp -r clean dirty
images=$FOVEA_SOURCE/tests/golden/images
d=dirty/blue
expected=()
bad() { expected+=("dirty/$1	$2"); } # path reason
: >$d/0a.png && bad blue/0a.png empty
echo 'not a picture' >$d/0b.jpg && bad blue/0b.jpg not_image
head -c 4000 /dev/zero >$d/0c.png && bad blue/0c.png not_image
printf 'GIF89a\001\000\001\000' >$d/0d.jpeg && bad blue/0d.jpeg not_image
head -c 700 clean/blue/0000.png >$d/0e.png && bad blue/0e.png corrupt
cp "$images/cut.jpg" $d/0f.jpg && bad blue/0f.jpg corrupt
cp "$images/badidat.png" $d/zz.png && bad blue/zz.png corrupt
cp "$images/bits12.jpg" $d/0g.jpg && bad blue/0g.jpg unsupported
cp "$images/bomb.png" dirty/bomb.png && bad bomb.png corrupt
head -c 100 clean/blue/0001.png >$d/huge.png && truncate -s 1100M $d/huge.png && bad blue/huge.png too_large
mkfifo $d/pipe.png && bad blue/pipe.png special
ln -s nowhere.png $d/dangling.png && bad blue/dangling.png link
ln -s loop.png $d/loop.png && bad blue/loop.png link
# Passed over, not bad: neither by name nor by content a picture, and hidden files.
echo notes >dirty/readme.txt
echo 'a,b' >$d/labels.csv
cp clean/blue/0000.png dirty/.hidden.png
mkdir dirty/empty

for folder in clean dirty; do
    "$fovea" pretrain $folder --out run-$folder "${cnn[@]}" --batch-size 8 --steps 8 --max-bad 0.5 --threads 2 >/dev/null 2>$folder.txt || fail "$folder ended with $?: $(cat $folder.txt)"
done
same_run run-clean run-dirty "the dirty folder"
grep -q "${#expected[@]} bad ones left out" dirty.txt || fail "it does not say how many were left out: $(cat dirty.txt)"
[ "$(wc -l <run-clean/bad.tsv)" -eq 1 ] || fail "the clean folder has bad files: $(cat run-clean/bad.tsv)"

printf '%s\n' "${expected[@]}" | LC_ALL=C sort >want.txt
tail -n +2 run-dirty/bad.tsv | cut -f 1,2 | LC_ALL=C sort >got.txt
diff want.txt got.txt || fail "bad.tsv lists other files or reasons"
awk -F'\t' 'NF != 4 || $4 == "" { exit 1 }' run-dirty/bad.tsv || fail "a line of bad.tsv has no message: $(cat run-dirty/bad.tsv)"

# Without looking at every pixel first, a picture that turns out to be torn while training is replaced, with a warning, and does not end the run.
cp -r clean torn
cp "$images/badidat.png" torn/blue/zz.png
"$fovea" pretrain torn --out unverified "${cnn[@]}" --batch-size 8 --steps 12 --no-verify >/dev/null 2>torn.txt || fail "--no-verify ended with $?: $(cat torn.txt)"
grep -q 'warning: .*torn/blue/zz.png' torn.txt || fail "--no-verify does not warn: $(cat torn.txt)"

grep -q 'replaced by others: torn/blue/zz.png' unverified/log.txt || fail "log.txt does not have the warning: $(cat unverified/log.txt)"

# How many are borne then is what --max-bad says, of pictures in an epoch that counts from 1.
for i in 1 2 3; do cp "$images/badidat.png" torn/blue/z$i.png; done
"$fovea" pretrain torn --out borne "${cnn[@]}" --batch-size 8 --steps 12 --no-verify --max-bad 0.2 --quiet >/dev/null 2>torn.txt || fail "--max-bad is not borne: $(cat torn.txt)"
fails 3 'of epoch 1 could not be read, at most 1 (1 %' "$fovea" pretrain torn --out refused-later "${cnn[@]}" --batch-size 8 --steps 12 --no-verify --max-bad 0.01

# A run that ends for them is saved, and goes on when they can be read again.
cp -r clean spoilt
for name in amber/0003 blue/0007 green/0002; do
    printf 'spoilt' | dd of=spoilt/$name.png bs=1 seek=60 conv=notrunc status=none
done
again=("$fovea" pretrain spoilt --out again "${cnn[@]}" --batch-size 8 --steps 12 --no-verify --max-bad 0.01)
fails 3 'put the files back as they were, and continue with the same command and --resume' "${again[@]}"
says 'of epoch 1 could not be read, at most 1 (1 %'
step=$(sed -nE 's/.*saved at step ([0-9]+) of 12.*/\1/p' err.txt)
[ -s "again/checkpoints/step-$(printf %08d "$step").ckpt" ] || fail "step $step is not saved: $(ls again/checkpoints)"
rm -r spoilt && cp -r clean spoilt
"${again[@]}" --resume >/dev/null 2>again.txt || fail "it does not go on: $(cat again.txt)"
grep -q "step $step of 12" again/log.txt || fail "it does not go on from step $step: $(cat again/log.txt)"
[ "$(wc -l <again/metrics.jsonl)" -eq 12 ] || fail "metrics of other than 12 steps: $(cat again/metrics.jsonl)"

fails 3 'bad' "$fovea" pretrain dirty --out refused "${cnn[@]}" --batch-size 8 --steps 8
fails 3 'bad' "$fovea" pretrain dirty --out refused "${cnn[@]}" --batch-size 8 --steps 8 --max-bad 0.1
[ ! -e refused ] || fail "a refused run left its folder"
echo "${#expected[@]} bad files change nothing"
