#!/usr/bin/env bash
# ctest: label=medium timeout=900
# Decodes the torture corpora of others: PngSuite with its broken and crashing files, and libjpeg-turbo's and AFL's JPEG corpora.
# FOVEA_CORPORA names an archive with pngsuite/images, pngsuite/crashers and jpeg in it. Demanded: no crash, no hang (1 s of processor
# time per file), no more than 256 MB; parts of accepted files equal to the whole; PngSuite's x*.png refused, its other files accepted with
# the pixels of golden/pngsuite.txt; accepted JPEG files equal to djpeg's output where that program is installed.
set -euo pipefail
archive=${FOVEA_CORPORA:-}
if [ -z "$archive" ]; then
    echo "skipped: FOVEA_CORPORA does not name an archive of corpora"
    exit 77
elif [ ! -f "$archive" ]; then
    echo "skipped: FOVEA_CORPORA=$archive is not a file"
    exit 77
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
decode=$FOVEA_BUILD/tests/test_decode
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
mkdir "$temp/corpora"
tar -xf "$archive" -C "$temp/corpora"
cd "$temp/corpora"
fail() {
    echo "FAILED: $*"
    exit 1
}
count_of() { grep -c "$1" "$2" || true; }

echo "PngSuite"
"$decode" --corpus pngsuite/images/*.png | sed 's|^.*/||' > "$temp/png.txt"
"$decode" --corpus pngsuite/crashers/*.png | sed 's|^.*/||' > "$temp/crashers.txt"
awk 'NR == FNR { want[$1] = $0; hash[$1] = $6; next }
    $2 != "keep" { next }
    /^x/ && $3 == "ok" { print "broken, but accepted: " $1; bad = 1 }
    ($1 in want) { seen++; if ($3 != "ok" || (hash[$1] != "*" && hash[$1] != $6)) { print "have " $0 "\nwant " want[$1]; bad = 1 } }
    END { for (n in want) all++; if (seen != all) { print seen " of " all " files seen"; bad = 1 } print seen " valid files right"; exit bad }' \
    "$here/golden/pngsuite.txt" "$temp/png.txt" || fail "PngSuite"
[ "$(count_of '^x.* keep ' "$temp/png.txt")" -ge 14 ] || fail "PngSuite's broken files were not there"
for broken in badadler badcrc missing_plte zero_width huge_IDAT; do
    grep -q "^$broken.png keep format" "$temp/crashers.txt" || fail "$broken.png was not refused"
done

echo "JPEG corpora"
find jpeg -type f ! -name meson.build -size +0 > "$temp/files"
xargs -d '\n' "$decode" --corpus < "$temp/files" > "$temp/jpeg.txt"
echo "$(wc -l < "$temp/files") files, $(count_of ' keep ok ' "$temp/jpeg.txt") accepted, $(count_of ' lenient ok ' "$temp/jpeg.txt") leniently"
[ "$(count_of ' keep ' "$temp/jpeg.txt")" -eq "$(wc -l < "$temp/files")" ] || fail "some files have no verdict"

echo "Fuzz targets"
for target in jpeg png exif webp tiff; do
    replay=$FOVEA_BUILD/tests/fuzz/replay_$target
    timeout 300 "$replay" . || fail "$replay"
done

if command -v djpeg > /dev/null; then
    echo "djpeg"
    compared=0
    while read -r file mode verdict width height hash _; do
        [ "$mode $verdict" = "keep ok" ] && [ $((width * height)) -le 4000000 ] || continue
        theirs=$({ djpeg -rgb -pnm "$file" 2> /dev/null || true; } | "$decode" --ppm)
        [ "${theirs%% *}" = ok ] || continue # CMYK, which djpeg does not turn into RGB
        [ "ok $width $height $hash" = "$theirs" ] || fail "$file: have $width $height $hash, djpeg gives $theirs"
        compared=$((compared + 1))
    done < "$temp/jpeg.txt"
    echo "$compared files equal djpeg's"
    [ "$compared" -gt 50 ] || fail "only $compared files could be compared with djpeg"
fi
