#!/usr/bin/env bash
# `fovea bench`: its figures agree with each other, as a table and as JSON; what can be wrong has its message.
# ctest: label=short timeout=120 native
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pictures photos 5 # 20 pictures

value() { # KEY FILE: a number of the JSON
    sed -nE "s/^ *\"$1\": ([0-9.e+-]+|true|false),?$/\1/p" "$2" | head -1
}

holds() { # 'condition' with the names of keys, of now.json
    local names key program="BEGIN { " condition=$1
    names=$(grep -oE '[a-z_]{3,}' <<<"$condition" | sort -u)
    for key in $names; do
        [ -n "$(value "$key" now.json)" ] || fail "the JSON has no number '$key': $(cat now.json)"
        program+="$key = $(value "$key" now.json); "
    done
    awk "$program exit !($condition) }" || fail "it does not hold that $condition: $(cat now.json)"
}

bench() { "$fovea" bench pipeline "$@" 2>err.txt || fail "bench pipeline $* ended with $?: $(cat err.txt)"; }

# ---- JSON ----
bench photos --image-size 32 --batch-size 8 --threads 1 --seconds 0.3 --json - >now.json
[ ! -s err.txt ] || fail "it says something to standard error: $(cat err.txt)"
holds 'pictures == 20 && threads == 1 && batch_size == 8 && substituted == 0 && seed == 0'
holds 'images % 8 == 0 && images >= 8 && views == 2 * images && seconds >= 0.3 && cpu_seconds > 0'
holds 'images_per_second > 0.999 * images / seconds && images_per_second < 1.001 * images / seconds'
holds 'views_per_second > 1.99 * images_per_second && views_per_second < 2.01 * images_per_second'
holds 'images_per_cpu_second > 0.999 * images / cpu_seconds && images_per_cpu_second < 1.001 * images / cpu_seconds'
holds 'ring_bytes >= 3 * 8 * 2 * 32 * 32 * 3 && ring_bytes < 3 * 8 * 2 * 32 * 32 * 3 + 4096'
holds 'peak_bytes >= started_bytes && started_bytes > 1000000'
# (views is also the name of a part; it is the second of that name)
parts=$(sed -nE '/cpu_seconds_per_image/,/}/s/^ *"(read|decode|views|other)": ([0-9.e-]+),?$/\2/p' now.json)
[ "$(wc -l <<<"$parts")" -eq 4 ] || fail "not four parts of CPU time: $(cat now.json)"
awk -v whole="$(value cpu_seconds now.json)" -v images="$(value images now.json)" \
    '{ sum += $1; if ($1 < -1e-9) exit 1 } END { exit !(sum > 0.99 * whole / images && sum < 1.01 * whole / images) }' <<<"$parts" ||
    fail "the parts do not sum up: $(cat now.json)"
grep -qF '"instruction_set": "' now.json && grep -qF '"views_recipe": "2 * crop(32,0.08,1,bicubic) flip(0.5)' now.json || fail "no recipe or instruction set: $(cat now.json)"
size=$(cat photos/*/*.png | wc -c)
holds "bytes_read > 0.5 * images * $size / 20 && bytes_read < 1.5 * images * $size / 20"

FOVEA_ISA=c bench photos --image-size 32 --batch-size 8 --seconds 0.1 --json now.json --shrink none --seed 3
grep -qF '"instruction_set": "c"' now.json && grep -qF '"shrink": false' now.json && grep -qF '"cache": false' now.json || fail "settings are not in the JSON: $(cat now.json)"
holds 'seed == 3'

# Little is read when all is in memory.
bench photos --image-size 32 --batch-size 8 --seconds 0.2 --cache ram --json now.json
grep -qF '"cache": true' now.json || fail "the cache is off: $(cat now.json)"
holds "bytes_read < $size && images > 100" # an epoch leaves out what makes no whole batch

# A batch may be larger than the folder; a recipe may be text, and of many views.
bench photos/blue --batch-size 12 --seconds 0.1 --threads 2 --views '2 * crop(32) | 3 * crop(16)' --json now.json
holds 'pictures == 5 && threads == 2 && views == 5 * images && images % 12 == 0'

# --max-bad bounds what the scan leaves out, and what the loader finds later.
cp -r photos dirty
for i in 1 2 3 4 5; do : >dirty/blue/empty$i.png; done
refused 3 "are bad (20.0 %, the limit is 10.0 %)" bench pipeline dirty --image-size 32 --batch-size 4 --seconds 0.1 --max-bad 0.1
"$fovea" bench pipeline dirty --image-size 32 --batch-size 4 --seconds 0.1 --max-bad 0.3 --json now.json 2>err.txt || fail "--max-bad 0.3 ended with $?: $(cat err.txt)"
holds 'pictures == 20'
says '5 bad files left out'
cp -r photos torn
for i in 1 2 3 4 5; do cp "$FOVEA_SOURCE/tests/golden/images/badidat.png" torn/blue/torn$i.png; done
refused 3 'of epoch 1 could not be read, at most 1 (1 %' bench pipeline torn --image-size 32 --batch-size 4 --seconds 0.1 --max-bad 0.01
"$fovea" bench pipeline torn --image-size 32 --batch-size 4 --seconds 0.1 --max-bad 0.3 --json now.json 2>err.txt || fail "--max-bad 0.3 ended with $?: $(cat err.txt)"
holds 'pictures == 25 && substituted >= 1'

# ---- table ----
bench photos --image-size 32 --batch-size 8 --seconds 0.1 >table.txt
for line in '^20 pictures, .*B read of each, 1 thread, ' '^views: 2 \* crop\(32' '^  images +[0-9]+ /s$' '^  views +[0-9]+ /s$' '^  images per core +[0-9]+ /s$' \
    '^  CPU time an image +[0-9]+ us +100 %$' '^    reading +[0-9]+ us +[0-9]+ %$' '^    decoding ' '^    making views ' '^    other ' ' resident at most'; do
    grep -qE "$line" table.txt || fail "no line '$line' in the table: $(cat table.txt)"
done

# ---- training steps ----
small=(--backbone vit_tiny/8 --method mae --image-size 32 --batch-size 4 --threads 2 --repeat 2)
"$fovea" bench step "${small[@]}" --json now.json
holds 'images_per_second > 0 && steps == 2 && images == 4 && threads == 2'
holds 'step_ms_least <= step_ms && step_ms <= step_ms_most && step_ms_least > 0'
holds 'images_per_second * step_ms > 3999 && images_per_second * step_ms < 4001'
holds 'peak_bytes > plan_bytes && plan_bytes > 0'
holds 'percent_of_peak > 0.999 * 100 * gflops_per_second / peak_gflops_per_second && percent_of_peak < 1.001 * 100 * gflops_per_second / peak_gflops_per_second'
"$fovea" bench step "${small[@]}" --method simclr --json - >now.json
holds 'images == 8' # two views of each
"$fovea" bench step "${small[@]}" >table.txt
for line in '^mae on vit_tiny/8, 32 px, 4 images a step, 2 threads, ' '^  images +[0-9.]+ /s$' '^  one step +[0-9.]+ ms \([0-9.]+ to [0-9.]+, 2 steps\)$' '^  arithmetic ' '^  memory '; do
    grep -qE "$line" table.txt || fail "no line '$line' in the table: $(cat table.txt)"
done
"$fovea" bench ops "${small[@]}" >table.txt
grep -qE '^backward +attention +\[4, [0-9]+, 192\] +12 ' table.txt || fail "twelve blocks of attention are not one line: $(cat table.txt)"
"$fovea" bench ops "${small[@]}" --json ops.json
sum=$(awk -F'[:,]' '/^      "ms"/ { sum += $2 } /^  "ms"/ { all = $2 } END { print (all > 0 && sum > 0.999 * all && sum < 1.001 * all) ? "same" : sum " of " all }' ops.json)
[ "$sum" = same ] || fail "the operations do not sum up to the step: $sum"
FOVEA_ISA=c "$fovea" bench kernels --seconds 0.001 --shape 'vit_tiny proj' --json now.json
holds 'threads == 1 && peak_gflops_per_second > 0 && read_gb_per_second > 0 && copy_gb_per_second > 0'
grep -qF '"name": "vit_tiny proj"' now.json && grep -qF '"instruction_set": "c"' now.json || fail "no product in the JSON: $(cat now.json)"
[ "$(grep -c '"name"' now.json)" -eq 1 ] || fail "--shape does not choose: $(cat now.json)"
refused 2 "no product has 'resnt' in its name; there are vit_tiny qkv, " bench kernels --shape resnt
refused 2 "did you mean 'vit_tiny'?" bench step --backbone vit_tinny
refused 2 'method mae cannot train resnet18; choose --backbone from vit_tiny, ' bench ops --method mae
refused 2 '--stem is for ResNets' bench step --backbone vit_tiny/8 --stem cifar
refused 2 'with the imagenet stem needs images of at least 32 px, got 16' bench step --image-size 16
(ulimit -s 256 && "$fovea" bench step "${small[@]}" --json now.json) || fail "it does not run with a small stack"
holds 'steps == 2'
"$fovea" bench step --image-size 16 --stem cifar --batch-size 2 --repeat 1 --conv direct --json now.json
grep -qF '"stem": "cifar"' now.json && grep -qF '"conv": "direct"' now.json || fail "settings are not in the JSON: $(cat now.json)"
refused 2 '--repeat: 0 is out of range' bench step --repeat 0
refused 2 'there is no folder absent' bench step --json absent/x.json
refused 7 'out of memory' bench step --image-size 2048 --batch-size 65536

# ---- a family ----
"$fovea" help | grep -qE '^  bench +[a-z]' || fail "help does not list bench"
"$fovea" help bench | grep -qE '^  pipeline +[a-z]' || fail "help bench does not list pipeline"
"$fovea" help bench pipeline >by_help.txt
"$fovea" bench pipeline --help >by_option.txt
cmp by_help.txt by_option.txt || fail "help bench pipeline and bench pipeline --help differ"
grep -q '^usage: fovea bench pipeline DATA' by_help.txt || fail "no usage of bench pipeline: $(head -1 by_help.txt)"
awk 'length($0) > 80 { exit 1 }' by_help.txt || fail "help is wider than 80 columns"
for name in $(sed -nE 's/.*\{\.name = "([a-z-]+)".*/\1/p' "$FOVEA_SOURCE/src/cli/bench_pipeline.c"); do
    grep -qE -- "--(\[no-\])?$name( |\$)" by_help.txt || fail "help for bench pipeline does not mention --$name"
done
refused 2 "bench: say which first, such as 'fovea bench pipeline'" bench
refused 2 "there is no bench command 'pipelin'; did you mean 'pipeline'?" bench pipelin photos
refused 2 "'fovea help bench' names them all" bench xyzzyx
refused 2 "there is no bench command 'pipelin'" help bench pipelin
refused 2 'unknown option --threads' bench --threads 1

# ---- wrong use ----
mkdir empty
refused 2 'bench pipeline needs pictures' bench pipeline
refused 2 "'nowhere': no such file or folder" bench pipeline nowhere
refused 2 "folder 'empty' is empty" bench pipeline empty
refused 2 "did you mean 'simclr_blur'?" bench pipeline photos --views simclr_blurr
refused 2 "there is no step 'cropp'" bench pipeline photos --views 'cropp(3)'
refused 2 'unknown option --thraeds; did you mean --threads?' bench pipeline photos --thraeds 1
says "Type 'fovea help bench pipeline' for its options."
refused 2 '--seconds: 0 is out of range' bench pipeline photos --seconds 0
refused 2 "--cache: 'disk' is not one of none, ram" bench pipeline photos --cache disk
refused 2 'there is no folder absent' bench pipeline photos --json absent/x.json
refused 7 'out of memory' bench pipeline photos --batch-size 65536 --views '16 * crop(8192)'
# Files that go bad are counted; too many end it, named.
cp -r photos rotten
for file in rotten/*/000[0-3].png; do head -c 300 "$file" >cut && cp cut "$file"; done
refused 3 'could not be read' bench pipeline rotten --image-size 32 --batch-size 8 --seconds 0.5
says '.png'
echo "figures agree with each other"
