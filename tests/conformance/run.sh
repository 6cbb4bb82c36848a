#!/usr/bin/env bash
# Runs the conformance tests against real OpenClaw gateways from npm, with a model that follows directives in the message.
#
#   tests/conformance/run.sh [TEST…]      all tests of a release, or the named ones, one after the other
#   KILLS=20 KILL_SEED=n tests/conformance/run.sh      with this many kills of the gateway and of the runtime
#   VERSIONS="2026.5.7 2026.9.6" tests/conformance/run.sh      these releases; `all` for each that is known; default: the current one
#
# Gateways and node come from npm (400 to 600 MB for each release, kept in target/conformance). A release that cannot be installed
# is reported in a line that begins with SKIPPED, and is no failure. Everything listens on 127.0.0.1 only, on free ports.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/conformance/releases.sh
source tests/conformance/releases.sh

# The first two agents answer; each of the others fails in its own way, because a refused key blocks its agent for a minute.
AGENTS=engineer,qa,locked,broke,denied,picky,down
# Of each run of tests.
TEST_SECONDS=${TEST_SECONDS:-420}

scratch=$(mktemp -d)
folder=
mock=

finish() {
    local code=$?
    end_release
    rm -rf "$scratch"
    echo "== conformance: $SECONDS s"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

end_release() {
    if [ -n "$folder" ]; then tests/conformance/gateway.sh stop "$folder"; fi
    if [ -n "$mock" ]; then kill "$mock" 2>/dev/null; fi
    folder='' mock=''
}

# The tests that share a gateway: the whole contract on the current release, texts and failures on the oldest.
shared_tests() {
    case $1 in
    "$CURRENT") echo scripted_gateway::conformance conversation::real ;;
    2026.2.19) echo conversation::real::old ;;
    esac
}

# Runs tests against the gateway in $folder.
run_tests() {
    CONFORMANCE_GATEWAY_URL=$(cat "$folder/url") CONFORMANCE_GATEWAY_TOKEN=$(cat "$folder/token") \
        CONFORMANCE_GATEWAY_RELEASE=$(cat "$folder/release") CONFORMANCE_GATEWAY_FOLDER=$folder \
        timeout --foreground --kill-after=5 "$TEST_SECONDS" "${CARGO:-cargo}" test --locked --test suite -- "$@"
}

# Runs the tests of one release.
check() {
    local release=$1 tenths code=0 began=$SECONDS
    shift
    install "$release" || { echo "SKIPPED conformance of $release: $problem" && return; }
    folder=$scratch/$release
    mkdir -p "$folder"
    rm -f "$scratch/mock"
    MOCK_REQUESTS=$folder/requests setsid "$node" tests/conformance/mock-model.mjs >"$scratch/mock" 2>"$scratch/mock.log" &
    mock=$!
    for ((tenths = 0; tenths < 100; tenths += 1)); do
        if [ -s "$scratch/mock" ]; then break; fi
        sleep 0.1
    done
    [ -s "$scratch/mock" ] || { echo "FAIL  the mock model does not start: $(cat "$scratch/mock.log")" && return 1; }
    tests/conformance/gateway.sh new "$folder" "$release" "$(cat "$scratch/mock")" "$AGENTS" &&
        tests/conformance/gateway.sh start "$folder" && tests/conformance/gateway.sh warm "$folder" || return 1
    read -r -a shared < <(shared_tests "$release")
    if [ "$#" -gt 0 ]; then
        run_tests --include-ignored --nocapture --test-threads=1 "$@"
    else
        { [ "${#shared[@]}" -eq 0 ] || run_tests --test-threads=3 "${shared[@]}"; } &&
            run_tests --ignored --nocapture --test-threads=1 conversation::gateway_process
    fi
    code=$?
    if [ "$code" -ge 124 ]; then echo "FAIL  the tests of $release were ended: they may take $TEST_SECONDS s"; fi
    if [ "$code" -ne 0 ]; then
        cp "$folder/log" "$packages/gateway-$release.log"
        echo "FAIL  openclaw $release. The gateway's log: $packages/gateway-$release.log"
    else
        echo "ok    openclaw $release, $((SECONDS - began)) s"
    fi
    end_release
    return "$code"
}

read -r -a wanted <<<"${VERSIONS:-$CURRENT}"
if [ "${wanted[0]}" = all ]; then wanted=("${RELEASES[@]}"); fi
for release in "${wanted[@]}"; do
    [[ " ${RELEASES[*]} " == *" $release "* ]] || { echo "FAIL  unknown release $release. Known: ${RELEASES[*]}" && exit 1; }
done
failed=()
for release in "${wanted[@]}"; do
    check "$release" "$@" || failed+=("$release")
    end_release
done
if [ "${#failed[@]}" -gt 0 ]; then
    echo "FAIL  of ${#wanted[@]} releases: ${failed[*]}"
    exit 1
fi
