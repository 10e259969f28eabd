#!/usr/bin/env bash
# `fovea preview` draws the views that pretrain would train on; what it prints is true; whatever a user can get wrong has its message.
# ctest: label=short timeout=120
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pictures photos 4
"$fovea" help | grep -qE '^  preview +[a-z]' || fail "help does not list preview"

size_of() { # FILE.png: width and height, from its header
    od -An -tu1 -j16 -N8 "$1" | awk '{ print (($1 * 256 + $2) * 256 + $3) * 256 + $4, (($5 * 256 + $6) * 256 + $7) * 256 + $8 }'
}

# ---- what is chosen is what pretrain chooses ----
"$fovea" preview photos --out sheet.png >said.txt 2>err.txt || fail "preview ended with $?: $(cat err.txt)"
[ ! -s err.txt ] || fail "preview warns of good pictures: $(cat err.txt)"
grep -q '^sheet:   sheet.png  8 pictures, 2 views of each' said.txt || fail "it does not say what it drew: $(cat said.txt)"
read -r width height < <(size_of sheet.png)
grep -q ", $width x $height px, a pixel as 4 x 4" said.txt || fail "a sheet of $width x $height px: $(cat said.txt)"
recipe=$(sed -nE 's/^views: +//p' said.txt)
next=$(sed -nE 's/^next: +//p' said.txt)
[ "$next" = "fovea pretrain photos --method simclr --image-size 32 --out RUN" ] || fail "the next command is '$next'"
$(sed "s|^fovea|$fovea|; s|RUN|run|" <<<"$next") --steps 1 --batch-size 8 --quiet >/dev/null
grep -qF "views = \"${recipe:0:90}" run/config.ini || fail "pretrain has other views than '$recipe': $(grep views run/config.ini)" # it breaks long lines

"$fovea" preview photos --out given.png --seed 7 --no-verify --views 'crop(24) | crop(24)' >said.txt
next=$(sed -nE 's/^next: +//p' said.txt)
[ "$next" = "fovea pretrain photos --method simclr --image-size 24 --seed 7 --views 'crop(24) | crop(24)' --no-verify --out RUN" ] ||
    fail "the next command, with what was given, is '$next'"

# The next command is one for the shell, whatever the folder is called.
odd=$'-it\'s "odd" $HOME\n\033'
cp -r photos "./$odd"
"$fovea" preview "./$odd" --out odd.png >said.txt
eval "set -- $(tail -n 1 said.txt | sed 's/^next: *//')"
[ "$3" = "./$odd" ] || fail "the next command has another folder: $(tail -n 1 said.txt)"
rm -r "./$odd"
cp -r photos ./-photos
"$fovea" preview --out dash.png -- -photos >said.txt
grep -q '^next: *fovea pretrain \./-photos --method' said.txt || fail "an option instead of a folder: $(tail -n 1 said.txt)"
rm -r ./-photos

# ---- one sheet, one set of options ----
same() { cmp -s "$1" "$2" || fail "$3"; }
other() { cmp -s "$1" "$2" && fail "$3" || true; }
draw() { "$fovea" preview photos --overwrite --out "$@" >said.txt 2>err.txt || fail "preview $* ended with $?: $(cat err.txt)"; }
draw again.png
same sheet.png again.png "two calls draw two sheets"
draw again.png --threads 1
same sheet.png again.png "the sheet depends on threads"
FOVEA_ISA=c draw again.png
same sheet.png again.png "the sheet depends on the instruction set"
draw again.png --config run/config.ini
same sheet.png again.png "the settings of the run give another sheet"
draw again.png --seed 1
other sheet.png again.png "--seed changes nothing"
draw again.png --epoch 2
other sheet.png again.png "--epoch changes nothing"
draw again.png --strength 0
other sheet.png again.png "an option of the method changes nothing"
grep -q 'jitter' said.txt && fail "--strength 0 left the jitter: $(cat said.txt)"
draw again.png --lr 3 --epochs 5
same sheet.png again.png "an option that has no bearing on views changes them"

# ---- recipes ----
draw dino.png --views dino --image-size 64 --pictures 3 --samples 2
grep -q '3 pictures, 20 views of each' said.txt || fail "dino in two draws: $(cat said.txt)"
grep -q 'crop(64,.*8 \* crop(28,' said.txt || fail "not the recipe of dino: $(cat said.txt)"
grep -q "^next:    method simclr trains on 2 views of one size; 'fovea list'" said.txt || fail "simclr cannot train on this: $(cat said.txt)"
draw text.png --views 'crop(16) flip(0.5) | crop(16)' --pictures 100
grep -q '^sheet:   text.png  16 pictures, 2 views of each' said.txt || fail "16 pictures are all there are: $(cat said.txt)"
grep -qF -- "--views 'crop(16) flip(0.5) | crop(16)' --out RUN" said.txt || fail "the next command forgets the recipe: $(cat said.txt)"
draw mixed.png --views '2 * crop(32) mixup(1,0.2)'
grep -q "'mixup' mixes pictures of a batch" err.txt || fail "nothing is said of mixup: $(cat err.txt)"
draw mae.png --method mae --backbone vit_tiny/16 --image-size 32
grep -q ' 8 pictures, 1 views\? of each' said.txt || fail "mae has one view: $(cat said.txt)"
draw sheet.jpg
[ "$(head -c 2 sheet.jpg | od -An -tx1 | tr -d ' ')" = ffd8 ] || fail "sheet.jpg is no JPEG"
draw again.png -q
[ ! -s err.txt ] || fail "--quiet still talks: $(cat err.txt)"

# ---- other formats ----
draw grey.png --channels 1
grep -q 'gray(' said.txt && fail "grey pictures are made grey: $(cat said.txt)"
grep -q 'left out: gray' err.txt || fail "nothing is said of the steps that went: $(cat err.txt)"

# ---- bad pictures are left out, as by pretrain ----
cp -r photos dirty
head -c 200 photos/blue/0000.png >dirty/blue/0000.png
"$fovea" preview dirty --out dirty.png --pictures 100 >said.txt 2>err.txt
grep -q ' 15 pictures' said.txt && grep -q '1 bad picture' err.txt || fail "a bad picture: $(cat said.txt err.txt)"

# ---- wrong use ----
mkdir empty
touch file
refused 2 'preview needs pictures' preview --out x.png
refused 2 'preview needs --out FILE.png' preview photos
refused 2 "'nowhere': no such file or folder" preview nowhere --out x.png
refused 2 "folder 'empty' is empty" preview empty --out x.png
refused 2 'x.gif: the name must end in .png, .jpg or .jpeg' preview photos --out x.gif
refused 2 'there is no folder absent' preview photos --out absent/x.png
refused 2 'sheet.png exists; give another name, or --overwrite' preview photos --out sheet.png
refused 2 'has no run to go on with' preview photos --out x.png --resume
refused 2 "there is no method 'simcrl'; did you mean 'simclr'?" preview photos --out x.png --method simcrl
refused 2 "did you mean 'dino'?" preview photos --out x.png --views dion
refused 2 "there is no step 'cropp'; did you mean 'crop'?" preview photos --out x.png --views 'cropp(32)'
refused 2 'unknown option --picturs; did you mean --pictures?' preview photos --out x.png --picturs 3
says "Type 'fovea help preview'"
refused 2 '--samples: 0 is out of range' preview photos --out x.png --samples 0
refused 3 'show fewer pictures, samples or smaller views' preview photos --out x.png --samples 100 --views 'crop(2048)'
says '30000 a side'
if [ "$(id -u)" -ne 0 ]; then
    mkdir closed
    chmod 500 closed
    refused 4 'closed' preview photos --out closed/x.png
fi
FOVEA_FAIL_IO=write:1+:ENOSPC refused 4 'x.png' preview photos --out x.png
[ ! -e x.png ] || fail "a refused call left a sheet"
ls -A | grep -q 'x.png' && fail "a refused call left $(ls -A | grep x.png)"
echo "the sheet shows what pretrain sees"
