#!/usr/bin/env bash
# 10,000 good pictures and 1,000 bad files of every kind, some of either with names that are no text: each bad file is listed with its reason and
# nothing else is, the counts are exact, and the weights are those of the folder without them.
# ctest: label=medium timeout=300
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$FOVEA_BUILD/tests/make_pictures" clean 8 1250 20 1
mkdir clean/folder.jpg clean/empty.png # folders, whatever their names say
i=0
for picture in clean/*/00[0-4]?.png; do
    class=${picture%/*}
    case $((i++ % 4)) in
    0) mv "$picture" "$class"/$'\xff\xfe'$i.png ;;
    1) mv "$picture" "$class"/$'two\nlines'$i.png ;;
    2) mv "$picture" clean/folder.jpg/$i ;; # without an extension
    3) mv "$picture" "$class/$(printf 'n%.0s' {1..247})$i.png" ;;
    esac
done
cp -rl clean dirty
images=$FOVEA_SOURCE/tests/golden/images

# bad REASON COUNT TEMPLATE EXTENSION: copies of the template, one name in ten with a byte that is not UTF-8 and one with a newline. For each,
# the file in names.txt (with NUL) and the line of bad.tsv in want.txt.
declare -A wanted=()
serial=0
bad() {
    local k name shown class path
    local classes=(amber blue crimson green olive purple teal white folder.jpg .)
    for ((k = 0; k < $2; k++)); do
        class=${classes[$((serial % 10))]}
        name=b$serial$4 shown=b$serial$4
        case $((k % 10)) in
        3) name=$'\xc3('$name shown='\xC3('$shown ;;
        7) name=$'a\n\t'$name shown='a\n\t'$shown ;;
        esac
        path=dirty/$class/$name
        [ "$class" = . ] && path=dirty/$name class=
        "$3" "$path"
        printf 'dirty/%s%s\t%s\n' "${class:+$class/}" "$shown" "$1" >>want.txt
        serial=$((serial + 1))
    done
    wanted[$1]=$((${wanted[$1]:-0} + $2))
}
nothing() { : >"$1"; }
words() { printf 'not a picture' >"$1"; }
gif() { printf 'GIF89a\001\000\001\000' >"$1"; }
page() { printf '<!DOCTYPE html><p>404' >"$1"; }
zeros() { printf '\0\0\0\0\0\0\0\0\0\0\0\0' >"$1"; }
from() { ln template "$1"; }
fifo() { mkfifo "$1"; }
link_to_nothing() { ln -s nowhere "$1"; }
link_to_itself() { ln -s "${1##*/}" "$1"; }
no_permission() { printf 'x' >"$1" && chmod 000 "$1"; }
template() { rm -f template && cat >template; }

bad empty 100 nothing .png
bad not_image 60 words .jpg
bad not_image 60 gif .JPEG
bad not_image 60 page .png
bad not_image 20 zeros .tif
head -c 600 clean/blue/0100.png | template && bad corrupt 60 from .png       # cut off
head -c 30 clean/blue/0100.png | template && bad corrupt 40 from ''          # in the header
template <"$images/cut.jpg" && bad corrupt 60 from .jpg
template <"$images/badidat.png" && bad corrupt 60 from .gif                  # by content it is a PNG
template <"$images/bomb.png" && bad corrupt 40 from .png                     # promises more than its bytes can hold
template <"$images/bits12.jpg" && bad unsupported 90 from .jpg
printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xdc\0\0\xff\xdc\x08\x02\0\0\0\x1c\x35\x81\x4c' | template && bad too_large 80 from .png # 65,500 x 65,500
cp clean/blue/0100.png template && truncate -s 1100M template && bad too_large 20 from .png
bad special 90 fifo .png
(cd dirty/teal && "$FOVEA_BUILD/tests/make_sockets" s{0..9}.png) && wanted[special]=100
printf 'dirty/teal/s%d.png\tspecial\n' {0..9} >>want.txt
if [ "$(id -u)" -eq 0 ]; then # may read anything
    bad link 75 link_to_nothing .png
else
    bad unreadable 25 no_permission .png
    bad link 50 link_to_nothing .png
fi
bad link 75 link_to_itself ''

# None of these is bad.
echo notes >dirty/readme.txt
cp clean/blue/0100.png dirty/teal/.hidden.png
mkdir dirty/other.jpg
[ "$(wc -l <want.txt)" -eq 1000 ] || fail "this test made $(wc -l <want.txt) bad files"

for folder in clean dirty; do
    "$fovea" pretrain $folder --out run-$folder "${cnn[@]}" --batch-size 32 --steps 12 --threads 2 >/dev/null 2>$folder.txt || fail "$folder ended with $?: $(cat $folder.txt)"
done
same_run run-clean run-dirty "the dirty folder"
[ "$(wc -l <run-clean/bad.tsv)" -eq 1 ] || fail "the clean folder has bad files: $(head -5 run-clean/bad.tsv)"
grep -q '10,000' clean.txt || fail "the clean folder does not have 10,000 pictures: $(cat clean.txt)"
grep -q '10,000.*1000 bad ones left out' dirty.txt || fail "it does not say how many were left out: $(cat dirty.txt)"
for reason in "${!wanted[@]}"; do
    count=$(cut -f 2 run-dirty/bad.tsv | grep -cx "$reason" || true)
    [ "$count" -eq "${wanted[$reason]}" ] || fail "$count files are $reason, not ${wanted[$reason]}"
done
LC_ALL=C sort want.txt >want.sorted
tail -n +2 run-dirty/bad.tsv | cut -f 1,2 | LC_ALL=C sort >got.sorted
diff want.sorted got.sorted >differ.txt || fail "bad.tsv lists other files or reasons: $(head -5 differ.txt)"
awk -F'\t' 'NF != 4 || $4 == "" { exit 1 }' run-dirty/bad.tsv || fail "a line of bad.tsv has no message"
echo "1,000 bad files among 10,000 change nothing"
