#!/usr/bin/env bash
# Documents are true of the tree: paths and links in them exist, commands and options in them are the program's, every package is explained,
# samples are short and use public headers alone, and every public header compiles by itself as C11 and as C++.
# Prints every fault as file: message. Checks itself first on a document that is wrong in known places.
# ctest: label=short timeout=120
set -euo pipefail

fovea=${FOVEA_BIN:?names the program}
root=${FOVEA_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$root"
faults=0

fault() {
    echo "$1: $2"
    faults=$((faults + 1))
}

# ---- what the program knows: a file of names for each command ----

mapfile -t commands < <("$fovea" help | sed -nE 's/^  ([a-z]+) +[a-z].*/\1/p' | grep -v '^fovea$')
[ ${#commands[@]} -ge 3 ] || { echo "'fovea help' lists no commands"; exit 1; }
options_in() { # "--[no-]verify" stands for two
    grep -oE -- '--(\[no-\])?[a-z][a-z-]*' | sed -E 's/^--\[no-\](.*)/--\1\n--no-\1/' || true
}
mkdir "$place/options"
for command in "${commands[@]}"; do
    "$fovea" help "$command" | options_in >"$place/options/$command"
done
for part in $("$fovea" help bench | sed -nE 's/^  ([a-z]+)   .*/\1/p'); do # a family of commands
    "$fovea" help bench "$part" | options_in >"$place/options/bench $part"
done
for method in $("$fovea" list | sed -nE '/^Methods/,/^Backbones/s/^ +([a-z0-9]+) .*/\1/p'); do
    "$fovea" help pretrain --method "$method" | options_in >>"$place/options/pretrain"
done
cat "$place"/options/* >"$place/all_options"

# ---- words of a document ----

# Code of a document, a line each: spans in backticks, and the lines of fenced and indented blocks.
code_of() {
    awk '/^```/ { fenced = !fenced; next }
         fenced || /^    / { sub(/^ +/, ""); print; next }
         { n = split($0, part, "`"); for (i = 2; i < n; i += 2) print part[i] }' "$1"
}

check_path() { # document word
    local word=${2%[.,:;]}
    case $word in
    *NAME* | *'<'* | *'$'* | *://* | *'{'*) return ;; # stands for many
    */*) [ -e "${word%%/*}" ] && [ "${word%%/*}" != build ] || return 0 ;; # of this repository
    .*) return ;;
    *.md | *.sh | *.c | *.h | *.def | *.cmake | CMakePresets.json | packages.txt)
        [ -n "$(find . -path ./build -prune -o -path ./.git -prune -o -name "$word" -print -quit)" ] || fault "$1" "there is no file $word"
        return
        ;;
    *) return ;;
    esac
    compgen -G "${word%/}" >/dev/null || fault "$1" "there is no $word"
}

# "fovea COMMAND ... --option": the command is known, and so are its options.
check_command() { # document line
    local command option
    command=$(sed -nE 's/^(.*[ /$])?fovea +(bench +)?([a-z]+)( .*)?$/\2\3/p' <<<"$2" | tr -s ' ') # 'bench' is a family
    [ -n "$command" ] && [ "$command" != help ] || return 0
    if [ ! -f "$place/options/$command" ]; then
        fault "$1" "fovea has no command $command"
        return
    fi
    for option in $(grep -oE -- '--[a-z][a-z-]*' <<<"${2#*fovea }" || true); do
        grep -qxF -- "$option" "$place/options/$command" || fault "$1" "fovea $command has no option $option"
    done
}

check_document() {
    local document=$1 line word link
    while IFS= read -r line; do
        for word in $(tr -s ' |()"'"'" '\n' <<<"$line" | grep -E '^[A-Za-z0-9_.*{$<-]+(/[A-Za-z0-9_.*{}$<>-]+)*/?[.,:;]?$' || true); do
            check_path "$document" "$word"
        done
        case $line in
        *'fovea '[a-z]*) check_command "$document" "${line%%#*}" ;;
        --*)
            word=$(grep -oE -m1 '^--[a-z][a-z-]*' <<<"$line" || true)
            [ -z "$word" ] || grep -qxF -- "$word" "$place/all_options" || fault "$document" "no command has the option $word"
            ;;
        esac
    done < <(code_of "$document")
    while IFS= read -r link; do
        case $link in
        http*://* | '#'* | '') continue ;;
        esac
        [ -e "$(dirname "$document")/${link%%#*}" ] || fault "$document" "the link to $link leads nowhere"
    done < <(grep -oE '\]\([^) ]+\)' "$document" | sed -E 's/^\]\((.*)\)$/\1/' || true)
}

# ---- this test on a document that is wrong ----

cat >"$place/wrong.md" <<'MD'
Good: `src/base/error.h`, `src/base/*.c`, `src/objectives/NAME.c`, `packages.txt`, `--batch-size`, `--no-verify`, `fovea help pretrain`, `cmake --preset asan`.
Fine: `.def`. Bad: `src/base/absent.c`, `absent_file.md`, `--absent-option`, `fovea absent x`, `fovea pretrain photos/ --out run --absent 3`, [a](absent_link.md).
MD
printf '```\nbuild/release/fovea embed --fenced x\nls src/absent/\n```\n\n    fovea list --indented # --not-this\n' >>"$place/wrong.md"
found=$(check_document "$place/wrong.md" | sed 's/^[^ ]*: //' | sort)
expected=$(printf '%s\n' "fovea has no command absent" "fovea embed has no option --fenced" "fovea list has no option --indented" "fovea pretrain has no option --absent" \
    "no command has the option --absent-option" "the link to absent_link.md leads nowhere" "there is no file absent_file.md" \
    "there is no src/absent/" "there is no src/base/absent.c" | sort)
if [ "$found" != "$expected" ]; then
    echo "this test does not find what it planted:"
    diff <(echo "$expected") <(echo "$found") || true
    exit 1
fi
faults=0

# ---- the tree itself ----

for document in README.md CHANGELOG.md docs/*.md; do
    check_document "$document"
done

while IFS= read -r package; do
    grep -qF "\`$package\`" docs/DEPENDENCIES.md || fault docs/DEPENDENCIES.md "says nothing of $package, which packages.txt lists"
done < <(grep -v '^#' packages.txt)

# Whole files in C that documents show (their block begins with a comment) compile.
for document in README.md docs/*.md; do
    rm -f "$place"/shown-*.c
    awk -v place="$place" '/^```c$/ { inside = 1; first = 1; next } /^```/ { inside = 0 }
        inside && first { whole = /^\/\*/; first = 0; count += whole }
        inside && whole { print > (place "/shown-" count ".c") }' "$document"
    for shown in "$place"/shown-*.c; do
        [ ! -f "$shown" ] || cc -std=gnu11 -Wall -Wextra -Wconversion -Werror -fsyntax-only -D_GNU_SOURCE -I. -Isrc -Iinclude "$shown" ||
            fault "$document" "a file that it shows does not compile"
    done
done

for sample in samples/[0-9]*.c; do
    lines=$(wc -l <"$sample")
    [ "$lines" -lt 80 ] || fault "$sample" "$lines lines; a sample has fewer than 80"
    ! grep -nE '^ *# *include *"' "$sample" || fault "$sample" "includes what is not installed"
done

strict=(-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Werror -fsyntax-only -Iinclude)
for header in include/fovea/*.h; do
    cc -x c -std=c11 "${strict[@]}" "$header" || fault "$header" "does not compile alone as C11"
    if command -v c++ >/dev/null; then
        c++ -x c++ -std=c++11 "${strict[@]/-Wstrict-prototypes/-Wall}" "$header" || fault "$header" "does not compile alone as C++"
    fi
done
command -v c++ >/dev/null || echo "not checked: public headers as C++ (there is no c++)"

if [ "$faults" -gt 0 ]; then
    echo "$faults faults"
    exit 1
fi
echo "no faults"
