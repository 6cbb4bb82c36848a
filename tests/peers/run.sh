#!/usr/bin/env bash
# Tests the embedded Mission Control from outside: with curl, the official npm client and a browser.
#
#   tests/peers/run.sh STAGE…
#
#   curl      the example exchanges and error forms, plain and --redact; needs curl
#   client    the npm package `convex`, plain and --redact: calls, subscriptions, and the wake query for Convex backends;
#             needs node and npm
#   browser   the pages in Chromium, by the npm package `playwright-core`
#   pictures  takes the pictures of the README from the demo, into docs/img
#
# Every stage starts its own servers, with data in memory, on a free port. A missing tool, package or browser is reported in
# a line that starts with SKIPPED and is no failure. BINARY selects the program; packages are kept in target/peers.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

# The tested versions. Change them here to use newer ones.
CONVEX=1.48.0
TYPESCRIPT=5.9.3
PLAYWRIGHT=1.65.1

# Time limits: a stage that hangs is killed.
CLIENT_SECONDS=60
BROWSER_SECONDS=120

target=${CARGO_TARGET_DIR:-target}
binary=${BINARY:-$target/debug/mission-control-runtime}
packages=$target/peers
chromium=${CHROMIUM:-/usr/bin/chromium}
# The page test would read it as the address of the server.
unset BASE_URL
stages=("$@")
scratch=$(mktemp -d)
server=
failed=()

finish() {
    local code=$?
    if [ -n "$server" ]; then kill -KILL "$server" 2>/dev/null; fi
    # The output of the servers contains keys; only this user can read the folder.
    rm -rf "$scratch"
    if [ "${#failed[@]}" -gt 0 ]; then
        echo "FAILED: ${failed[*]}"
        code=1
    fi
    echo "== ${stages[*]}: $SECONDS s"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skipped() { echo "SKIPPED $1: $2"; }

# start [demo] [OPTION…]: starts a server (or the demo) and sets variables from its output.
start() {
    local command=(local --seed demo --data :memory: --listen 127.0.0.1:0)
    if [ "${1:-}" = demo ]; then
        command=(demo --port 0)
        shift
    fi
    # Nothing of the server before.
    : >"$scratch/out"
    "$binary" "${command[@]}" "$@" >"$scratch/out" 2>"$scratch/err" &
    server=$!
    local tenths=0
    # The admin key is the last line.
    until grep -q '^ADMIN_KEY=.' "$scratch/out"; do
        if ! kill -0 "$server" 2>/dev/null || [ "$((tenths += 1))" -gt 200 ]; then
            echo "FAIL  $binary does not start:"
            cat "$scratch/err"
            return 1
        fi
        sleep 0.1
    done
    local line
    while IFS= read -r line; do
        case $line in
        ACCOUNT_ID=* | CONVEX_URL=* | SERVICE_TOKEN=* | WORKER_AUTH_TOKEN=* | ADMIN_KEY=*) export "${line?}" ;;
        '  Live '*) export LIVE_URL="${line##* }" ;;
        esac
    done <"$scratch/out"
}

# Ends the server as a supervisor would; it must end in peace, and soon.
stop() {
    local tenths=0 code
    kill -TERM "$server"
    while kill -0 "$server" 2>/dev/null; do
        if [ "$((tenths += 1))" -gt 100 ]; then
            echo "FAIL  the server does not stop"
            return 1
        fi
        sleep 0.1
    done
    wait "$server"
    code=$?
    server=
    # Its log is for the case that something is wrong, and not for keys.
    if grep -qF -e "$SERVICE_TOKEN" -e "$ADMIN_KEY" "$scratch/err"; then
        echo "FAIL  the server's log has a secret in it"
        return 1
    fi
    if [ "$code" -ne 0 ]; then
        echo "FAIL  the server ended with $code:"
        cat "$scratch/err"
        return 1
    fi
}

# against NAME [SERVER OPTION…] -- COMMAND…: the command against a fresh server.
against() {
    local name=$1 options=() good=yes
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    echo "== $name"
    if start ${options[@]+"${options[@]}"}; then
        "$@" || good=
        stop || good=
    else
        good=
    fi
    if [ -z "$good" ]; then
        failed+=("$name")
        if [ -n "$server" ]; then kill -KILL "$server" 2>/dev/null; fi
        server=
    fi
}

# package STAGE NAME VERSION: in our folder, from there or from the registry. No script of a package is run.
package() {
    local stage=$1 name=$2 version=$3
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        skipped "$stage" 'node and npm are not on this machine'
        return 1
    fi
    if grep -qF "\"version\": \"$version\"" "$packages/node_modules/$name/package.json" 2>/dev/null; then return; fi
    mkdir -p "$packages"
    if ! timeout 180 npm install --prefix "$packages" "$name@$version" --ignore-scripts --omit=optional --no-audit \
        --no-fund --fetch-retries=1 >"$scratch/npm" 2>&1; then
        skipped "$stage" "the package $name $version cannot be had: $(grep -v '^npm warn' "$scratch/npm" | head -n 1)"
        return 1
    fi
}

# Debian's Chromium, installed without confirmation.
browser() {
    if [ -x "$chromium" ]; then return; fi
    if [ -n "${CHROMIUM:-}" ]; then
        skipped browser "$CHROMIUM is not there"
        return 1
    fi
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        skipped browser "$chromium is not there, and only root can install it (apt-get install chromium)"
        return 1
    fi
    echo "== apt-get install chromium"
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium; } \
        >"$scratch/apt" 2>&1 || [ ! -x "$chromium" ]; then
        skipped browser "chromium cannot be installed: $(tail -n 1 "$scratch/apt")"
        return 1
    fi
}

# A module finds packages beside itself, so it is run from our folder.
module() {
    local seconds=$1 file=$2 copy
    copy=$packages/$(basename "$file")
    cp "$file" "$copy" || return 1
    timeout --foreground --kill-after=5 "$seconds" node "$copy"
    local code=$?
    if [ "$code" -ge 124 ]; then echo "FAIL  $file was ended: it may take $seconds s"; fi
    return "$code"
}

# Type-checks openclaw/convex/wake.ts beside a part of the backend's schema, and runs it.
wake_query() {
    package client typescript "$TYPESCRIPT" || return
    echo '== openclaw/convex/wake.ts'
    rm -rf "$packages/backend"
    if ! { cp -r tests/peers/wake-backend "$packages/backend" && mkdir "$packages/backend/convex/service" &&
        cp openclaw/convex/wake.ts "$packages/backend/convex/service/" &&
        node "$packages/node_modules/typescript/bin/tsc" --project "$packages/backend" &&
        module "$CLIENT_SECONDS" tests/peers/wake-query.mjs; }; then
        failed+=('openclaw/convex/wake.ts')
    fi
}

if [ "${#stages[@]}" -eq 0 ]; then
    echo 'say which stages: curl, client, browser, pictures'
    exit 2
fi
if [ ! -x "$binary" ]; then
    echo "$binary is not built; \`make test-peers\` does it"
    exit 1
fi
for stage in "${stages[@]}"; do
    case $stage in
    curl)
        if command -v curl >/dev/null; then
            REDACTED='' against 'curl' -- tests/peers/curl.sh
            REDACTED=yes against 'curl, --redact' --redact -- tests/peers/curl.sh
        else
            skipped curl 'curl is not on this machine'
        fi
        ;;
    client)
        if package client convex "$CONVEX"; then
            REDACTED='' against "convex $CONVEX" -- module "$CLIENT_SECONDS" tests/peers/convex-client.mjs
            REDACTED=yes against "convex $CONVEX, --redact" --redact -- module "$CLIENT_SECONDS" tests/peers/convex-client.mjs
            REDACTED='' against "convex $CONVEX, subscriptions" -- module "$CLIENT_SECONDS" tests/peers/convex-subscriptions.mjs
            REDACTED=yes against "convex $CONVEX, subscriptions, --redact" --redact -- \
                module "$CLIENT_SECONDS" tests/peers/convex-subscriptions.mjs
            wake_query
        fi
        ;;
    browser)
        if package browser playwright-core "$PLAYWRIGHT" && browser; then
            CHROMIUM=$chromium against "$("$chromium" --version 2>/dev/null), playwright-core $PLAYWRIGHT" -- \
                module "$BROWSER_SECONDS" tests/browser/page.mjs
            CHROMIUM=$chromium against 'the page of all accounts' -- module "$BROWSER_SECONDS" tests/browser/fleet.mjs
            CHROMIUM=$chromium against 'the page of the worker pool' -- module "$BROWSER_SECONDS" tests/browser/pool.mjs
            CHROMIUM=$chromium against 'the demo in it' demo -- module "$BROWSER_SECONDS" tests/browser/demo.mjs
            CHROMIUM=$chromium BINARY=$(realpath "$binary") against 'the live page' -- module "$BROWSER_SECONDS" tests/browser/live.mjs
        fi
        ;;
    pictures)
        if package pictures playwright-core "$PLAYWRIGHT" && browser; then
            CHROMIUM=$chromium PICTURES=$(realpath docs/img) against 'the pictures of the README' demo -- \
                module "$BROWSER_SECONDS" tests/browser/pictures.mjs
        fi
        ;;
    *)
        echo "there is no stage $stage: curl, client, browser, pictures"
        failed+=("$stage")
        ;;
    esac
done
