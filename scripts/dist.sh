#!/usr/bin/env bash
# Makes the release archives of the binaries in dist/, with their checksums.
#
#   dist/mission-control-runtime-VERSION-ARCH-linux.tar.gz         the droplet binary
#   dist/mission-control-runtime-full-VERSION-ARCH-linux.tar.gz    the full binary
#   dist/SHA256SUMS
#
# Each archive has one folder: the binary, packaging/ and LICENSE. Equal contents
# make equal archives. DIST selects the folder of the binaries, TARGET their architecture. Run by `make dist`.
set -euo pipefail
cd "$(dirname "$0")/.."

name=mission-control-runtime
dist=${DIST:-dist}
arch=${TARGET:-$(uname -m)}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
time=$(git log -1 --format=%ct 2>/dev/null || echo 0)
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

archives=()
for edition in droplet full; do
    case $edition in
    droplet) binary=$dist/$name-droplet archive=$name-$version-$arch-linux ;;
    full) binary=$dist/$name archive=$name-full-$version-$arch-linux ;;
    esac
    if [ ! -f "$binary" ]; then
        echo "dist: $binary is missing; \`make static\` builds it" >&2
        exit 1
    fi
    folder=$staging/$archive
    mkdir -p "$folder"
    install -m 755 "$binary" "$folder/$name"
    cp -R packaging LICENSE "$folder/"
    # Without owners, and with the time of the commit.
    tar --create --directory "$staging" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" --mode=u+w,go-w "$archive" |
        gzip -9 --no-name >"$dist/$archive.tar.gz.new"
    mv "$dist/$archive.tar.gz.new" "$dist/$archive.tar.gz"
    archives+=("$archive.tar.gz")
done
(cd "$dist" && sha256sum "${archives[@]}" >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS && cat SHA256SUMS)
