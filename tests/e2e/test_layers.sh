#!/usr/bin/env bash
# The rules of the house that a compiler does not know: includes only go downwards, each third-party header has one user, file names
# are unique, files stay short, and the library neither allocates, prints nor exits past its base layer.
# Prints every violation as file:line. Checks itself first on a small tree that breaks each rule once.
# ctest: label=short timeout=120
set -euo pipefail

# What each layer may include besides itself. The base stands under everything and is not repeated.
declare -A below=(
    [base]="" [kernels]="" [augment]=""
    [graph]="ops kernels" [ops]="graph kernels"
    [data]="augment"
    [models]="graph ops kernels"
    [weights]="graph models augment/recipe.h"
    [objectives]="models graph ops kernels augment/recipe.h"
    [train]="objectives weights models graph ops kernels data augment"
    [eval]="train objectives weights models graph ops kernels data augment"
    [export]="train objectives weights models graph ops kernels data augment"
    [report]="train objectives weights models graph ops kernels data augment"
    [api]="export eval train objectives weights models graph ops kernels data augment"
    [cli]="api report export eval train objectives weights models graph ops kernels data augment"
)
third_party=(jpeglib.h png.h webp/decode.h tiffio.h cblas.h cJSON.h ini.h lbfgs.h xxhash.h)
max_lines=600

violation() {
    printf '%s\n' "$1"
    violations=$((violations + 1))
}

# All sources of the library and the program, or only those with a name like $1.
sources() {
    find src augment models include -type f -name "$1" | sort
}

layer_of() {
    case $1 in
    src/*/*) local rest=${1#src/}; echo "${rest%%/*}" ;;
    *) echo "${1%%/*}" ;;
    esac
}

check_quoted_include() { # file:line layer target
    local word
    case $3 in
    */../* | ../* | ./* | src/*) violation "$1: includes \"$3\": name it from its layer, such as \"base/error.h\""; return ;;
    */*) ;;
    *.inc) return ;; # a list of names made by the build
    *) violation "$1: includes \"$3\": put its folder before it"; return ;;
    esac
    for word in "$2" base ${below[$2]}; do
        if [ "${3%%/*}" = "$word" ] || [ "$3" = "$word" ]; then
            return
        fi
    done
    violation "$1: layer $2 must not include \"$3\""
}

check_includes() {
    local file line text layer target
    while IFS=: read -r file line text; do
        layer=$(layer_of "$file")
        target=$(sed -E 's/^[^<"]*[<"]([^>"]*)[>"].*/\1/' <<<"$text")
        if [[ $text == *\"* ]]; then
            if [ "$layer" = include ]; then
                violation "$file:$line: a public header includes \"$target\", which is not installed"
            elif [ -z "${below[$layer]+known}" ]; then
                violation "$file:$line: folder $layer is not a layer of this test"
            else
                check_quoted_include "$file:$line" "$layer" "$target"
            fi
        fi
    done < <(sources '*.[ch]' | xargs grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]' || true)
}

check_third_party() {
    local header users user
    for header in "${third_party[@]}"; do
        users=$(sources '*.[ch]' | xargs grep -nHE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]([^>\"]*/)?${header//./\\.}[>\"]" || true)
        if [ -z "$users" ]; then
            violation "src:0: no file includes <$header>; take it off this test's list and out of the build"
        elif [ "$(wc -l <<<"$users")" -gt 1 ]; then
            while IFS= read -r user; do
                violation "$(cut -d: -f1,2 <<<"$user"): <$header> has more than one user"
            done <<<"$users"
        elif [[ ${users%%:*} != *.c ]]; then
            violation "$(cut -d: -f1,2 <<<"$users"): <$header> is included by a header"
        fi
    done
}

check_names() {
    local name file
    while IFS= read -r name; do
        [ -n "$name" ] || continue
        while IFS= read -r file; do
            violation "$file:1: file name $name is used more than once"
        done < <(sources "$name" | grep -v '^src/cli/')
    done < <(sources '*.c' | grep -v '^src/cli/' | sed 's|.*/||' | sort | uniq -d)
}

check_length() {
    local file lines
    while IFS= read -r file; do
        lines=$(wc -l <"$file")
        if [ "$lines" -gt "$max_lines" ]; then
            violation "$file:$lines: $lines lines; at most $max_lines"
        fi
    done < <(sources '*.c')
}

# Prints file:line:code with comments, strings and character constants taken out.
code_of() {
    awk '
    FNR == 1 { comment = 0 }
    {
        out = ""; quote = ""
        for (i = 1; i <= length($0); i++) {
            two = substr($0, i, 2); c = substr($0, i, 1)
            if (comment) { if (two == "*/") { comment = 0; i++; out = out " " } }
            else if (quote != "") { if (c == "\\") i++; else if (c == quote) quote = "" }
            else if (two == "/*") { comment = 1; i++ }
            else if (two == "//") break
            else if (c == "\"" || c == "\047") { quote = c; out = out c c }
            else out = out c
        }
        print FILENAME ":" FNR ":" out
    }' "$@"
}

check_calls() {
    local files hit
    local names='malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|strdup|strndup|asprintf|vasprintf'
    names+='|printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|exit|_exit|_Exit|quick_exit|abort'
    files=$(sources '*.[ch]' | grep -vE '^src/(base|cli)/' || true)
    [ -n "$files" ] || return 0
    while IFS= read -r hit; do
        violation "$(cut -d: -f1,2 <<<"$hit"): calls $(grep -oE "(^|[^A-Za-z0-9_.>])($names)[[:space:]]*\(" <<<"${hit#*:*:}" | grep -oE "[A-Za-z_]+" | head -1) outside base and cli"
    done < <(xargs -d '\n' bash -c "$(declare -f code_of); code_of \"\$@\"" _ <<<"$files" | grep -E "^[^:]*:[0-9]*:(.*[^A-Za-z0-9_.>])?($names)[[:space:]]*\(" || true)
}

check_marks() {
    local hit
    while IFS= read -r hit; do
        violation "$(cut -d: -f1,2 <<<"$hit"): unfinished work is marked here"
    done < <(grep -rnHIE '\b(TO''DO|FIX''ME)\b' --include='*.[ch]' --include='*.def' --include='*.sh' --include='*.py' --include='*.txt' \
        --include='*.cmake' src augment models include tests samples cmake scripts 2>/dev/null || true)
}

check_tree() {
    cd "$1"
    violations=0
    check_includes
    check_third_party
    check_names
    check_length
    check_calls
    check_marks
    [ "$violations" -eq 0 ]
}

# ---- this test on a tree that is wrong in known places ----

make_wrong_tree() {
    mkdir -p "$1"/{src/{base,kernels,graph,data,eval,report,cli,odd},augment,models,include/fovea}
    cd "$1"
    printf '#include <png.h>\n#include <webp/decode.h>\n#include <tiffio.h>\n#include <ini.h>\n#include <lbfgs.h>\n#include <xxhash.h>\n#include <cJSON.h>\n' >src/base/good.c
    printf '#include "base/a.h"\nvoid f(void) { malloc(1); }\n' >>src/base/good.c
    printf '#include "graph/graph.h"\n' >src/kernels/up.c
    printf '#include "ops/ops.h"\n#include "ops.inc"\n#include "data/x.h"\n#include "../base/a.h"\n#include "near.h"\n' >src/graph/mixed.c
    printf '#include "graph/graph.h"\n#include "augment/recipe.h"\n' >src/data/sees_graph.c
    printf '#include "report/report.h"\n' >src/eval/sideways.c
    printf '#include <jpeglib.h>\n' >augment/one.c
    printf '#include <jpeglib.h>\n' >augment/two.c
    printf '#include <cblas.h>\n' >models/wraps.h
    printf '#include "base/a.h"\n' >include/fovea/leak.h
    printf '#include "base/a.h"\n' >src/odd/strange.c
    printf '/* malloc(1) */ // exit(1)\nconst char *s = "printf(1)\\"abort()";\nvoid g(void) {\n    x->abort(1), fov_mem_realloc(2), snprintf(3);\n    p = strdup("a");\n}\nint h(void) { return exit(1); }\n' >models/calls.c
    printf '/* FIX''ME */\n' >models/marked.c
    printf 'int same;\n' >augment/twin.c
    printf 'int same;\n' >models/twin.c
    printf 'void k(void) { printf("x"); exit(1); }\n#include "report/x.h"\n' >src/cli/twin.c
    seq 601 | sed 's|.*|/* & */|' >augment/long.c
}

expected='augment/long.c:601 augment/one.c:1 augment/twin.c:1 augment/two.c:1 include/fovea/leak.h:1 models/calls.c:5 models/calls.c:7
models/marked.c:1 models/twin.c:1 models/wraps.h:1 src/data/sees_graph.c:1 src/eval/sideways.c:1 src/graph/mixed.c:3
src/graph/mixed.c:4 src/graph/mixed.c:5 src/kernels/up.c:1 src/odd/strange.c:1'
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(make_wrong_tree "$scratch")
found=$(check_tree "$scratch" || true)
if [ "$(cut -d: -f1,2 <<<"$found" | LC_ALL=C sort)" != "$(tr -s ' \n' '\n' <<<"$expected" | LC_ALL=C sort)" ]; then
    echo "this test does not find the violations it planted; it found:"
    echo "$found"
    exit 1
fi

# ---- the tree itself ----

root=${FOVEA_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
if check_tree "$root"; then
    echo "no violations"
else
    echo "$violations violations"
    exit 1
fi
