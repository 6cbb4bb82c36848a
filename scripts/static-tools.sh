#!/usr/bin/env bash
# Fetches what musl by zig and other architectures need, where rustup cannot add their targets:
#
#   scripts/static-tools.sh [zig] [library] [qemu-aarch64]       default: zig library
#
#   zig            cargo-zigbuild and zig, from PyPI, in a virtual environment (440 MB)
#   library        the source of the standard library, of exactly the compiler's version, from Debian's rust-src (45 MB)
#   qemu-aarch64   the emulator of Debian's qemu-user, to run the tests of an aarch64 binary
#
# Everything stays in target/static-tools, or in the folder STATIC_TOOLS; no package is installed. What cannot be fetched is
# reported in a line that starts with SKIPPED, and the exit code is 3.
set -euo pipefail
cd "$(dirname "$0")/.."

ZIG=0.17
ZIGBUILD=0.24
# The suite that has the compiler's version. Others have other versions.
RUST_SRC_SUITE=trixie-backports

tools=$(realpath -m "${STATIC_TOOLS:-${CARGO_TARGET_DIR:-target}/static-tools}")
work=$tools/apt
mkdir -p "$tools"

skip() {
    echo "SKIPPED static-tools: $1"
    exit 3
}

zig() {
    if [ -x "$tools/venv/bin/cargo-zigbuild" ]; then return; fi
    command -v python3 >/dev/null || skip 'python3 is missing'
    rm -rf "$tools/venv"
    python3 -m venv "$tools/venv" || skip 'python3 cannot make a virtual environment (Debian: python3-venv)'
    if ! "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "ziglang==$ZIG.*" "cargo-zigbuild==$ZIGBUILD.*" \
        >"$tools/pip.log" 2>&1; then
        rm -rf "$tools/venv"
        skip "PyPI: $(tail -n 1 "$tools/pip.log")"
    fi
}

# unpack PACKAGE SUITE: downloads a Debian package and unpacks it into $work/root.
unpack() {
    command -v apt-get >/dev/null || skip 'apt-get is missing'
    rm -rf "$work"
    mkdir -p "$work/lists/partial"
    # An apt configuration of its own keeps the suite off the machine's list.
    local mirror
    mirror=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *//p' | head -n 1)
    if [ -z "$mirror" ]; then skip 'the package sources of this machine name no Debian mirror'; fi
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $2 main" >"$work/list"
    cat >"$work/conf" <<END
Dir::Etc::sourcelist "$work/list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$work/lists";
END
    if ! (cd "$work" && export APT_CONFIG=$work/conf && apt-get update && apt-get download "$1") >"$work/log" 2>&1; then
        skip "Debian $2 has no $1: $(grep '^E:' "$work/log" | tail -n 1)"
    fi
    dpkg -x "$work"/*.deb "$work/root"
}

library() {
    local version
    version=$(rustc --version | cut -d ' ' -f 2)
    if [ -f "$tools/library/std/Cargo.toml" ] && [ "$(cat "$tools/version" 2>/dev/null)" = "$version" ]; then return; fi
    unpack "rust-src=$version+dfsg*" "$RUST_SRC_SUITE"
    rm -rf "$tools/library"
    mv "$work"/root/usr/src/rustc-*/library "$tools/library"
    # The library's own dependencies, which a build without a network needs.
    if ! RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$tools/library CARGO_NET_OFFLINE=false cargo fetch --locked \
        -Zbuild-std=std,panic_unwind --target x86_64-unknown-linux-musl --target aarch64-unknown-linux-gnu >"$work/log" 2>&1; then
        skip "the dependencies of the standard library: $(tail -n 1 "$work/log")"
    fi
    echo "$version" >"$tools/version"
    rm -rf "$work"
}

qemu-aarch64() {
    if [ -x "$tools/bin/qemu-aarch64-static" ]; then return; fi
    # From Debian 13 on, the binaries of qemu-user are static.
    unpack qemu-user trixie
    mkdir -p "$tools/bin"
    mv "$work/root/usr/bin/qemu-aarch64" "$tools/bin/qemu-aarch64-static"
    rm -rf "$work"
}

if [ "$#" -eq 0 ]; then set -- zig library; fi
for tool; do
    case $tool in
    zig | library | qemu-aarch64) "$tool" ;;
    *)
        echo "static-tools: $tool: expected zig, library or qemu-aarch64" >&2
        exit 2
        ;;
    esac
done
echo "static-tools: $* in $tools"
