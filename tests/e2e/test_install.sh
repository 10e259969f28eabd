#!/usr/bin/env bash
# ctest: label=medium timeout=300
# What is installed is enough for others: a C and a C++ program through pkg-config, shared and static, a CMake project through
# find_package; the shared library exports the declared functions and nothing else; the tree may be moved.
set -euo pipefail

build=${FOVEA_BUILD:?names the build folder}
source=${FOVEA_SOURCE:?names the source folder}
if grep -qE '^FOVEA_SANITIZE:[A-Z]+=.+' "$build/CMakeCache.txt"; then
    echo "skipped: a library with sanitizers needs programs with sanitizers"
    exit 77
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() {
    echo "FAILED: $*"
    exit 1
}

cmake --install "$build" --prefix "$place/first" >"$place/install.log" 2>&1 || { cat "$place/install.log"; fail "cmake --install"; }
mv "$place/first" "$place/moved here" # nothing may remember where it was installed, and a blank is no obstacle to CMake
ln -s "moved here" "$place/tree"      # pkg-config prints blanks with a backslash, which a shell does not read back
tree=$place/tree
pc=$(find "$tree/" -name fovea.pc)
[ -n "$pc" ] || fail "fovea.pc is not installed"
libdir=$(cd "$(dirname "$pc")/.." && pwd)
export PKG_CONFIG_PATH=${pc%/*}
"$tree/bin/fovea" --version >"$place/version" || fail "the installed program does not run"

# ---- exported symbols ----

(cd "$tree/include" && cat fovea/*.h) | tr '\n' ' ' | grep -oE 'FOV_API [^;]*;' | grep -oE '\bfov_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$place/declared"
nm -D --defined-only "$libdir/libfovea.so" | awk '{ print $3 }' | grep -vE '^(_init|_fini|_edata|_end|__bss_start)$' | sort -u >"$place/exported"
[ -s "$place/declared" ] || fail "no declarations found in the public headers"
diff "$place/declared" "$place/exported" || fail "declared (<) and exported (>) functions differ"

# ---- consumers ----

cat >"$place/use.c" <<'C'
#include <stdio.h>
#include <string.h>
#include <fovea/fovea.h>

int main(void) {
    fov_embedder *embedder = NULL;
    const fov_status status = fov_embedder_open(&embedder, "no-such-run", 1);
    if (status != FOV_E_NOTFOUND || strstr(fov_last_error(), "no-such-run") == NULL) {
        return 1;
    }
    printf("%s %d.%d.%d\n", fov_version(), FOV_VERSION_MAJOR, FOV_VERSION_MINOR, FOV_VERSION_PATCH);
    return 0;
}
C
cp "$place/use.c" "$place/use.cpp"
version=$(pkg-config --modversion fovea)
[ "$(cat "$place/version")" = "fovea $version" ] || fail "the program says $(cat "$place/version"), pkg-config $version"

check() { # name command...
    local name=$1 said
    shift
    said=$("$@") || fail "$name: exit status $?"
    [ "$said" = "$version $version" ] || fail "$name says '$said', not '$version $version'"
    echo "ok: $name"
}
strict=(-Wall -Wextra -Wpedantic -Werror)

cc -std=c11 "${strict[@]}" "$place/use.c" -o "$place/c_shared" $(pkg-config --cflags --libs fovea)
check "C, shared library" env LD_LIBRARY_PATH="$libdir" "$place/c_shared"
readelf -d "$place/c_shared" | grep "NEEDED.*libfovea[.]so[.]" >/dev/null || fail "the program is not linked with libfovea.so"

mkdir "$place/static"
cp "$libdir/libfovea.a" "$place/static/" # alone, so that the linker has no choice
cc -std=c11 "${strict[@]}" "$place/use.c" -o "$place/c_static" -L"$place/static" $(pkg-config --static --cflags --libs fovea)
check "C, static library" "$place/c_static"
if readelf -d "$place/c_static" | grep "NEEDED.*libfovea" >/dev/null; then fail "the static program wants libfovea.so"; fi

if command -v c++ >/dev/null; then
    c++ -std=c++11 "${strict[@]}" "$place/use.cpp" -o "$place/cpp" $(pkg-config --cflags --libs fovea)
    check "C++, shared library" env LD_LIBRARY_PATH="$libdir" "$place/cpp"
else
    echo "skipped: C++ (there is no c++)"
fi

mkdir "$place/project"
cp "$place/use.c" "$place/project/"
cat >"$place/project/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.22)
project(use LANGUAGES C)
find_package(fovea 0.1 REQUIRED)
add_executable(use use.c)
target_link_libraries(use PRIVATE fovea::fovea)
CMAKE
if ! { cmake -S "$place/project" -B "$place/project/build" -DCMAKE_PREFIX_PATH="$place/moved here" && cmake --build "$place/project/build"; } \
    >"$place/project.log" 2>&1; then
    cat "$place/project.log"
    fail "a project with find_package(fovea)"
fi
check "CMake, fovea::fovea" "$place/project/build/use"
