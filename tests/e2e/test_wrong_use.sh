#!/usr/bin/env bash
# Whatever a user can get wrong: each has its own message, its own exit status, and leaves nothing behind.
# ctest: label=short timeout=120
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pictures photos 4
small=("${cnn[@]}" --batch-size 8 --steps 2)
pretrain=("$fovea" pretrain photos --out new)

# ---- the program and its help ----
commands=$("$fovea" help | sed -nE '/^usage/,/^The usual/s/^  ([a-z]+) +[a-z].*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 6 ] || fail "help does not list the commands: $commands"
fails 2 'usage: fovea COMMAND' "$fovea"
fails 2 "there is no command 'pretrian'; did you mean 'pretrain'?" "$fovea" pretrian
fails 2 "'fovea help' names them all" "$fovea" xyzzyx
fails 2 "there is no command 'prob'" "$fovea" help prob
[ "$("$fovea" --version)" = "$("$fovea" help | head -1 | cut -d: -f1)" ] || fail "--version and help differ"
for command in $commands; do
    "$fovea" help "$command" >by_help.txt 2>err.txt && "$fovea" "$command" --help >by_option.txt 2>>err.txt || fail "no help for $command: $(cat err.txt)"
    cmp by_help.txt by_option.txt || fail "help $command and $command --help differ"
    [ ! -s err.txt ] || fail "help for $command writes to standard error: $(cat err.txt)"
    awk 'length($0) > 80 { exit 1 }' by_help.txt || fail "help for $command is wider than 80 columns in a pipe"
    # Every option named in the source of the command's table is in its help.
    tables=$FOVEA_SOURCE/src/cli/$command.c
    names=$(sed -nE 's/.*\{\.name = "([a-z-]+)".*/\1/p' "$tables")
    if [ "$command" = pretrain ]; then
        names+=" $(sed -nE 's/^ *\{(\{)?[A-Z]+\("([a-z-]+)".*/\2/p' "$FOVEA_SOURCE/src/train/settings.c")"
        names+=" $(sed -nE 's/.*\{\.name = "([a-z-]+)".*/\1/p' "$FOVEA_SOURCE/src/objectives/simclr.c")"
        [ "$(wc -w <<<"$names")" -gt 30 ] || fail "this test does not find pretrain's options in the source"
    fi
    for name in $names quiet verbose help; do
        grep -qE -- "--(\[no-\])?$name( |\$)" by_help.txt || fail "help for $command does not mention --$name"
    done
    fails 2 'unknown option --thraeds' "$fovea" "$command" --thraeds 1 photos
    says "Type 'fovea help $command'"
    [[ $command = list || $command = bench ]] || says 'did you mean --threads?' # neither has options of its own
done
"$fovea" help pretrain --method mae | grep -- --mask-ratio >/dev/null || fail "the options of mae are not in its help"
"$fovea" help pretrain --method=mae | grep -- --temperature >/dev/null && fail "the options of simclr are in the help of mae"

# ---- several problems at once ----
fails 2 'name the pictures and say where the run goes' "$fovea" pretrain
fails 2 'say where the run goes' "$fovea" pretrain photos
fails 2 'name the pictures' "$fovea" pretrain --out new
fails 2 'unknown option --bacth-size; did you mean --batch-size?' "${pretrain[@]}" --bacth-size 8 --epochs 0 --lr fast --temprature 1 --stem big --threads
says '--epochs: 0 is out of range; it must be from 1 to 1000000'
says "--lr: 'fast' is not a number"
says 'unknown option --temprature; did you mean --temperature?'
says "--stem: 'big' is not one of auto, imagenet, cifar"
says '--threads needs a value'
fails 2 "'1e3' is not a whole number in plain digits" "${pretrain[@]}" --steps 1e3
fails 2 'out of range' "${pretrain[@]}" --max-bad 1.5
fails 2 'out of range' "${pretrain[@]}" --temperature 0
fails 2 '--epochs and --steps both set the length' "${pretrain[@]}" --epochs 1 --steps 5
fails 2 '--steps and --hours both set the length' "${pretrain[@]}" --hours 1 --steps 5

# ---- names ----
fails 2 "there is no method 'simcrl'; did you mean 'simclr'?" "${pretrain[@]}" --method simcrl
fails 2 "there is no method 'xyzzyx'; 'fovea list' names them all" "${pretrain[@]}" --method xyzzyx
fails 2 "there is no method 'macc'; did you mean 'mae'?" "${pretrain[@]}" --method macc --stepz 5 --lr -3 --mask-ratio 0.5
says "unknown option --stepz; did you mean --steps?"
says '--lr: -3 is out of range'
fails 2 "did you mean 'resnet18'?" "${pretrain[@]}" --backbone resnet81
fails 2 "there is no optimizer 'adam'; did you mean 'adamw'?" "${pretrain[@]}" --optimizer adam
fails 2 'method mae cannot train resnet18' "${pretrain[@]}" --method mae --backbone resnet18
says 'choose --backbone from vit_tiny, vit_small, vit_base'
# ... before anything is looked at: there is no such folder
for words in '--backbone resnet81' '--method mae --backbone resnet18' '--optimizer adam' '--views simcrl'; do
    fails 2 "${words##* }" "$fovea" pretrain nowhere --out new $words
done
fails 2 'option --temperature is of --method simclr, not of mae' "${pretrain[@]}" --method mae --temperature 1 --temprature 1
says 'unknown option --temprature'
fails 2 'option --no-norm-pixels is of --method mae, not of simclr' "${pretrain[@]}" --no-norm-pixels
fails 2 '--stem is for ResNets' "${pretrain[@]}" --backbone vit_tiny --stem cifar
fails 2 'patch' "${pretrain[@]}" --backbone vit_tiny/7 --image-size 32
for command in plan; do
    fails 2 "there is no method 'simcl'; did you mean 'simclr'?" "$fovea" "$command" --method simcl
    fails 2 'method mae cannot train resnet18; choose --backbone from vit_tiny, ' "$fovea" "$command" --method mae
    fails 2 "there is no backbone 'resnet81'; did you mean 'resnet18'?" "$fovea" "$command" --backbone resnet81
done
fails 2 "one word too many: 'steps'" "$fovea" list methods steps
fails 2 "there is no list of 'recipe'; did you mean 'recipes'?" "$fovea" list recipe
fails 2 "there is no list of 'xyzzyx'; 'fovea help list' names them all" "$fovea" list xyzzyx
fails 2 'out of range' "$fovea" list recipes --image-size 0

# ---- numbers that do not fit together ----
fails 2 '--batch-size 17 is more than the 16 pictures' "${pretrain[@]}" --batch-size 17
fails 2 '--blur shapes the views that method simclr makes, but --views says all' "${pretrain[@]}" --blur 0.5 --views simclr
fails 2 '1 is too few, it takes at least 2' "${pretrain[@]}" --batch-size 1
fails 2 '--micro-batch 3 does not divide --batch-size 8' "${pretrain[@]}" --batch-size 8 --micro-batch 3
fails 2 "there is no step 'cropp'; did you mean 'crop'?" "${pretrain[@]}" --views 'cropp(32) | crop(32)'
fails 2 "')' is missing" "${pretrain[@]}" --views 'crop(32'
fails 2 'makes 2 views of a picture, the recipe has 1' "${pretrain[@]}" --views 'crop(32)' --image-size 32
fails 2 'makes 2 views of a picture, the recipe has 10' "${pretrain[@]}" --views dino --image-size 32
fails 2 "there is no recipe 'dion'; did you mean 'dino'?" "${pretrain[@]}" --views dion --image-size 32
fails 2 'crop: the size of the view is missing' "${pretrain[@]}" --views crop --image-size 32
fails 2 "'mixup' makes views that show two pictures at once, but method simclr learns which views show the same picture" "${pretrain[@]}" --views '2 * crop(32) mixup' --image-size 32
says 'take a method that bears it: mae'
fails 2 'view 2 has 64 px, but --image-size is 32' "${pretrain[@]}" --views 'crop(32) | crop(64)' --image-size 32

# ---- what pictures look like ----
pictures grey 4 1
pictures four 4 4
fails 2 '--channels: 0 is out of range; it must be from 1 to 32' "${pretrain[@]}" --channels 0
fails 2 '--channels: 33 is out of range' "${pretrain[@]}" --channels 33
fails 2 "--depth: '12' is not one of 8, 16" "${pretrain[@]}" --depth 12
fails 2 "--stats: 'mine' is not one of auto, data, imagenet" "${pretrain[@]}" --stats mine
fails 2 "--cache: 'disk' is not one of auto, ram, none" "${pretrain[@]}" --cache disk
fails 2 '--stats imagenet has numbers for 3 channels, not for --channels 1' "${pretrain[@]}" --channels 1 --stats imagenet
fails 2 '--mean and --std go together; give --std too' "${pretrain[@]}" --mean 0.5,0.5,0.5
fails 2 '--mean and --std go together; give --mean too' "${pretrain[@]}" --std 1,1,1
fails 2 "--mean '0.5,0.5' is not a list of numbers with commas between, one for each of 3 channels" "${pretrain[@]}" --mean 0.5,0.5 --std 1,1
fails 2 '--mean: 127 of channel 1 is out of range; pixels count from 0 to 1' "${pretrain[@]}" --mean 127,127,127 --std 0.2,0.2,0.2
fails 2 '--std: 0 of channel 2 is out of range' "${pretrain[@]}" --mean 0,0,0 --std 1,0,1
fails 2 '--mean gives them; leave one out' "${pretrain[@]}" --mean 0,0,0 --std 1,1,1 --stats data
fails 3 'bad' "$fovea" pretrain four --out new --channels 2
grep -q 'plane\|channel' err.txt || fail "what is wrong with four planes is not said: $(cat err.txt)"
fails 3 'bad' "$fovea" pretrain grey --out new --channels 4
fails 2 '--channels: 33 is out of range' "$fovea" plan --channels 33
# A thousand headers of 11,000 x 11,000 pixels: no machine holds them decoded.
mkdir huge
for number in $(seq 1000); do
    printf '\x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x2a\xf8\x00\x00\x2a\xf8\x08\x02\x00\x00\x00\x41\x4d\x0d\xdd\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82'
done | split -b 45 -a 4 --additional-suffix=.png - huge/p
fails 7 '--cache ram: all pictures decoded take 363.0 GB, there are' "$fovea" pretrain huge --out new --no-verify --cache ram
fails 3 'none of the pictures can be read' "$fovea" pretrain huge --out new --no-verify --stats data

# ---- pictures ----
mkdir empty hollow hollow/inner nothing
echo text >nothing/readme.txt
fails 2 "'nowhere': no such file or folder" "$fovea" pretrain nowhere --out new
fails 2 "'nowhere': no such file or folder" "$fovea" pretrain photos nowhere --out new
fails 2 "folder 'empty' is empty" "$fovea" pretrain empty --out new
fails 2 "folder 'hollow' is empty" "$fovea" pretrain hollow --out new
fails 2 "no picture in 'nothing'" "$fovea" pretrain nothing --out new
# What is passed over in a folder is refused when it is named, also beside good pictures.
head -c 4000 /dev/zero >zeros
: >none.fvp
fails 2 "'nothing/readme.txt' is neither a picture nor a pack: it begins with text; leave it out" "$fovea" pretrain photos nothing/readme.txt --out new
fails 2 "'zeros' is neither a picture nor a pack: it begins with zeros" "$fovea" pretrain photos zeros --out new
fails 2 "'none.fvp' is no pack, or a damaged one: it begins with nothing (0 bytes)" "$fovea" pretrain none.fvp photos --out new
"$fovea" pack photos --out flipped.fvp >/dev/null 2>&1
printf 'X' | dd of=flipped.fvp conv=notrunc status=none
fails 2 "'flipped.fvp' is no pack, or a damaged one" "$fovea" pretrain flipped.fvp photos --out new
fails 2 "'flipped.fvp' is no pack, or a damaged one" "$fovea" pack flipped.fvp photos --out other.fvp
fails 2 "'flipped.fvp' is no pack, or a damaged one" "$fovea" preview flipped.fvp photos --out other.png
mkdir bad
cp photos/*/0000.png bad/ 2>/dev/null || true
: >bad/a.png
fails 3 'bad' "$fovea" pretrain bad --out new --max-bad 0.4
fails 3 'the limit is 0.0 %' "$fovea" pretrain bad --out new --max-bad 0

# ---- where the run goes ----
touch file
mkdir full
touch full/thesis.txt
fails 4 'cannot make the run /proc/new' "$fovea" pretrain photos --out /proc/new
fails 4 'file is not a folder' "$fovea" pretrain photos --out file/new
fails 4 'file is not a folder' "$fovea" pretrain photos --out file/deeper/new/
fails 2 '--out file is a file' "$fovea" pretrain photos --out file
fails 2 'full is a folder with other files in it' "$fovea" pretrain photos --out full
fails 2 'new holds no run to resume' "${pretrain[@]}" --resume
[ ! -e new ] || fail "a refused call made its folder"

# ---- weights and settings from files ----
head -c 3000 /dev/urandom >noise.safetensors
fails 2 'absent.safetensors' "${pretrain[@]}" "${small[@]}" --init absent.safetensors
fails 2 'empty is a folder without backbone.safetensors' "${pretrain[@]}" "${small[@]}" --init empty
fails 3 'noise.safetensors' "${pretrain[@]}" "${small[@]}" --init noise.safetensors
printf 'batch-size = 8\nlearning-rate = 1\n' >wrong.ini
printf 'epochs = many\n' >value.ini
fails 2 'wrong.ini:2: unknown setting learning-rate' "${pretrain[@]}" --config wrong.ini
fails 2 "value.ini:1" "${pretrain[@]}" --config value.ini
fails 2 'absent.ini' "${pretrain[@]}" --config absent.ini

# A start that failed is no run: the folder is free for the next try.
"${pretrain[@]}" "${small[@]}" --quiet >/dev/null

# ---- a run that is there ----
cp new/config.ini before.ini
fails 2 'new holds a run already; go on with it by --resume' "${pretrain[@]}" "${small[@]}"
fails 2 'but you gave --steps 9 (the run has 2), --lr 0.5 (the run has 0.' "${pretrain[@]}" --resume --lr 0.5 --steps 9 --temperature 0.3 --keep 5
says '--temperature 0.3 (the run has 0.2)'
grep -q -- --keep err.txt && fail "--keep may change, yet it is in the list: $(cat err.txt)"
fails 2 'but you gave --channels 1 (the run has 3)' "${pretrain[@]}" --resume --channels 1
fails 2 'but you gave --stats data (the run has auto)' "${pretrain[@]}" --resume --stats data
fails 2 'but you gave --shrink none (the run has auto)' "${pretrain[@]}" --resume --shrink none
fails 2 'but you gave --method mae (the run has simclr)' "${pretrain[@]}" --resume --method mae
fails 2 'new/config.ini:' "$fovea" pretrain photos --out other --config new/config.ini --method mae
says ': setting projector-hidden is of --method simclr, not of mae'
# ... also where its file was changed
for change in 's/^lr = .*/lr = 0.5/' 's/^seed = .*/seed = 4/' 's/^steps = .*/steps = 9/' 's/^temperature = .*/temperature = 0.3/' '/^batch-size/d' 's/^backbone = .*/backbone = resnet34/'; do
    cp -r new changed
    sed -i "$change" changed/config.ini
    fails 2 'step-00000002.ckpt was saved with other settings than changed/config.ini has now: put back what was changed there' "$fovea" pretrain photos --out changed --resume
    cmp changed/backbone.safetensors new/backbone.safetensors || fail "a refused call changed the run"
    rm -rf changed
done
fails 2 'the pictures differ from those that new began with' "$fovea" pretrain photos/amber photos/blue photos/green --out new --resume
cp new/backbone.safetensors good.safetensors
fails 2 'good.safetensors' "$fovea" pretrain photos --out other --init good.safetensors "${vit[@]}" --batch-size 8 --steps 2
"$fovea" pretrain four --out quad --channels 4 "${small[@]}" --quiet >/dev/null
fails 2 'only weights for 3 can be adapted' "$fovea" pretrain photos --out other "${small[@]}" --init quad/backbone.safetensors
fails 3 'bad' "$fovea" embed --weights quad photos --out x.npy
cmp new/config.ini before.ini || fail "a refused call changed the run"
"${pretrain[@]}" --resume --cache none --quiet >/dev/null || fail "--cache may not change when a run goes on"
"${pretrain[@]}" --resume --quiet >/dev/null
cmp good.safetensors new/backbone.safetensors || fail "resuming a finished run changes its weights"

# ---- a learning rate that is far too high ----
wild=("${vit[@]}" --batch-size 8 --steps 50 --optimizer sgd --lr 10000 --warmup-epochs 0 --clip-norm 0)
fails 5 'a run keeps its settings, so begin a new one with a smaller --lr or --clip-norm 1; nothing was saved before that' "$fovea" pretrain photos --out wild "${wild[@]}"
[ ! -e wild/backbone.safetensors ] || fail "there are weights, and it says there are none"
fails 5 'begin with those by --init saved/backbone.safetensors' "$fovea" pretrain photos --out saved "${wild[@]}" --save-every 1
[ -e saved/backbone.safetensors ] || fail "there are no weights, and it says there are"

# ---- the commands that use weights ----
fails 2 'missing: --weights RUN|FILE, --train DIR, --test DIR' "$fovea" probe
fails 2 'does not exist' "$fovea" probe --weights absent --train photos --test photos
fails 3 'noise.safetensors' "$fovea" probe --weights noise.safetensors --train photos --test photos
fails 3 'noise.safetensors' "$fovea" export --weights noise.safetensors --out x.safetensors
fails 3 'noise.safetensors' "$fovea" embed --weights noise.safetensors photos --out x.npy
fails 2 'nowhere' "$fovea" probe --weights new --train nowhere --test photos
fails 2 'nothing' "$fovea" probe --weights new --train photos --test nothing
if [ -w /dev/full ]; then
    code=0
    "$fovea" probe --weights new --train photos --test photos >/dev/full 2>err.txt || code=$?
    [ "$code" -eq 4 ] || fail "probe to a full device ended with $code, not 4: $(cat err.txt)"
fi
echo "every mistake has its message"
