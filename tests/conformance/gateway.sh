#!/usr/bin/env bash
# Runs one real OpenClaw gateway in a folder of its own. Everything listens on 127.0.0.1 only.
#
#   tests/conformance/gateway.sh new FOLDER RELEASE MODEL_PORT AGENT,…   installs the release, writes its configuration
#   tests/conformance/gateway.sh start FOLDER      starts it and waits until it takes turns
#   tests/conformance/gateway.sh kill FOLDER       ends it with SIGKILL
#   tests/conformance/gateway.sh stop FOLDER       ends it in order; a turn in flight is not awaited
#   tests/conformance/gateway.sh warm FOLDER       one turn of each agent: the first one takes seconds
#   tests/conformance/gateway.sh use FOLDER RELEASE    changes to another release with the same state. An older release cannot read
#                                                      the state of a newer one: it gets back the state that it left
#
# Files in FOLDER: url, token, release, log, state (the gateway's own). Exit code 3: the packages cannot be installed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/conformance/releases.sh
source tests/conformance/releases.sh

READY_SECONDS=${READY_SECONDS:-240}
WARM_SECONDS=240

command=$1 folder=$(realpath -m "$2")

fail() {
    echo "FAIL  $1"
    if [ -s "$folder/log" ]; then tail -n 30 "$folder/log"; fi
    exit 1
}

value() { cat "$folder/$1"; }

# Installs the release and writes its configuration.
configure() {
    install "$1" || { echo "$problem" && exit 3; }
    echo "$1" >"$folder/release"
    (umask 077 && "$node" tests/conformance/configuration.mjs "$1" "$(value port)" "$(value model)" "$(value token)" "$folder" \
        "$(value agents)" >"$folder/state/openclaw.json") || fail 'no configuration'
}

# /readyz is 200 once turns are taken. Where it never is, a gateway that has been live for a while is ready.
is_ready() {
    local url=$1
    curl --silent --fail --max-time 5 --output /dev/null "$url/readyz" && return
    if ! curl --silent --fail --max-time 5 --output /dev/null "$url/health"; then
        live_since=
        return 1
    fi
    live_since=${live_since:-$SECONDS}
    [ $((SECONDS - live_since)) -ge 20 ]
}

# Whether the gateway has ended because two of its own threads wanted the lock of its state at once. 2026.8 and later take that
# lock for each write, without waiting for it. The lock belongs to a process, so a killed one leaves none behind.
has_lost_lock() { tail -n 20 "$folder/log" | grep -q 'another OpenClaw process owns'; }

launch() {
    # With an empty environment: the gateway would read provider keys and proxies from ours. A process group of its own ends
    # with its children.
    (
        cd "$folder/state" || exit 1
        exec setsid env -i PATH="$(dirname "$node"):/usr/bin:/bin" HOME="$folder/home" TMPDIR="$folder/tmp" LANG=C.UTF-8 \
            OPENCLAW_STATE_DIR="$folder/state" OPENCLAW_CONFIG_PATH="$folder/state/openclaw.json" OPENCLAW_NO_RESPAWN=1 \
            OPENCLAW_NO_AUTO_UPDATE=1 OPENCLAW_DISABLE_BONJOUR=1 OPENCLAW_SKIP_CHANNELS=1 OPENCLAW_SKIP_CRON=1 NO_COLOR=1 \
            "$node" "$program" gateway run --port "$(value port)"
    ) >>"$folder/log" 2>&1 </dev/null &
    echo $! >"$folder/group"
}

start() {
    local url live_since=
    url=$(value url)
    install "$(value release)" || { echo "$problem" && exit 3; }
    launch
    until is_ready "$url"; do
        if ! kill -0 "$(value group)" 2>/dev/null; then
            # A service manager starts it again, too.
            has_lost_lock || fail 'the gateway has ended'
            echo '== the gateway has lost the lock of its state, and starts again'
            launch
        fi
        [ "$SECONDS" -le "$READY_SECONDS" ] || fail "the gateway is not ready after $READY_SECONDS s"
        sleep 0.2
    done
    echo "== openclaw $(value release) is ready after $SECONDS s"
}

# Waits up to some tenths of a second for the end of the gateway.
has_ended() {
    local group=$1 tenths
    for ((tenths = 0; tenths < $2; tenths += 1)); do
        kill -0 -- "-$group" 2>/dev/null || return 0
        sleep 0.1
    done
    return 1
}

end() {
    local group
    [ -s "$folder/group" ] || return 0
    group=$(value group)
    if [ "$1" = TERM ]; then
        kill -TERM -- "-$group" 2>/dev/null
        has_ended "$group" 80 && return
    fi
    kill -KILL -- "-$group" 2>/dev/null
    has_ended "$group" 600 || fail 'the gateway does not end'
    rm -f "$folder/group"
}

warm() {
    local agent status agents
    IFS=, read -r -a agents <"$folder/agents"
    for agent in "${agents[@]}"; do
        status=$(curl --silent --max-time "$WARM_SECONDS" --output "$folder/warm" --write-out '%{http_code}' "$(value url)/v1/responses" \
            -H "Authorization: Bearer $(value token)" -H 'Content-Type: application/json' \
            -d "{\"model\":\"openclaw/$agent\",\"input\":\"SAY warm\"}")
        if [ "$status" != 200 ] || ! grep -q '"warm"' "$folder/warm"; then fail "the first turn of $agent: $status $(cat "$folder/warm")"; fi
    done
    echo "== its agents are warm after $SECONDS s"
}

case $command in
new)
    mkdir -p "$folder/state" "$folder/home" "$folder/tmp"
    chmod 700 "$folder/state"
    install "$3" || { echo "$problem" && exit 3; }
    port=$(free_port)
    echo "$port" >"$folder/port"
    echo "http://127.0.0.1:$port" >"$folder/url"
    echo token-of-the-conformance-tests >"$folder/token"
    echo "$4" >"$folder/model"
    echo "$5" >"$folder/agents"
    configure "$3"
    ;;
use)
    left=$folder/state-$(value release)
    rm -rf "$left"
    cp -a "$folder/state" "$left"
    if [ -d "$folder/state-$3" ]; then rm -rf "$folder/state" && mv "$folder/state-$3" "$folder/state"; fi
    configure "$3"
    ;;
start) start ;;
kill) end KILL ;;
stop) end TERM ;;
warm) warm ;;
*) fail "unknown command $command" ;;
esac
