#!/usr/bin/env bash
# Runs the conformance tests against real OpenClaw gateways from npm, with models that follow directives in the message.
#
#   tests/conformance/run.sh            for each release: the contract tests, the cases of `rehearse`, kills and an agent's shell
#   tests/conformance/run.sh TEST…      only these tests, one after the other
#
# Variables:
#   VERSIONS="2026.5.7 2026.9.6"   the releases; `all` for each that is known; default: the current one
#   QUICK=1                        without kills and the slow failures of providers, as CI runs it
#   STORE=1                        stores the results for docs/gateways.md, if every case is as good as the release permits
#   KILLS=20 KILL_SEED=n           the kills of the gateway and of the runtime
#   UPDATES="2026.9.6 2026.8.2"    updates the gateway to these releases in order
#
# Gateways and node come from npm (400 to 600 MB for each release, kept in target/conformance). A release that cannot be
# installed is reported in a line that begins with SKIPPED, and is no failure. Everything listens on 127.0.0.1 only.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/conformance/releases.sh
source tests/conformance/releases.sh

# A provider that refuses a key blocks its agent for a minute, on 2026.8.2 for hours. So the contract tests, the rehearsal and the
# tests that control the process have agents of their own.
AGENTS=engineer,qa,locked,broke,denied,picky,down,designer,lead,writer,builder,tester
REHEARSING=designer,lead,writer
# What CI has time for.
QUICK_CASES=access,version,agents,history,mention,three-agents,tool-rounds-1,tool-rounds-3,calls-2,calls-8,lost-answer,runtime-killed,long-answer,heartbeat-token,quoted-error,unknown-agent,provider-400
# Of each run of tests, and of a rehearsal.
TEST_SECONDS=${TEST_SECONDS:-600}
REHEARSAL_SECONDS=1500

binary=$(realpath -m "${BINARY:-${CARGO_TARGET_DIR:-target}/debug/mission-control-runtime}")
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

end_model() {
    if [ -n "$mock" ]; then kill "$mock" 2>/dev/null && wait "$mock" 2>/dev/null; fi
    mock=
}

end_release() {
    if [ -n "$folder" ]; then tests/conformance/gateway.sh stop "$folder"; fi
    end_model
    folder=
}

# Starts the model on a port; 0 takes any free one.
start_model() {
    local tenths
    rm -f "$scratch/mock"
    MOCK_REQUESTS=$folder/requests setsid "$node" tests/conformance/mock-model.mjs "$1" >"$scratch/mock" 2>"$scratch/mock.log" &
    mock=$!
    for ((tenths = 0; tenths < 600; tenths += 1)); do
        if [ -s "$scratch/mock" ]; then return; fi
        sleep 0.1
    done
    echo "FAIL  the mock model does not start: $(cat "$scratch/mock.log")"
    return 1
}

# Runs tests against the gateway in $folder.
run_tests() {
    local code
    CONFORMANCE_GATEWAY_URL=$(cat "$folder/url") CONFORMANCE_GATEWAY_TOKEN=$(cat "$folder/token") \
        CONFORMANCE_GATEWAY_RELEASE=$(cat "$folder/release") CONFORMANCE_GATEWAY_FOLDER=$folder \
        timeout --foreground --kill-after=5 "$TEST_SECONDS" "${CARGO:-cargo}" test --locked --test suite -- "$@"
    code=$?
    if [ "$code" -ge 124 ]; then echo "FAIL  the tests were ended: they may take $TEST_SECONDS s"; fi
    return "$code"
}

# The contract of the gateway, on the releases that the scripted gateway imitates in every detail.
run_contract() {
    case $(cat "$folder/release") in
    "$CURRENT") run_tests --test-threads=3 scripted_gateway::conformance conversation::real ;;
    2026.2.19) run_tests --test-threads=3 conversation::real::old ;;
    esac
}

# The program brings a model of its own, on the port that the gateway's configuration names.
rehearse() {
    local port cases=() code
    port=$(cat "$folder/model")
    if [ -n "${QUICK:-}" ]; then cases=(--cases "$QUICK_CASES"); fi
    printf '#!/bin/sh\n%q kill %q && exec %q start %q\n' "$PWD/tests/conformance/gateway.sh" "$folder" \
        "$PWD/tests/conformance/gateway.sh" "$folder" >"$folder/restart"
    chmod +x "$folder/restart"
    end_model
    timeout --foreground --kill-after=5 "$REHEARSAL_SECONDS" env -u OPENCLAW_GATEWAY_URL -u CONVEX_URL -u ACCOUNT_ID \
        "$binary" rehearse --gateway "$(cat "$folder/url")" --token-file "$folder/token" --agents "$REHEARSING" \
        --model-port "$port" --restart "$folder/restart" --json ${cases[@]+"${cases[@]}"} >"$folder/rehearsal.json" 2>"$folder/rehearsal.log"
    code=$?
    if ! "$node" tests/conformance/results.mjs check "$folder/rehearsal.json" || [ "$code" -ne 0 ]; then
        tail -n 3 "$folder/rehearsal.log"
        return 1
    fi
    echo "== rehearsed after $SECONDS s"
    start_model "$port"
}

# Kills, updates, an agent's shell.
control_process() {
    local quick=()
    if [ -n "${QUICK:-}" ]; then quick=(--skip killed); fi
    run_tests --ignored --nocapture --test-threads=1 ${quick[@]+"${quick[@]}"} conversation::gateway_process
}

store() {
    if [ -z "${STORE:-}" ] || [ -n "${QUICK:-}" ]; then return; fi
    mkdir -p docs/gateways
    "$node" tests/conformance/results.mjs store "$1" "$("$binary" --version | cut -d ' ' -f 2)" "$folder/rehearsal.json" \
        "$folder/cases" "docs/gateways/$1.json"
}

check() {
    local release=$1
    shift
    install "$release" || { echo "SKIPPED conformance of $release: $problem" && return; }
    folder=$scratch/$release
    mkdir -p "$folder"
    start_model 0 || return 1
    tests/conformance/gateway.sh new "$folder" "$release" "$(cat "$scratch/mock")" "$AGENTS" &&
        tests/conformance/gateway.sh start "$folder" && tests/conformance/gateway.sh warm "$folder" || return 1
    if [ "$#" -gt 0 ]; then
        run_tests --include-ignored --nocapture --test-threads=1 "$@"
    else
        { [ -n "${QUICK:-}" ] || run_contract; } && rehearse && control_process && store "$release"
    fi
}

# Whether the gateway's own log shows one of its known defects (docs/gateways.md): it lost the lock of its state, or blocks an agent
# until it restarts.
has_known_defect() { grep -qsE 'another OpenClaw process owns|execution admission is closed' "$folder/log"; }

# Checks a release. With QUICK=1, a known defect of the gateway is met by one more check with a fresh gateway. Every other failure
# counts at once, and a full check counts them all.
check_fairly() {
    check "$@" && return
    [ -n "${QUICK:-}" ] && has_known_defect || return 1
    echo "AGAIN openclaw $1: its log shows a known defect of the gateway"
    cp "$folder/log" "$packages/gateway-$1.first.log"
    end_release
    rm -rf "${scratch:?}/$1"
    check "$@"
}

read -r -a wanted <<<"${VERSIONS:-$CURRENT}"
if [ "${wanted[0]}" = all ]; then wanted=("${RELEASES[@]}"); fi
for release in "${wanted[@]}"; do
    [[ " ${RELEASES[*]} " == *" $release "* ]] || { echo "FAIL  unknown release $release. Known: ${RELEASES[*]}" && exit 1; }
done
failed=()
for release in "${wanted[@]}"; do
    began=$SECONDS
    if check_fairly "$release" "$@"; then
        echo "ok    openclaw $release, $((SECONDS - began)) s"
    else
        failed+=("$release")
        if [ -f "$folder/log" ]; then cp "$folder/log" "$packages/gateway-$release.log"; fi
        if [ -f "$folder/rehearsal.json" ]; then cp "$folder/rehearsal.json" "$packages/rehearsal-$release.json"; fi
        echo "FAIL  openclaw $release. Log and rehearsal: $packages/*-$release.*"
    fi
    end_release
done
if [ "${#failed[@]}" -gt 0 ]; then
    echo "FAIL  of ${#wanted[@]} releases: ${failed[*]}"
    exit 1
fi
