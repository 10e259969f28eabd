#!/usr/bin/env bash
# Installs what is missing of packages.txt (Debian), then builds the release preset. Used by tests/run.sh, samples/quickstart.sh and .ci/run.
#
#   scripts/setup.sh            packages and build
#   scripts/setup.sh packages   packages only; further arguments name more packages
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

install_packages() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Please install, as root: apt-get install ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]}"
    "${as_root[@]}" apt-get -qq update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "${missing[@]}" >/dev/null
}

mapfile -t packages < <(grep -v '^#' packages.txt)
if [ "${1:-}" = packages ]; then
    shift
    install_packages "${packages[@]}" "$@"
    exit 0
fi
install_packages "${packages[@]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset release && cmake --build build/release; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
