#!/usr/bin/env bash
# shellcheck disable=SC2016
# Tests packaging/ on a machine: a Debian root made by debootstrap, booted with its own systemd by systemd-nspawn. It
# shares the network of this machine, where an embedded Mission Control answers on loopback.
#
#   BINARY=file   the build to install; default: dist/mission-control-runtime-droplet, else the full binary
#   FULL=file     the full binary (embedded Mission Control); default: from dist/, target/quick or target/debug
#   SUITE=name    the Debian release; default: bookworm
#
# The root is kept in target/install-root; each run works on an overlay in memory.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
suite=${SUITE:-bookworm}
root=$target/install-root/$suite

skip() {
    echo "SKIPPED: installation in a Debian root: $*"
    exit 0
}
first_of() { for file; do if [ -x "$file" ]; then realpath "$file" && return; fi; done; }

full=${FULL:-$(first_of dist/mission-control-runtime "$target"/{quick,debug,release}/mission-control-runtime)}
[ -n "$full" ] || { echo 'There is no binary: run `make static` or `cargo build`.' >&2; exit 1; }
binary=${BINARY:-$(first_of dist/mission-control-runtime-droplet "$full")}

if command -v shellcheck >/dev/null; then
    shellcheck packaging/*.sh tests/install/*.sh
else
    echo 'SKIPPED: shellcheck (Debian package shellcheck)'
fi
if command -v cloud-init >/dev/null; then
    cloud-init schema --config-file packaging/cloud-init.yaml
else
    echo 'SKIPPED: cloud-init schema (Debian package cloud-init)'
fi

[ "$(id -u)" = 0 ] || skip 'it needs root'
for tool in debootstrap systemd-nspawn nsenter curl python3; do
    command -v "$tool" >/dev/null || skip "$tool is missing (Debian packages debootstrap, systemd-container, curl, python3)"
done

if [ ! -d "$root" ]; then
    began=$SECONDS
    mkdir -p "${root%/*}"
    rm -rf "$root.new"
    log=$root.log
    debootstrap --variant=minbase --include=systemd,systemd-sysv,curl "$suite" "$root.new" >"$log" 2>&1 ||
        { tail -n 5 "$log"; skip 'debootstrap failed (no network?)'; }
    mv "$root.new" "$root"
    echo "debootstrap: $((SECONDS - began)) s"
fi

work=$(mktemp -d)
board_pid='' machine_pid=''
clean() {
    code=$?
    trap - EXIT
    if [ "$code" != 0 ] && [ -n "$machine_pid" ]; then inside journalctl --no-pager -n 12 -u 'mission-control-*' || true; fi
    if [ -n "$machine_pid" ]; then
        # The init of the machine is a child of systemd-nspawn, and the machine ends with it.
        kill "$machine_pid" 2>/dev/null || true
        wait "$machine_pid" 2>/dev/null || true
    fi
    if [ -n "$board_pid" ]; then kill "$board_pid" 2>/dev/null || true; fi
    rm -rf "$work"
    exit "$code"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The builds.
copy() { install -m 755 "$1" "$2" && { strip "$2" 2>/dev/null || true; }; }
copy "$binary" "$work/build"
copy "$full" "$work/next"
printf 'another build\n' >>"$work/next"
head -c 18 "$work/build" >"$work/foreign"
printf '\xb7\x00' >>"$work/foreign"
tail -c +21 "$work/build" >>"$work/foreign"
script() { printf '#!/bin/sh\nif [ "$1" = version ]; then echo "mission-control-runtime 9.9.9 (%s)"; exit; fi\n%s\n' "$1" "$2" >"$work/$1"; }
script exits 'echo "it cannot start" >&2; exit 1'
script never-ready 'exec sleep 600'
# Builds that the runtime requests by their version. A directory that another program changes holds the last one.
release() {
    printf '#!/bin/sh\nif [ "$1" = version ]; then echo "mission-control-runtime %s (test)"; exit; fi\n%s\n' "$1" "$2" >"$work/$3"
}
release 9.1.0 'RUNTIME_VERSION=9.1.0 exec /mnt/work/build "$@"' v9.1.0
release 9.2.0 'echo "it cannot start" >&2; exit 1' v9.2.0
release 9.3.0 'exec sleep 600' v9.3.0
release 9.4.0 'if [ "$1" != run ]; then exec /mnt/work/build "$@"; fi; RUNTIME_VERSION=9.4.0 /mnt/work/build "$@" & sleep 2; kill -KILL $!; exit 1' v9.4.0
echo 'a page of text' >"$work/text"
mkdir -p "$work/release/mission-control-runtime-1"
cp -R packaging "$work/release/mission-control-runtime-1/"
cp "$work/next" "$work/release/mission-control-runtime-1/mission-control-runtime"
tar -czf "$work/release.tar.gz" -C "$work/release" mission-control-runtime-1
head -c 100000 "$work/release.tar.gz" >"$work/damaged.tar.gz"
chmod -R a+rX "$work"

# The backend on this machine, and free ports.
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
board_port=$(port) runtime_port=$(port)
"$full" local --data :memory: --seed demo --listen "127.0.0.1:$board_port" >"$work/board" 2>/dev/null &
board_pid=$!
for _ in $(seq 600); do
    if grep -q ADMIN_KEY "$work/board"; then break; fi
    kill -0 "$board_pid" 2>/dev/null || break
    sleep 0.1
done
grep -q ADMIN_KEY "$work/board" || { echo 'FAILED: the embedded Mission Control does not start' >&2; exit 1; }
{
    grep -E '^(ACCOUNT_ID|CONVEX_URL|SERVICE_TOKEN)=' "$work/board"
    echo OPENCLAW_GATEWAY_URL=
    echo STATE_DIR=/var/lib/mission-control-runtime
    echo "HEALTH_PORT=$runtime_port"
    # So that requests are read soon, and trials are short.
    echo HEALTH_CHECK_INTERVAL=5000
    echo UPGRADE_CONFIRM_MS=3000
    echo SECRETS_SYNC_INTERVAL=1000
} >"$work/runtime.env"

# The machine.
systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --volatile=overlay --boot \
    --bind-ro="$PWD/packaging:/mnt/packaging" --bind-ro="$work:/mnt/work" >"$work/console" 2>&1 </dev/null &
machine_pid=$!
inside() {
    local init
    init=$(pgrep -P "$machine_pid") || return 125
    nsenter --target "$init" --mount --uts --ipc --net --pid -- \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"
}
for _ in $(seq 900); do
    case $(inside systemctl is-system-running 2>/dev/null || true) in running | degraded) booted=yes && break ;; esac
    kill -0 "$machine_pid" 2>/dev/null || break
    sleep 0.1
done
[ -n "${booted-}" ] || { tail -n 5 "$work/console"; skip 'systemd does not boot under systemd-nspawn here'; }
echo "booted: systemd $(inside systemctl --version | head -n 1 | cut -d ' ' -f 2), $suite"

. tests/install/cases.sh
. tests/install/requests.sh
. tests/install/removal.sh
