#!/usr/bin/env bash
# Builds static binaries of the program: no loader, no shared library, runs in an empty root.
#
#   scripts/static.sh [droplet] [full]        both without an argument
#
#   dist/mission-control-runtime-droplet      without the embedded Mission Control and the demo
#   dist/mission-control-runtime              with both
#
# STATIC   the C library, and how it is linked. Default: the first of these that this machine can build.
#          musl   the Rust target `*-linux-musl` and musl-gcc are installed
#          zig    musl by the tools of scripts/static-tools.sh: zig links, and the standard library is built from source
#          glibc  needs only a C compiler
# TARGET   x86_64 or aarch64. Default: the architecture of this machine. For another one, STATIC is glibc or zig.
# DIST     the folder of the binaries. Default: dist.
# PROFILE  the Cargo profile. Default: release.
set -euo pipefail
cd "$(dirname "$0")/.."

name=mission-control-runtime
host=$(uname -m)
arch=${TARGET:-$host}
dist=${DIST:-dist}
profile=${PROFILE:-release}
target_dir=${CARGO_TARGET_DIR:-target}
tools=$(realpath -m "${STATIC_TOOLS:-$target_dir/static-tools}")
editions=("$@")
if [ "${#editions[@]}" -eq 0 ]; then editions=(droplet full); fi

fail() {
    echo "static: $1" >&2
    exit 1
}

# Whether rustup has installed the standard library of a target.
installed() { compgen -G "$(rustc --print sysroot)/lib/rustlib/$1/lib/libstd-*.rlib" >/dev/null; }

# The source of the standard library: of rustup's component `rust-src`, or of scripts/static-tools.sh.
library_source() {
    local folder
    for folder in "$(rustc --print sysroot)/lib/rustlib/src/rust/library" "$tools/library"; do
        if [ -f "$folder/std/Cargo.toml" ]; then
            echo "$folder"
            return
        fi
    done
    return 1
}

# `cargo-zigbuild` is in the virtual environment of scripts/static-tools.sh, or installed.
PATH=$tools/venv/bin:$PATH

choose() {
    if [ "$arch" = "$host" ] && installed "$arch-unknown-linux-musl" && command -v musl-gcc >/dev/null; then
        echo musl
    elif command -v cargo-zigbuild >/dev/null &&
        { installed "$arch-unknown-linux-musl" || library_source >/dev/null; }; then
        echo zig
    else
        echo glibc
    fi
}
static=${STATIC:-$(choose)}

# An environment RUSTFLAGS would override the flags of the target.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
MCR_COMMIT=${MCR_COMMIT-$(git rev-parse --short HEAD 2>/dev/null || true)}
export MCR_COMMIT

# Names of files in the binary start at the checkout and the registry, not at this machine's folders.
flags="--remap-path-prefix=$PWD=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src="
cargo=(cargo)
case $static in
glibc)
    triple=$arch-unknown-linux-gnu
    flags+=' -C target-feature=+crt-static'
    # Relative relocations take 3 instead of 24 bytes each (200 KB). The start-up code of glibc reads them since 2.36.
    if [ "$arch" = x86_64 ] && printf '%s\n' 'glibc 2.36' "$(getconf GNU_LIBC_VERSION)" | sort -CV; then
        flags+=' -C link-arg=-Wl,-z,pack-relative-relocs'
    fi
    if [ "$arch" != "$host" ]; then
        command -v "$arch-linux-gnu-gcc" >/dev/null ||
            fail "$arch needs $arch-linux-gnu-gcc (Debian: gcc-${arch//_/-}-linux-gnu and libc6-dev-*-cross)"
        export "CARGO_TARGET_${arch^^}_UNKNOWN_LINUX_GNU_LINKER=$arch-linux-gnu-gcc"
    fi
    ;;
musl)
    triple=$arch-unknown-linux-musl
    export "CC_${arch}_unknown_linux_musl=musl-gcc"
    ;;
zig)
    triple=$arch-unknown-linux-musl
    cargo=(cargo-zigbuild)
    command -v cargo-zigbuild >/dev/null || fail 'STATIC=zig needs the tools of scripts/static-tools.sh'
    ;;
*) fail "STATIC=$static: expected glibc, musl or zig" ;;
esac

options=(--locked --profile "$profile" --bin "$name" --target "$triple")
if ! installed "$triple"; then
    source=$(library_source) ||
        fail "no standard library for $triple: \`rustup target add $triple\`, or scripts/static-tools.sh"
    # A stable compiler builds its own standard library only with this variable.
    export RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$source
    options+=('-Zbuild-std=std,panic_unwind')
    # zig brings the start files of musl itself.
    if [ "$static" = zig ]; then flags+=' -C link-self-contained=no'; fi
fi
variable=${triple^^}
export "CARGO_TARGET_${variable//-/_}_RUSTFLAGS=$flags"

# The folder of a profile is its name, except for `dev`.
built=$target_dir/$triple/${profile/#dev/debug}/$name
mkdir -p "$dist"
for edition in "${editions[@]}"; do
    case $edition in
    droplet) features=(--no-default-features) file=$dist/$name-droplet ;;
    full) features=() file=$dist/$name ;;
    *) fail "$edition: expected droplet or full" ;;
    esac
    # The last step optimises the whole program at the level of its last crate. See `profile.release` in Cargo.toml.
    "${cargo[@]}" rustc "${options[@]}" "${features[@]}" -- -C opt-level=2
    # Renamed into place: a running program keeps its old file, and an interrupted copy leaves the old one.
    install -m 755 "$built" "$file.new"
    mv "$file.new" "$file"
    echo "$file: $(stat -c %s "$file") bytes, $static, $triple"
done
