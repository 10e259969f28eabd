#!/usr/bin/env bash
# Runs from the first step to the last: what they leave, what they say, and that their settings make the same run again.
# ctest: label=short timeout=120
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pictures photos 8
mkdir photos/.hidden && cp photos/blue/0000.png photos/.hidden/
: >photos/blue/torn.png

run() { # NAME arguments...
    local name=$1
    shift
    "$fovea" pretrain photos --out "$name" "$@" >"$name.out" 2>"$name.err" || fail "$name ended with $?: $(cat "$name.err")"
}

check_run() { # NAME STEPS
    local name=$1 steps=$2 file
    for file in config.ini metrics.jsonl log.txt bad.tsv backbone.safetensors checkpoints/latest; do
        [ -s "$name/$file" ] || fail "$name/$file is missing or empty"
    done
    [ "$(ls "$name" | wc -l)" -eq 6 ] || fail "$name holds more than a run: $(ls "$name")"
    [ "$(ls "$name/checkpoints" | wc -l)" -eq 3 ] || fail "two checkpoints should stay: $(ls "$name/checkpoints")"
    [ -s "$name/checkpoints/$(cat "$name/checkpoints/latest")" ] || fail "$name: latest names no checkpoint"
    [ "$(wc -l <"$name/metrics.jsonl")" -eq "$steps" ] || fail "$name/metrics.jsonl does not have $steps lines"
    grep -q 'photos/blue/torn.png' "$name/bad.tsv" || fail "$name/bad.tsv does not list the torn picture"
    python3 - "$name/metrics.jsonl" "$name/backbone.safetensors" <<'PY' || fail "$name: metrics or weights are not as documented"
import json, math, struct, sys
for i, line in enumerate(open(sys.argv[1])):
    m = json.loads(line)
    assert m["step"] == i + 1 and math.isfinite(m["loss"]) and m["grad_norm"] > 0 and m["lr"] >= 0, m
    assert m["epoch"] >= 1 and m["images_per_second"] > 0 and 0 <= m["data_wait"] <= 1 and 0 < m["data_cpu"] < 1, m
blob = open(sys.argv[2], "rb").read()
size = struct.unpack("<Q", blob[:8])[0]
header = json.loads(blob[8 : 8 + size])
about = header.pop("__metadata__")
assert about["fovea.images"] == "32" and len(header) > 50, about
assert max(t["data_offsets"][1] for t in header.values()) == len(blob) - 8 - size
PY
}

for kind in cnn vit; do
    declare -n net=$kind
    run $kind "${net[@]}" --batch-size 8 --steps 6 --save-every 2 --seed 3
    check_run $kind 6
    # The settings of a run, and nothing else, make it again.
    run $kind.again --config $kind/config.ini --steps 6
    same_run $kind $kind.again "$kind from its config.ini"
    run $kind.other --config $kind/config.ini --seed 4 --quiet
    cmp -s $kind/backbone.safetensors $kind.other/backbone.safetensors && fail "$kind: another seed gives the same weights"
    rm -rf $kind.again $kind.other
done

# Pictures are kept decoded where they come ten times, and where that is asked for.
for steps in 39 40; do
    run kept$steps "${vit[@]}" --batch-size 8 --steps $steps --save-every 40
done
run asked "${vit[@]}" --batch-size 8 --steps 1 --cache ram
grep -q 'kept decoded' kept39.err && fail "pictures are kept that come nine times"
grep -q 'kept decoded' kept40.err && grep -q 'kept decoded' asked.err || fail "pictures are not kept: $(cat kept40.err asked.err)"
rm -rf kept* asked

# A recipe by name is what the method would have chosen; mixing pictures makes another run, the same with any number of threads.
mae=("${vit[@]}" --batch-size 8 --steps 6 --save-every 2 --seed 3)
run named "${mae[@]}" --views mae
same_run vit named "mae's views by name"
run mixed "${mae[@]}" --views 'crop(32,0.2,1,bicubic) flip(0.5) mixup(0.5,0.8) cutmix(1,1)' --loader-threads 1
run mixed.again "${mae[@]}" --views 'crop(32,0.2,1,bicubic) flip(0.5) mixup(0.5,0.8) cutmix(1,1)' --loader-threads 3
same_run mixed mixed.again "mixed views with other threads"
cmp -s vit/backbone.safetensors mixed/backbone.safetensors && fail "mixing changes nothing"
rm -rf named mixed mixed.again

# Nothing said: everything is chosen, printed, and the next command is named.
"$fovea" pretrain photos --out plain --steps 2 >plain.out 2>plain.err || fail "a run without options ended with $?: $(cat plain.err)"
for name in backbone stem image-size epochs batch-size optimizer lr weight-decay views strength; do
    grep -qE "^  $name +[^ ].*" plain.err || fail "it does not say which $name it chose: $(cat plain.err)"
done
grep -q '^  lr .*(chosen)$' plain.err || fail "it does not say that it chose lr itself"
grep -q '^  steps  *2$' plain.err || fail "it does not repeat what was given"
grep -q '1 bad ones left out' plain.err || fail "it does not mention the bad picture"
grep -q '^weights: plain/backbone.safetensors$' plain.out || fail "it does not end with where the weights are: $(cat plain.out)"
grep -q '^next:    fovea probe --weights plain' plain.out || fail "it does not end with the next command"
awk 'length($0) > 100 { exit 1 }' plain.err || fail "a line is wider than 100 columns: $(cat plain.err)"
grep -q 'steps = 2 ; given' plain/config.ini && grep -q 'lr = .* ; chosen from the data' plain/config.ini || fail "config.ini does not say where settings came from"

# In a pipe no line is redrawn; with --quiet nothing is said but warnings: that a picture is bad.
cat ./*.out ./*.err | grep -q $'[\r\033]' && fail "escapes in a pipe"
run quiet "${vit[@]}" --batch-size 8 --steps 2 --quiet
[ ! -s quiet.out ] && [ "$(cat quiet.err)" = "warning: 1 bad picture left out, listed in quiet/bad.tsv" ] || fail "--quiet says: $(cat quiet.out quiet.err)"

# On a terminal the progress line is redrawn and never wider than the terminal.
if command -v script >/dev/null; then
    script -qec "stty cols 50; '$fovea' pretrain photos --out screen ${vit[*]} --batch-size 8 --steps 30" typescript >/dev/null </dev/null || fail "a run on a terminal fails: $(cat typescript)"
    tr '\r' '\n' <typescript | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' | grep '^step ' >drawn.txt || fail "no progress line on a terminal"
    awk 'length($0) > 49 { exit 1 }' drawn.txt || fail "the progress line wraps: $(cat drawn.txt)"
    grep -q $'\r' typescript || fail "the progress line is not redrawn"
fi

# Lengths: by epochs, by time, and the command line over a file of settings.
run epochs "${vit[@]}" --batch-size 8 --epochs 2 --log-every 4 --quiet
grep -q '^steps = 8 ; chosen' epochs/config.ini || fail "2 epochs of 32 pictures in batches of 8 are 8 steps: $(grep steps epochs/config.ini)"
[ "$(wc -l <epochs/metrics.jsonl)" -eq 2 ] || fail "--log-every 4 of 8 steps gives two lines"
run hours "${vit[@]}" --batch-size 8 --hours 0.001 --quiet # 3.6 s at least one epoch
grep -qE '^epochs = [1-9][0-9]* ; chosen' hours/config.ini || fail "--hours did not choose the epochs: $(cat hours/config.ini)"
setting() { sed -nE "s/^$2 = ([^ ]*).*/\1/p" "$1/config.ini"; }
run as_long "${vit[@]}" --batch-size 8 --epochs "$(setting hours epochs)" --quiet
[ "$(setting hours warmup-epochs)" = "$(setting as_long warmup-epochs)" ] || fail "--hours warms up for another length: $(cat hours/config.ini)"
pictures few 1 # fewer than any batch that would be chosen for more
"$fovea" pretrain few --out few_run "${vit[@]}" --steps 1 --quiet >few.out 2>&1 || fail "four pictures: $(cat few.out)"
[ "$(setting few_run batch-size)" = 4 ] || fail "four pictures make a batch of $(setting few_run batch-size)"
run shorter --config epochs/config.ini --out shorter --epochs 1 --quiet
grep -q '^steps = 4 ; chosen' shorter/config.ini || fail "--epochs does not win over the steps of a file: $(cat shorter/config.ini)"

# Weights to start from, an average of the weights, gradients in parts.
run init "${cnn[@]}" --batch-size 8 --steps 1 --lr 0 --init cnn/backbone.safetensors --quiet
run init-run "${cnn[@]}" --batch-size 8 --steps 1 --lr 0 --init cnn --quiet
same_run init init-run "--init with a run is not --init with its weights"
run average "${vit[@]}" --batch-size 8 --steps 4 --ema 0.9 --quiet
run parts "${vit[@]}" --batch-size 8 --steps 4 --micro-batch 4 --quiet
run full "${vit[@]}" --batch-size 8 --steps 4 --quiet
cmp -s average/backbone.safetensors full/backbone.safetensors && fail "--ema changes nothing"
[ "$(losses average)" = "$(losses full)" ] || fail "--ema changes the training itself"
python3 - full parts <<'PY' || fail "--micro-batch changes the first loss by more than rounding"
import json, sys
a, b = [json.loads(open(run + "/metrics.jsonl").readline())["loss"] for run in sys.argv[1:]]
assert abs(a - b) < 1e-4 * abs(a), (a, b)
PY
echo "runs are complete and repeatable"
