#!/usr/bin/env bash
# The verdict as a user gets it: table, sentence and JSON after a short run, the same figures at any number of threads, and every wrong use
# with its own message.
# ctest: label=short timeout=300
source "$(dirname "$0")/common.sh"
make_pictures=$FOVEA_BUILD/tests/make_pictures

refused_probe() { # STATUS "part of the message" arguments of probe...
    refused "$1" "$2" probe "${@:3}"
}

has() { # file pattern
    grep -qE -- "$2" "$1" || fail "$1 has no '$2': $(cat "$1")"
}

"$make_pictures" train 3 14 32 1
"$make_pictures" test 3 10 32 2
"$fovea" pretrain train --out run --image-size 32 --epochs 1 --batch-size 16 --seed 1 --quiet >/dev/null

# ---- the result ----
"$fovea" probe --weights run --train train --test test --json result.json --threads 1 >table.txt 2>said.txt || fail "probe: $(cat said.txt)"
has table.txt '^[a-z0-9_/]+, 32 px: 42 training and 30 test pictures of 3 classes$'
has table.txt '^pre-trained  .* %  .* to '
has table.txt '^random weights  .* %  .* to '
# three colours: a linear classifier of the pixels must see them
has table.txt '^raw pixels, 32x32 +(9[0-9]|100)\.[0-9] %'
has table.txt '^always the most frequent class: 33\.3 %$'
has table.txt '^amber +14 +10 '
has table.txt '^crimson +14 +10 '
has table.txt '^(Pre-training helped|No evidence that pre-training helped|Pre-training hurt): linear probe [0-9.]+ % against [0-9.]+ % with random weights \([+-][0-9.]+ points, 95 % interval -?[0-9.]+ to -?[0-9.]+\)\.'
if grep -q 'nearest' said.txt; then fail "the table went to standard error"; fi

# ---- JSON ----
has result.json '^\{"format":"fovea-probe-1","finding":"(helped|no evidence|hurt)","verdict":"'
for key in settings data results differences pretrained random pixels linear knn c cross_validation top1 top1_interval worst_class per_class \
    confusion seed k folds majority_top1 linear_over_random; do
    grep -qF "\"$key\":" result.json || fail "result.json has no $key"
done
[ "$(wc -l <result.json)" -eq 1 ] || fail "result.json is not one line"
[ "$(tr -cd '{' <result.json | wc -c)" -eq "$(tr -cd '}' <result.json | wc -c)" ] || fail "braces of result.json do not match"
[ "$(tr -cd '[' <result.json | wc -c)" -eq "$(tr -cd ']' <result.json | wc -c)" ] || fail "brackets of result.json do not match"
[ "$(grep -oF '"confusion":[[' result.json | wc -l)" -eq 6 ] || fail "result.json does not have six confusion matrices"
has result.json '"train":42,"test":30,"shared":0,'

# Equal to the last digit at another number of threads, and on standard output alone with -.
"$fovea" probe --weights run --train train --test test --json - --threads 3 --quiet >again.json 2>said.txt
cmp result.json again.json || fail "figures depend on the number of threads"
[ ! -s said.txt ] || fail "--quiet said: $(cat said.txt)"
"$fovea" probe --weights run/backbone.safetensors --train train --test test --quiet --seed 9 --k 3 --verbose >table.txt
has table.txt '3 nearest neighbours'
has table.txt '^pixels: 3072 features, C = .* by 5-fold cross-validation'

# ---- warnings ----
"$fovea" probe --weights run --train train --test train >table.txt 2>said.txt
has said.txt 'same folder'
mkdir -p half && cp -r test/. half && cp train/blue/0003.png half/blue/copied.png
"$fovea" probe --weights run --train train --test half --json half.json >table.txt 2>said.txt
has said.txt 'warning: 1 of 31 test pictures show the same as a training picture \(half/blue/copied.png and train/blue/0003.png\)'
has half.json '"shared":1,'
cp -r test damaged && head -c 200 test/blue/0001.png >damaged/blue/0001.png
"$fovea" probe --weights run --train train --test damaged >table.txt 2>said.txt
has table.txt ' 29 test pictures'
has said.txt 'warning: left out: damaged/blue/0001.png: '
has said.txt 'warning: 1 bad file left out'

# ---- wrong use ----
refused_probe 2 'missing: --weights RUN|FILE, --train DIR, --test DIR'
refused_probe 2 'missing: --test DIR' --weights run --train train
refused_probe 2 "got 'test'" --weights run --train train test
refused_probe 2 "did you mean" --weight run --train train --test test
refused_probe 2 'nowhere' --weights nowhere --train train --test test
refused_probe 2 'nowhere' --weights run --train nowhere --test test
refused_probe 2 'nowhere' --weights run --train train --test nowhere
refused_probe 2 '31' --weights run --train train --test test --image-size 31x
refused_probe 2 'lower --k' --weights run --train train --test test --k 1000
cp run/backbone.safetensors kept.safetensors
refused_probe 2 'backbone.safetensors is there and holds no figures; give another name' --weights run --train train --test test --json run/backbone.safetensors
cmp run/backbone.safetensors kept.safetensors || fail "--json wrote over weights"
refused_probe 2 'test exists and is not a regular file; give another name' --weights run --train train --test test --json test
refused_probe 2 'there' --weights run --train train --test test --json there/result.json

mkdir empty
refused_probe 2 'empty' --weights run --train empty --test test
mkdir -p alone && cp -r train/blue alone
refused_probe 2 'at least two' --weights run --train alone --test test
cp -r train thin && find thin/crimson -name '*.png' ! -name 0000.png -delete
refused_probe 2 "class 'crimson'" --weights run --train thin --test test
cp -r train hollow && rm hollow/crimson/*.png
refused_probe 2 "class 'crimson'" --weights run --train hollow --test test

"$make_pictures" four 4 10 32 2
[ -d four/green ] || fail "make_pictures has other classes than this test expects"
cp -r test two && rm -r two/blue
refused_probe 2 "the test folder lacks 'blue'" --weights run --train train --test two
refused_probe 2 "the training folder lacks 'green'" --weights run --train train --test four

head -c 5000 run/backbone.safetensors >torn.safetensors
refused_probe 3 'torn.safetensors' --weights torn.safetensors --train train --test test
printf 'not weights' >text.safetensors
refused_probe 3 'text.safetensors' --weights text.safetensors --train train --test test
refused_probe 2 'resnet' --weights run --backbone resnet99 --train train --test test

# ---- a result that cannot be delivered is a failure ----
if [ -w /dev/full ]; then
    code=0
    "$fovea" probe --weights run --train train --test test --quiet >/dev/full 2>said.txt || code=$?
    [ "$code" -eq 4 ] || fail "a full standard output ended with $code"
    has said.txt 'standard output'
fi
echo "all as expected"
