# What the end-to-end tests share: a folder of their own that goes away, small pictures, small networks, and checks. Sourced, not run.
set -euo pipefail

fovea=$FOVEA_BIN
# Hundreds of saves are quicker in memory than on a disk; used where it is there and large.
base=${TMPDIR:-/tmp}
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "$(df -k --output=avail /dev/shm | tail -1)" -gt 4000000 ]; then
    base=/dev/shm
fi
scratch=$(mktemp -d "$base/fovea.XXXXXX")
cleanup() {
    local left
    left=$(jobs -p)
    [ -z "$left" ] || kill -9 $left 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
cd "$scratch"

# The smallest useful networks of either kind: a step takes milliseconds.
cnn=(--method simclr --backbone resnet18 --stem imagenet --image-size 32)
vit=(--method mae --backbone vit_tiny/16 --image-size 32 --decoder-width 32 --decoder-depth 1 --decoder-heads 4)

fail() {
    echo "FAIL: $*"
    exit 1
}

pictures() { # FOLDER PER_CLASS [CHANNELS [BITS]]: four classes of PNG pictures of 40 px
    "$FOVEA_BUILD/tests/make_pictures" "$1" 4 "$2" 40 1 "${@:3}"
}

# fails STATUS 'part of the message' command...: it ends with that status and says that on standard error, left in err.txt.
fails() {
    local want=$1 part=$2 code=0
    shift 2
    "$@" >out.txt 2>err.txt || code=$?
    [ "$code" -eq "$want" ] || fail "$* ended with $code, not $want: $(cat err.txt)"
    grep -qF -- "$part" err.txt || fail "$* does not say '$part': $(cat err.txt)"
}

# refused STATUS 'part of the message' arguments...: fovea ends with that status, says that on standard error and prints no result.
refused() {
    local want=$1 part=$2
    shift 2
    fails "$want" "$part" "$fovea" "$@"
    [ ! -s out.txt ] || fail "fovea $* wrote to standard output: $(cat out.txt)"
}

says() { # 'part': the command that failed last said this too
    grep -qF -- "$1" err.txt || fail "it does not say '$1': $(cat err.txt)"
}

# What a step computed, without what the clock says.
losses() { # RUN
    sed -E 's/,"images_per_second".*//' "$1/metrics.jsonl"
}

same_run() { # RUN RUN what: equal bits of weights, equal metrics
    cmp "$1/backbone.safetensors" "$2/backbone.safetensors" || fail "$3: other weights"
    [ "$(losses "$1")" = "$(losses "$2")" ] || fail "$3: other metrics: $(diff <(losses "$1") <(losses "$2") | head -4)"
}

wait_for() { # 'condition' PID: until it holds; fails when the process ends first
    until eval "$1"; do
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.01
    done
}
