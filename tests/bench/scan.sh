#!/usr/bin/env bash
# Finding pictures in very large folders: makes them, measures, removes them again.
#
#   tests/bench/scan.sh BUILD [SCRATCH [FILES...]]
#
# SCRATCH (default /tmp) needs room for the names alone, some 60 bytes each: they are hard links to a few files. FILES: 1280000 and 10000000. Each is
# measured twice, a line of JSON each time; making and removing ten million names takes minutes.
set -euo pipefail

build=${1:?usage: tests/bench/scan.sh BUILD [SCRATCH [FILES...]]}
scratch=$(mktemp -d "${2:-/tmp}/fovea-scan.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
shift $(($# < 2 ? $# : 2))
[ $# -gt 0 ] || set -- 1280000 10000000
for files in "$@"; do
    "$build/tests/make_names" "$scratch/$files" "$files" 1000
    "$build/tests/bench_scan" "$scratch/$files"
    "$build/tests/bench_scan" "$scratch/$files"
    rm -rf "${scratch:?}/$files"
done
