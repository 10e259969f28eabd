#!/usr/bin/env bash
# A run that was stopped, in any way and anywhere, and resumed ends with the bits of one that was not.
# Stops: a signal at each of the 60 steps in turn (the run crosses two epochs), SIGINT and SIGTERM in the middle, two signals, and
# KILLS times kill -9 at random moments, also in the middle of saves and before the first one.
# ctest: label=medium timeout=900
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
kills=${KILLS:-20}

pictures photos 25 # 100 pictures, 25 steps an epoch
steps=60
start() { # RUN arguments...: in the background, PID in $pid
    local name=$1
    shift
    "$fovea" pretrain photos --out "$name" "$@" >>said.txt 2>>said.txt &
    pid=$!
}
end() { # waits; status in $code
    code=0
    wait "$pid" 2>/dev/null || code=$?
}

for kind in cnn vit; do
    declare -n net=$kind
    all=("${net[@]}" --batch-size 4 --steps $steps)
    "$fovea" pretrain photos --out whole "${all[@]}" --quiet >/dev/null

    # A signal that comes before the first step of a process lets it do one step, save and stop: so every step is stopped at.
    # The lock is taken long before that step, and after the handlers are set.
    resume=()
    stops=0
    code=143
    while [ "$code" -eq 143 ]; do
        start walk "${all[@]}" --threads $((stops % 3 + 1)) --loader-threads $((stops % 2 + 1)) ${resume[@]+"${resume[@]}"}
        wait_for '[ -e walk/lock ]' $pid || true
        kill -TERM $pid 2>/dev/null || true
        end
        [ "$code" -eq 143 ] || [ "$code" -eq 0 ] || fail "a run stopped by SIGTERM ended with $code: $(tail -5 said.txt)"
        stops=$((stops + 1))
        resume=(--resume)
    done
    [ $stops -gt $((steps / 2)) ] || fail "only $stops stops in $steps steps: the signal comes too late to test anything"
    same_run whole walk "$kind, stopped $stops times in $steps steps"
    echo "$kind: stopped and resumed $((stops - 1)) times"
    rm -rf walk

    # In the middle, by either signal.
    for signal in INT:130 TERM:143; do
        start middle "${all[@]}"
        wait_for '[ "$(wc -l 2>/dev/null <middle/metrics.jsonl || echo 0)" -ge 5 ]' $pid || fail "the run ended before its fifth step: $(tail -3 said.txt)"
        kill -"${signal%:*}" $pid
        end
        [ "$code" -eq "${signal#*:}" ] || fail "a run stopped by SIG${signal%:*} ended with $code: $(tail -5 said.txt)"
        tail -1 said.txt | grep -q 'saved at step .* of 60; continue with the same command and --resume' || fail "it does not say how to go on: $(tail -2 said.txt)"
        [ ! -e middle/lock ] || fail "the lock is still there"
        "$fovea" pretrain photos --out middle --resume --quiet --threads 3 >/dev/null
        same_run whole middle "$kind, stopped by SIG${signal%:*}"
        rm -rf middle
    done

    # A second signal ends the process at once, without a step or a save.
    start twice "${all[@]}"
    wait_for '[ -e twice/config.ini ]' $pid || fail "the run ended before it had settings"
    kill -INT $pid
    kill -TERM $pid
    end
    [ "$code" -eq 143 ] || [ "$code" -eq 130 ] || fail "two signals ended with $code: $(tail -5 said.txt)"
    "$fovea" pretrain photos --out twice --resume --quiet >/dev/null
    same_run whole twice "$kind, stopped by two signals"
    rm -rf twice whole
done

# ---- kill -9 ----
RANDOM=20261124
all=("${vit[@]}" --batch-size 4 --steps $steps --save-every 2)
"$fovea" pretrain photos --out whole "${all[@]}" --quiet >/dev/null
done_kills=0
finished=0
while [ $done_kills -lt "$kills" ] || [ -e killed ]; do
    resume=()
    [ ! -e killed/config.ini ] || resume=(--resume)
    start killed "${all[@]}" --threads $((done_kills % 3 + 1)) ${resume[@]+"${resume[@]}"}
    if [ $done_kills -lt "$kills" ]; then
        sleep "0.$(printf %03d $((RANDOM % 900)))"
        if kill -9 $pid 2>/dev/null; then
            done_kills=$((done_kills + 1))
        fi
    fi
    end
    [ "$code" -eq 137 ] || [ "$code" -eq 0 ] || fail "resuming after kill -9 ended with $code: $(tail -5 said.txt)"
    if [ "$code" -eq 0 ]; then
        same_run whole killed "after kill -9"
        [ -z "$(find killed -name '*.tmp-*')" ] || fail "half-written files stay: $(find killed)"
        rm -rf killed
        finished=$((finished + 1))
    fi
done
[ $finished -gt 0 ] || fail "no run came to its end"
echo "killed $done_kills times, $finished runs came to their end with the same bits"
