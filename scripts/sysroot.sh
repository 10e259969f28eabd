#!/usr/bin/env bash
# Unpacks the libraries of packages.txt for another architecture, with what they need, into build/sysroot-ARCH:
#
#   scripts/sysroot.sh arm64
#
# apt resolves and fetches, with a state of its own in which nothing is installed: no root, and no foreign package in this system's database,
# whose versions would have to march in step with its own. Nothing of what the packages bring is run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
arch=${1:?names an architecture of Debian, such as arm64}
root=$PWD/build/sysroot-$arch
wanted=$(grep -E '^lib.*-dev$' packages.txt)
if [ "$(cat "$root/complete" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
rm -rf "$root" "$root.apt"
mkdir -p "$root" "$root.apt"/{state/lists/partial,cache/archives/partial}
touch "$root.apt/state/status"
cat >"$root.apt/apt.conf" <<CONF
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
Dir::State "$root.apt/state";
Dir::State::status "$root.apt/state/status";
Dir::Cache "$root.apt/cache";
CONF
export APT_CONFIG=$root.apt/apt.conf
apt-get -qq update
# shellcheck disable=SC2086 # a list of names
apt-get -qq -y --download-only install $wanted
for package in "$root.apt"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$root"
done
rm -rf "$root.apt"

# Links that begin at / would lead out of the folder.
find "$root" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
    ln -sfnr "$root$(readlink "$link")" "$link"
done
# What update-alternatives makes when libopenblas is installed.
for libdir in "$root"/usr/lib/*/openblas-pthread; do
    ln -s openblas-pthread/libopenblas.so.0 "$libdir/../libopenblas.so.0"
    ln -s ../openblas-pthread/pkgconfig/openblas.pc "$libdir/../pkgconfig/openblas.pc"
done
echo "$wanted" >"$root/complete"
