#!/usr/bin/env bash
# One run directory, one process: the other one leaves with status 8 and names the holder; a killed holder holds nothing.
# ctest: label=short timeout=120
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

pictures photos 10
long=("$fovea" pretrain photos --out run "${vit[@]}" --batch-size 8 --steps 100000 --save-every 5)

"${long[@]}" >/dev/null 2>holder.txt &
pid=$!
wait_for '[ -e run/checkpoints/latest ]' $pid || fail "the first run ended: $(cat holder.txt)"
fails 8 "run is in use by process $pid on $(uname -n)" "${long[@]}"
says 'wait for it or choose another --out'
fails 8 "in use by process $pid" "${long[@]}" --resume
kill -0 $pid || fail "the holder ended: $(cat holder.txt)"

# What a killed process leaves is taken over.
kill -9 $pid
wait $pid 2>/dev/null || true
[ -e run/lock ] || fail "a killed process cannot have removed its lock file"
"${long[@]}" --resume >/dev/null 2>holder.txt &
pid=$!
wait_for 'grep -q ^resuming holder.txt' $pid || fail "the lock of a killed process is not taken over: $(cat holder.txt)"
fails 8 "in use by process $pid" "${long[@]}" --resume
kill -TERM $pid
code=0
wait $pid || code=$?
[ $code -eq 143 ] || fail "the holder ended with $code: $(cat holder.txt)"
[ ! -e run/lock ] || fail "the lock file stays after the end"

# Both at the same moment: exactly one wins.
for round in 1 2 3; do
    rm -rf run
    "${long[@]}" >/dev/null 2>one.txt &
    one=$!
    "${long[@]}" >/dev/null 2>two.txt &
    two=$!
    until ! kill -0 $one 2>/dev/null || ! kill -0 $two 2>/dev/null; do
        sleep 0.01
    done
    sleep 0.2
    if kill -0 $one 2>/dev/null; then
        winner=$one loser=$two said=two.txt
    else
        winner=$two loser=$one said=one.txt
    fi
    kill -0 $winner 2>/dev/null || fail "both lost: $(cat one.txt two.txt)"
    code=0
    wait $loser || code=$?
    [ $code -eq 8 ] || fail "round $round: the loser ended with $code: $(cat $said)"
    grep -q "in use by process $winner" $said || fail "the loser names another holder: $(cat $said)"
    kill -9 $winner
    wait $winner 2>/dev/null || true
done
echo "one process a run"
