#!/usr/bin/env bash
# Fetches what `STATIC=zig make static` and other architectures need, if rustup cannot add their targets:
#
#   cargo-zigbuild and zig        from PyPI, in a virtual environment (440 MB)
#   the standard library's source from Debian's package rust-src, of exactly the compiler's version (45 MB)
#
# Everything stays in target/static-tools, or in the folder STATIC_TOOLS; no package is installed. A source that lacks
# the version is reported in a line that starts with SKIPPED, and the exit code is 3.
set -euo pipefail
cd "$(dirname "$0")/.."

ZIG=0.17
ZIGBUILD=0.24
SUITE=trixie-backports

tools=$(realpath -m "${STATIC_TOOLS:-${CARGO_TARGET_DIR:-target}/static-tools}")
mkdir -p "$tools"

skip() {
    echo "SKIPPED static-tools: $1"
    exit 3
}

if [ ! -x "$tools/venv/bin/cargo-zigbuild" ]; then
    command -v python3 >/dev/null || skip 'python3 is missing'
    rm -rf "$tools/venv"
    python3 -m venv "$tools/venv" || skip 'python3 cannot make a virtual environment'
    if ! "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "ziglang==$ZIG.*" "cargo-zigbuild==$ZIGBUILD.*" \
        >"$tools/pip.log" 2>&1; then
        rm -rf "$tools/venv"
        skip "PyPI: $(tail -n 1 "$tools/pip.log")"
    fi
fi

version=$(rustc --version | cut -d ' ' -f 2)
if [ ! -f "$tools/library/std/Cargo.toml" ] || [ "$(cat "$tools/version" 2>/dev/null)" != "$version" ]; then
    command -v apt-get >/dev/null || skip 'apt-get is missing'
    work=$tools/apt
    rm -rf "$work" "$tools/library"
    mkdir -p "$work/lists/partial"
    # An apt configuration of its own keeps the suite off the machine's list.
    mirror=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *//p' | head -n 1)
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} $SUITE main" \
        >"$work/list"
    cat >"$work/conf" <<END
Dir::Etc::sourcelist "$work/list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$work/lists";
END
    export APT_CONFIG=$work/conf
    if ! (cd "$work" && apt-get update && apt-get download "rust-src=$version+dfsg*") >"$work/log" 2>&1; then
        skip "Debian has no rust-src $version: $(grep '^E:' "$work/log" | tail -n 1)"
    fi
    dpkg -x "$work"/rust-src_*.deb "$work/root"
    mv "$work"/root/usr/src/rustc-*/library "$tools/library"
    echo "$version" >"$tools/version"
    rm -rf "$work"
fi
echo "static-tools: $tools"
