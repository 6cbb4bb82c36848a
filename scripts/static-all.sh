#!/usr/bin/env bash
# The static builds that take too long for CI, each checked in an empty root. Run by `make nightly`.
#
#   dist/glibc     the full binary, glibc
#   dist/musl      both binaries, musl by zig
#   dist/aarch64   the droplet binary for aarch64, glibc, run under qemu
#
# A build whose tools are missing is reported in a line that starts with SKIPPED and is no failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

name=mission-control-runtime
tools=$(realpath -m "${STATIC_TOOLS:-${CARGO_TARGET_DIR:-target}/static-tools}")
failed=()

# build FOLDER LIBC TARGET EDITION…: builds and checks these editions.
build() {
    local folder=dist/$1 libc=$2 target=$3 binaries=()
    shift 3
    echo "== $folder"
    local edition
    for edition; do
        if [ "$edition" = full ]; then binaries+=("$folder/$name"); else binaries+=("$folder/$name-$edition"); fi
    done
    if ! { DIST=$folder STATIC=$libc TARGET=$target scripts/static.sh "$@" && tests/static/run.sh "${binaries[@]}"; }; then
        failed+=("$folder")
    fi
}

# fetched TOOL…: whether the tools are there. A failure other than a missing package counts.
fetched() {
    local code=0
    scripts/static-tools.sh "$@" || code=$?
    if [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then failed+=("static-tools $*"); fi
    return "$code"
}

host=$(uname -m)
build glibc glibc "$host" full
if fetched zig library; then build musl zig "$host" droplet full; fi
if [ "$host" = aarch64 ]; then
    echo 'SKIPPED dist/aarch64: this machine is aarch64, and dist/glibc is for it'
elif ! command -v aarch64-linux-gnu-gcc >/dev/null; then
    echo 'SKIPPED dist/aarch64: no aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross)'
elif fetched library qemu-aarch64; then
    QEMU=$tools/bin/qemu-aarch64-static build aarch64 glibc aarch64 droplet
fi
if [ "${#failed[@]}" -gt 0 ]; then
    echo "FAILED: ${failed[*]}"
    exit 1
fi
