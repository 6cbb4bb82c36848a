#!/usr/bin/env bash
# Checks that static binaries need nothing of the system. Run by `make static-check`.
#
#   tests/static/run.sh BINARY…
#
# Each binary has no interpreter and no shared object. It then runs as user 65532 in an empty root, without a network:
#
#   version, doctor, HTTPS with a private authority and with wrong certificates, `run` until /health answers and SIGTERM
#   ends it, and `demo` (where the build has it) until an agent has answered in a thread.
#
# Of what a container has, the root has /etc/hosts, /proc, /tmp and /dev/null. Needs unshare, ip, openssl, python3 and
# readelf. A binary of another architecture runs under `qemu-ARCH-static`, on the PATH or named by QEMU; its demo is skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

# For each binary. A hanging program is killed with its namespace.
SECONDS_MAX=${SECONDS_MAX:-120}
UNPRIVILEGED=65532

fail() {
    echo "FAIL  $1"
    exit 1
}
ok() { echo "ok    $1"; }

# --- In the namespaces: user root, own network, mounts and processes.

# inside [VARIABLE=VALUE…] -- ARGUMENT…: runs the program in the empty root, as an unprivileged user.
inside() {
    local variables=()
    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    shift
    local enter=(chroot --userspec="$UNPRIVILEGED:$UNPRIVILEGED" "$root")
    if [ "$outer_user" != 0 ]; then
        # A user namespace of a normal user has one user only. A second namespace gives it the wanted number.
        enter=(unshare --user --map-user="$UNPRIVILEGED" --map-group="$UNPRIVILEGED" --root="$root")
    fi
    exec env -i PATH="$PATH" "${variables[@]}" "${enter[@]}" ${emulator[@]+"${emulator[@]}"} /program "$@"
}

# said PATTERN NAME: the last output matches.
said() {
    grep -qE -e "$1" "$scratch/out" || {
        cat "$scratch/out"
        fail "$2: no line matches \`$1\`"
    }
    ok "$2: $(grep -m 1 -oE -e ".*$1.*" "$scratch/out" | cut -c 1-400)"
}

# Stops the last process started in the background and expects exit code 0.
stop() {
    local code=0
    kill -TERM "$running"
    wait "$running" || code=$?
    [ "$code" -eq 0 ] || {
        cat "$scratch/err"
        fail "$1: SIGTERM ends it with code $code"
    }
    ok "$1: SIGTERM ends it with code 0"
}

check_in_namespace() {
    ip link set lo up
    mount -t proc proc "$root/proc"
    mount --bind /dev/null "$root/dev/null"
    chmod 1777 "$root/tmp"

    (inside -- version) >"$scratch/out" 2>&1 || fail "version: $(cat "$scratch/out")"
    said '\(.*, static (glibc|musl), .* build, commit ' version

    python3 tests/static/peer.py tls "$scratch" >"$scratch/ports" 2>"$scratch/peer" &
    for _ in $(seq 100); do
        if [ "$(wc -l <"$scratch/ports")" -ge 1 ]; then break; fi
        sleep 0.1
    done
    local good other name
    read -r good other name <"$scratch/ports" || fail "the TLS server does not start: $(cat "$scratch/peer")"
    cp "$scratch/authority.pem" "$root/authority.pem"
    chmod 444 "$root/authority.pem"
    local common=(ACCOUNT_ID=k17static SERVICE_TOKEN=mc_service_k17static_not-a-secret STATE_DIR=/tmp/state
        HEALTH_PORT=3001 SSL_CERT_FILE=/authority.pem)
    # A missing gateway makes the exit code 1; the line about the backend decides.
    doctor() { (inside "${common[@]}" CONVEX_URL="$1" -- doctor) >"$scratch/out" 2>&1 || true; }
    doctor "https://localhost:1"
    said '^backend .*WRONG.*Connection refused' 'doctor without a backend'
    # A request id of zeros means that the program finds no random numbers without /dev.
    said '\(request [0-9a-f]*[1-9a-f][0-9a-f]*\)' 'random numbers'
    doctor "https://localhost:$good"
    said '^backend +ok' 'HTTPS, private authority'
    doctor "https://localhost:$other"
    said '^backend .*WRONG.*certificate.*SSL_CERT_FILE' 'HTTPS, unknown authority'
    doctor "https://localhost:$name"
    said '^backend .*WRONG.*certificate.*elsewhere\.example' 'HTTPS, wrong name'

    (inside "${common[@]}" CONVEX_URL="https://localhost:$good" -- run) >/dev/null 2>"$scratch/err" &
    running=$!
    python3 tests/static/peer.py health http://127.0.0.1:3001 >"$scratch/out" || {
        cat "$scratch/err"
        fail 'run: /health does not answer'
    }
    said '^/health' run
    stop run

    if ! grep -q '^  demo ' <(inside -- help); then return; fi
    if [ "${#emulator[@]}" -gt 0 ]; then
        echo 'SKIPPED demo: it starts a second process, which the emulator cannot'
    else
        (inside -- demo --port 3210) >"$scratch/printed" 2>"$scratch/err" &
        running=$!
        python3 tests/static/peer.py demo "$scratch/printed" >"$scratch/out" || {
            cat "$scratch/out" "$scratch/err"
            fail 'demo: no agent has answered'
        }
        said '^answered' demo
        stop demo
    fi
}

if [ "${1:-}" = --in-namespace ]; then
    scratch=$2 outer_user=$3
    root=$scratch/root
    emulator=()
    if [ -x "$root/emulator" ]; then emulator=(/emulator); fi
    check_in_namespace
    exit
fi

# --- Outside.

if [ "$#" -eq 0 ]; then
    echo 'usage: tests/static/run.sh BINARY…' >&2
    exit 2
fi
for tool in unshare ip openssl python3 readelf; do
    command -v "$tool" >/dev/null || fail "$tool is missing (Debian: util-linux, iproute2, openssl, python3, binutils)"
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$scratch"

certificate() {
    # certificate FILE NAMES SIGNER
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$scratch/$1.key" -subj "/CN=$1" \
        -out "$scratch/$1.csr" 2>/dev/null
    openssl x509 -req -in "$scratch/$1.csr" -CA "$scratch/$3.pem" -CAkey "$scratch/$3.key" -CAcreateserial -days 2 \
        -extfile <(echo "subjectAltName=$2") -out "$scratch/$1.pem" 2>/dev/null
}
for authority in authority stranger; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$authority" \
        -keyout "$scratch/$authority.key" -out "$scratch/$authority.pem" 2>/dev/null
done
certificate good DNS:localhost authority
certificate other DNS:localhost stranger
certificate name DNS:elsewhere.example authority

for binary; do
    echo "== $binary"
    [ -f "$binary" ] || fail "$binary is missing; \`make static\` builds it"
    if readelf -lW "$binary" | grep INTERP; then fail 'it names an interpreter'; fi
    if readelf -dW "$binary" | grep NEEDED; then fail 'it names shared objects'; fi
    ok "no interpreter, no shared object, $(stat -c %s "$binary") bytes"

    root=$scratch/root
    rm -rf "$root"
    mkdir -p "$root/dev" "$root/etc" "$root/proc" "$root/tmp"
    touch "$root/dev/null"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
    install -m 555 "$binary" "$root/program"
    machine=$(readelf -hW "$binary" | sed -n 's/^ *Machine: *//p')
    case $machine in
    'Advanced Micro Devices X86-64') arch=x86_64 ;;
    AArch64) arch=aarch64 ;;
    *) fail "no check for the architecture $machine" ;;
    esac
    if [ "$arch" != "$(uname -m)" ]; then
        qemu=${QEMU:-$(command -v "qemu-$arch-static" || true)}
        if [ ! -x "$qemu" ]; then
            echo "SKIPPED run of $binary: no qemu-$arch-static (Debian: qemu-user-static)"
            continue
        fi
        install -m 555 "$qemu" "$root/emulator"
    fi
    namespaces=(--net --mount --pid --fork --kill-child)
    if [ "$(id -u)" -ne 0 ]; then namespaces+=(--map-root-user); fi
    timeout -k 5 "$SECONDS_MAX" unshare "${namespaces[@]}" "$0" --in-namespace "$scratch" "$(id -u)" ||
        fail "$binary (code $?)"
done
