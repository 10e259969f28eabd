#!/usr/bin/env bash
# Pictures that are not RGB of 8 bits, from a folder to a verdict: grey, four planes, two planes of 16 bits. Equal bits whatever threads and cache;
# mean and std measured once and kept; every command reads them as the run did; mistakes are told.
# ctest: label=medium timeout=600
source "$(dirname "$0")/common.sh"

metadata() { # FILE KEY: from the safetensors header
    head -c 4000 "$1" | tr -d '\0' | grep -oE "\"fovea\.$2\":\"[^\"]*\"" | cut -d'"' -f4
}

setting() { # RUN NAME
    sed -nE "s/^$2 = ([^;]*) ;.*/\1/p" "$1/config.ini"
}

quick=(--method simclr --backbone vit_tiny/16 --image-size 32 --projector-hidden 32 --batch-size 8)

walk() { # CHANNELS BITS NAME settings...
    local channels=$1 bits=$2 name=$3
    pictures "made$1x$2" 6 "$1" "$2"
    local train=("$fovea" pretrain "made$1x$2" --channels "$1" --depth "$2" "${@:4}" --batch-size 8 --steps 3)
    "${train[@]}" --out "$name" --threads 2 --cache ram 2>said.txt >/dev/null
    grep -qE '^  mean +0\.[0-9].*\(chosen\)' said.txt || fail "$name does not print what it measured: $(cat said.txt)"
    "${train[@]}" --out "$name-one" --threads 1 --loader-threads 1 --cache none --quiet >/dev/null
    same_run "$name" "$name-one" "$name: one thread and no cache"
    # The same again in two parts, of which the second measures nothing.
    "${train[@]}" --out "$name-parts" --save-every 1 --keep 9 --quiet >/dev/null
    rm "$name-parts"/checkpoints/step-0000000[23].ckpt
    "${train[@]}" --out "$name-parts" --resume 2>resumed.txt >/dev/null
    ! grep -q 'measuring' resumed.txt || fail "$name: resuming measures again"
    same_run "$name" "$name-parts" "$name: resumed"
    [ "$(metadata "$name/backbone.safetensors" channels)" = "$channels" ] && [ "$(metadata "$name/backbone.safetensors" depth)" = "$bits" ] ||
        fail "$name: metadata"
    [ "$(metadata "$name/backbone.safetensors" mean)" = "$(setting "$name" mean)" ] || fail "$name: mean"
    [ "$(metadata "$name/backbone.safetensors" std | tr , '\n' | wc -l)" -eq "$channels" ] || fail "$name: std"

    "$fovea" embed --weights "$name" "made$1x$2" --out "$name.npy" --threads 1 --quiet >/dev/null
    "$fovea" export --weights "$name" --out "$name.safetensors" >said.txt
    grep -q "^pictures:   $channels channels* of $bits bits" said.txt || fail "export of $name says: $(cat said.txt)"
    grep -q 'largest difference of weights 0, of features 0$' said.txt || fail "export of $name says: $(cat said.txt)"
    "$fovea" embed --weights "$name.safetensors" "made$1x$2" --out "$name-again.npy" --quiet >/dev/null
    cmp "$name.npy" "$name-again.npy" || fail "$name: the exported weights give other features"
    "$fovea" probe --weights "$name" --train "made$1x$2" --test "made$1x$2" --json "$name.json" >/dev/null 2>&1
    grep -q '"pixels"' "$name.json" || fail "$name: no verdict"
}

walk 1 8 grey "${cnn[@]}"
walk 4 8 four "${quick[@]}"
walk 2 16 deep-two "${vit[@]}"

# Measured numbers are those of the pictures: 16 bits tell the same as 8 do, but for the rounding.
pictures deep 6 3 16
pictures shallow 6 3 8
for kind in deep shallow; do
    depth=8
    [ $kind = shallow ] || depth=16
    "$fovea" pretrain $kind --out $kind-run --depth $depth --stats data "${quick[@]}" --steps 1 --quiet >/dev/null
done
paste -d' ' <(setting deep-run mean | tr , '\n') <(setting shallow-run mean | tr , '\n') | awk '{ d = $1 - $2; if (d * d > 1e-5) exit 1 }' ||
    fail "means of 16 and of 8 bits differ: $(setting deep-run mean) and $(setting shallow-run mean)"

# RGB stays what it was: ImageNet's numbers, and nothing about formats in what is printed.
"$fovea" pretrain shallow --out plain "${quick[@]}" --steps 1 2>said.txt >/dev/null
[ "$(setting plain mean)" = 0.485,0.456,0.406 ] || fail "RGB has mean $(setting plain mean)"
! grep -qE '^  (channels|depth|stats|mean|std|cache|shrink|group) ' said.txt || fail "a plain run prints settings of formats: $(cat said.txt)"
# A file of settings brings its numbers along; other channels make them void.
"$fovea" pretrain shallow --out other --config deep-run/config.ini --depth 8 --channels 1 2>said.txt >/dev/null
[ "$(setting other mean | tr , '\n' | wc -l)" -eq 1 ] || fail "mean of three channels is kept for one"
"$fovea" pretrain deep --out same --config deep-run/config.ini --quiet >/dev/null
same_run deep-run same "the same settings from a file"

# ---- planes in several files ----
pictures first 6 1
"$FOVEA_BUILD/tests/make_pictures" second 4 6 40 9 1
for file in first/*/*.png; do
    place=${file#first/}
    mkdir -p "bands/${place%/*}"
    cp "$file" "bands/${place%.png}_B2.png"
    cp "second/$place" "bands/${place%.png}_B8.png"
done
"$fovea" pretrain bands --out bands-run --group _B2,_B8 "${quick[@]}" --steps 2 2>said.txt >/dev/null
grep -qE '^  channels +2 \(chosen\)' said.txt && grep -q '^24 pictures' said.txt || fail "groups are not told: $(cat said.txt)"
[ "$(metadata bands-run/backbone.safetensors group)" = _B2,_B8 ] || fail "metadata of --group"
"$fovea" embed --weights bands-run bands --out bands.npy 2>said.txt >embedded.txt
grep -q '24 pictures x 192' embedded.txt || fail "embed does not form groups: $(cat embedded.txt said.txt)"
"$fovea" probe --weights bands-run --train bands --test bands --json bands.json >/dev/null 2>&1
"$fovea" pretrain bands --out bands-run --group _B2,_B8 --resume --quiet >/dev/null || fail "a run on groups does not go on"
"$fovea" bench pipeline bands --group _B2,_B8 --image-size 24 --batch-size 8 --seconds 0.01 >said.txt 2>&1 || fail "bench does not take channels from --group: $(cat said.txt)"
fails 3 '2 channels together, 3 are wanted; leave out --channels, or give --channels 2' "$fovea" pretrain bands --out three --group _B2,_B8 --channels 3 "${quick[@]}"
# evaluated on pictures that lie otherwise: a run on a pack says nothing of groups, and planes may have been put together since
"$fovea" pack bands --out bands.fvp --group _B2,_B8 --side 32 --raw --quiet >/dev/null
"$fovea" pretrain bands.fvp --out packed-run --channels 2 "${quick[@]}" --steps 2 --quiet >/dev/null
! "$fovea" embed --weights packed-run bands --out no.npy 2>said.txt >/dev/null || fail "files of one plane pass for two"
"$fovea" embed --weights packed-run bands --out packed.npy --group _B2,_B8 2>/dev/null >embedded.txt
grep -q '24 pictures x 192' embedded.txt || fail "embed does not take --group: $(cat embedded.txt)"
"$fovea" probe --weights packed-run --train bands --test bands --group _B2,_B8 --json packed.json >/dev/null 2>said.txt || fail "probe --group: $(cat said.txt)"
pictures together 6 2 8
! "$fovea" embed --weights bands-run first --out no.npy 2>said.txt >/dev/null || fail "files that the rule does not name pass"
grep -q "the rule of the weights wants names that end in _B2,_B8; --group gives another" said.txt || fail "whose rule it is: $(cat said.txt)"
! "$fovea" embed --weights bands-run together --out no.npy 2>said.txt >/dev/null || fail "files of two planes pass for one"
"$fovea" embed --weights bands-run together --out together.npy --group '' 2>/dev/null >embedded.txt
grep -q '24 pictures x 192' embedded.txt || fail "embed --group '' still forms groups: $(cat embedded.txt)"
rm bands/amber/0000_B8.png
"$fovea" embed --weights bands-run bands --out fewer.npy 2>said.txt >embedded.txt
grep -q '23 pictures x 192' embedded.txt && grep -q '_B8' said.txt || fail "a missing plane is not told: $(cat embedded.txt said.txt)"

# ---- starting from weights for RGB ----
"$fovea" pretrain made4x8 --out warm --channels 4 "${quick[@]}" --steps 1 --init plain/backbone.safetensors 2>said.txt >/dev/null
grep -q 'are for 3 channels: their first layer is adapted to 4' said.txt || fail "adapting is not said: $(cat said.txt)"

# ---- transparency is treated as the run did ----
for alpha in black drop; do
    "$fovea" pretrain made4x8 --out $alpha --alpha $alpha "${quick[@]}" --steps 1 --quiet >/dev/null
    "$fovea" embed --weights $alpha made4x8 --out $alpha.npy --quiet >/dev/null
    [ "$(metadata $alpha/backbone.safetensors alpha)" = $alpha ] || fail "metadata of --alpha $alpha"
done
cp black/backbone.safetensors white.safetensors
LC_ALL=C sed -i 's/"fovea.alpha":"black"/"fovea.alpha":"white"/' white.safetensors
"$fovea" embed --weights white.safetensors made4x8 --out white.npy --quiet >/dev/null
cmp -s white.npy black.npy && fail "embed does not look at the weights' alpha"

# ---- recipes by name: stored as text, fitted to the pictures, and known again ----
named=("$fovea" pretrain made1x8 --out named --channels 1 --views moco_v2 "${quick[@]}" --steps 1)
"${named[@]}" 2>said.txt >/dev/null
grep -q 'make no sense on them and are left out: .*jitter\|left out: gray' said.txt || fail "dropping of steps is not said: $(cat said.txt)"
grep -qE '^views = "?2 \* crop\(32,0\.2,' named/config.ini && ! grep -qE '^views = .*(gray|moco)' named/config.ini || fail "stored is $(grep ^views named/config.ini)"
"${named[@]}" --resume 2>said.txt >/dev/null || fail "the same command with --resume: $(cat said.txt)"
fails 2 'but you gave --views byol' "$fovea" pretrain made1x8 --out named --resume --views byol
fails 2 "there is no recipe 'moco_v9'; did you mean 'moco_v2'?" "$fovea" pretrain made1x8 --out other-named --channels 1 --views moco_v9 "${quick[@]}" --steps 1
fails 2 '--views: method simclr makes 2 views of a picture, the recipe has 10' "$fovea" pretrain made1x8 --out other-named --channels 1 --views dino "${quick[@]}" --steps 1

# ---- a plan of it ----
"$fovea" plan --channels 5 --depth 16 --image-size 32 --batch-size 4 >said.txt
grep -qE '4?, *32, 32, 5' said.txt || grep -qE '32.*32.*5' said.txt || fail "plan says: $(head -5 said.txt)"

echo "formats go all the way"
