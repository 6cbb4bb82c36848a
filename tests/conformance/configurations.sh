#!/usr/bin/env bash
# Starts the real OpenClaw gateway with each configuration of tests/golden/gateway-config, as the gateway's container would:
# its own validation and its doctor have no complaint, and /v1/responses answers a turn.
#
#   tests/conformance/configurations.sh [NAME…]     all of them and the sample of docs/openclaw-setup.md, or those that are named
#
# The packages are those of releases.sh. A missing package is said in a line
# that begins with SKIPPED, and fails nothing. Everything listens on 127.0.0.1 only, on free ports.
# Programs for node are in single quotes.
# shellcheck disable=SC2016
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

# shellcheck source=tests/conformance/releases.sh
source tests/conformance/releases.sh

READY_SECONDS=240
GOLDEN=tests/golden/gateway-config

scratch=$(mktemp -d)
gateway=
mock=

# Ends a process group; a turn in flight is not waited for.
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
    echo "== configurations: $SECONDS s"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skip() {
    echo "SKIPPED configurations: $1"
    exit 0
}

fail() {
    echo "FAIL  $1"
    exit 1
}

install "$CURRENT" || skip "$problem"

setsid "$node" tests/conformance/mock-model.mjs >"$scratch/mock" 2>"$scratch/mock.log" &
mock=$!
for ((tenths = 0; tenths < 100; tenths += 1)); do
    if [ -s "$scratch/mock" ]; then break; fi
    sleep 0.1
done
model=$(cat "$scratch/mock")
[ -n "$model" ] || fail "the mock model does not start: $(cat "$scratch/mock.log")"

# Writes a field of a golden file. Texts are written without quotes.
field() {
    "$node" -e '
        const value = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))[process.argv[2]];
        console.log(typeof value === "string" ? value : JSON.stringify(value, null, 2));
    ' "$1" "$2"
}

# The variables of a golden file as NAME=value lines.
variables() {
    "$node" -e '
        const file = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
        for (const [name, value] of Object.entries(file.environment)) console.log(`${name}=${value}`);
    ' "$1"
}

# Runs the gateway's command line in a clean environment with the variables of the golden file.
openclaw() {
    (cd "$state" && exec env -i PATH="$(dirname "$node"):/usr/bin:/bin" HOME="$state/home" TMPDIR="$state/tmp" LANG=C.UTF-8 \
        OPENCLAW_STATE_DIR="$state" OPENCLAW_CONFIG_PATH="$state/openclaw.json" OPENCLAW_NO_RESPAWN=1 \
        OPENCLAW_NO_AUTO_UPDATE=1 OPENCLAW_DISABLE_BONJOUR=1 OPENCLAW_SKIP_CHANNELS=1 NO_COLOR=1 \
        "${environment[@]}" "$node" "$program" "$@")
}

# What the doctor finds, one line each. One of two findings is true of every configuration and left out: the address is
# open to the network, or it is loopback and other machines cannot join.
findings() {
    openclaw doctor --lint >"$state/doctor" 2>"$state/doctor.log"
    "$node" -e '
        const text = require("fs").readFileSync(process.argv[1], "utf8");
        const known = ["gateway.bind_network_accessible", "node-onboarding-url"];
        for (const found of JSON.parse(text.slice(text.indexOf("{"))).findings) {
            if (!known.includes(found.requirement)) console.log(`${found.checkId}: ${found.message} ${found.fixHint ?? ""}`.replaceAll("\n", " "));
        }
    ' "$state/doctor" || cat "$state/doctor" "$state/doctor.log"
}

# The same configuration with the mock model in place of the providers, and with workspaces that this user may write.
with_mock() {
    "$node" -e '
        const fs = require("fs"), [path, port, state] = process.argv.slice(1);
        const config = JSON.parse(fs.readFileSync(path, "utf8"));
        config.models = { providers: { mock: {
            baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: "none", api: "openai-completions",
            models: [{ id: "mock-1", name: "Mock", input: ["text"], contextWindow: 128000, maxTokens: 4096 }],
        } } };
        config.agents.defaults.model = { primary: "mock/mock-1", fallbacks: [] };
        config.agents.defaults.workspace = `${state}/workspace`;
        const agents = config.agents.list ?? Object.entries(config.agents.entries ?? {}).map(([id, agent]) => Object.assign(agent, { id }));
        for (const agent of agents) {
            delete agent.model;
            agent.workspace = `${state}/workspace-${agent.id}`;
            if (config.agents.entries) delete agent.id;
        }
        fs.writeFileSync(path, JSON.stringify(config, null, 2));
    ' "$state/openclaw.json" "$model" "$state"
}

# The gateway starts the configured browser when it is needed: nothing else starts one.
browse() {
    local executable
    executable=$("$node" -p 'JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).browser.executablePath' "$state/openclaw.json")
    if [ ! -x "$executable" ]; then
        echo "SKIPPED browser: $executable is not on this machine (Debian: chromium)"
        return
    fi
    if ! openclaw browser --url "ws://127.0.0.1:$port" --token "$token" start >"$state/browse" 2>&1 ||
        ! grep -q 'running: true' "$state/browse"; then
        tail -n 30 "$state/browse" "$state/gateway.log"
        fail "$name: the gateway starts no browser"
    fi
    echo "ok    $name: the gateway starts the browser on demand"
}

check() {
    local name=$1 golden=$GOLDEN/$1.json began=$SECONDS release port url token status agent found
    if [ "$name" = sample ]; then golden=$scratch/sample.json; fi
    release=$(field "$golden" release)
    if [ "$release" = null ]; then release=$CURRENT; fi
    install "$release" || skip "$problem"
    state=$scratch/$name
    mkdir -p "$state/home" "$state/tmp"
    field "$golden" config >"$state/openclaw.json"
    chmod 700 "$state"
    chmod 600 "$state/openclaw.json"
    mapfile -t environment < <(variables "$golden")
    openclaw config validate >"$state/validate" 2>&1 || { cat "$state/validate"; fail "$name: the configuration is refused"; }
    # 2026.7 warns of each plugin that is named and not installed.
    if [ "$release" = "$CURRENT" ] && grep -q 'warning(s)' "$state/validate"; then
        cat "$state/validate"
        fail "$name: the validation warns"
    fi

    with_mock
    port=$(free_port)
    (
        cd "$state" || exit 1
        exec setsid env -i PATH="$(dirname "$node"):/usr/bin:/bin" HOME="$state/home" TMPDIR="$state/tmp" LANG=C.UTF-8 \
            OPENCLAW_STATE_DIR="$state" OPENCLAW_CONFIG_PATH="$state/openclaw.json" OPENCLAW_NO_RESPAWN=1 \
            OPENCLAW_NO_AUTO_UPDATE=1 OPENCLAW_DISABLE_BONJOUR=1 OPENCLAW_SKIP_CHANNELS=1 NO_COLOR=1 \
            "${environment[@]}" "$node" "$program" gateway run --bind loopback --port "$port"
    ) >"$state/gateway.log" 2>&1 &
    gateway=$!
    url=http://127.0.0.1:$port
    until curl --silent --fail --max-time 5 --output /dev/null "$url/readyz"; do
        kill -0 "$gateway" 2>/dev/null || { tail -n 30 "$state/gateway.log"; fail "$name: the gateway has ended"; }
        [ $((SECONDS - began)) -le "$READY_SECONDS" ] || { tail -n 30 "$state/gateway.log"; fail "$name: not ready"; }
        sleep 0.3
    done
    token=$(variables "$golden" | sed -n 's/^\(OPENCLAW\|CLAWDBOT\)_GATEWAY_TOKEN=//p')
    agent=$("$node" -e '
        const agents = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).agents;
        console.log(agents.list?.[0].id ?? Object.keys(agents.entries ?? {})[0] ?? "main");
    ' "$state/openclaw.json")
    if [ "$name" = the-operators-own-settings ]; then token="the operator's own"; fi
    status=$(curl --silent --max-time 90 --output "$state/turn" --write-out '%{http_code}' "$url/v1/responses" \
        ${token:+-H "Authorization: Bearer $token"} -H 'Content-Type: application/json' \
        -d "{\"model\":\"openclaw/$agent\",\"input\":\"SAY the turn is answered\"}")
    if [ "$status" != 200 ] || ! grep -q 'the turn is answered' "$state/turn"; then
        tail -n 30 "$state/gateway.log"
        fail "$name: the turn got $status $(head -c 500 "$state/turn")"
    fi
    if [ "$name" = tools-and-browser ]; then browse; fi
    end "$gateway"
    gateway=

    # The doctor looks at the file itself, in the state that the gateway has left.
    field "$golden" config >"$state/openclaw.json"
    case $name in
    # Another release; plugins that are not in the package; a secret and an address that the operator chose.
    older-release | channels | the-operators-own-settings) ;;
    *)
        found=$(findings)
        [ -z "$found" ] || { echo "$found"; fail "$name: the doctor complains"; }
        ;;
    esac
    echo "ok    $name: openclaw $release accepts it and answers a turn, $((SECONDS - began)) s"
}

"$node" -e '
    const text = require("fs").readFileSync("docs/openclaw-setup.md", "utf8");
    const config = JSON.parse(/```json\n([^]*?)```/.exec(text)[1]);
    const environment = { OPENCLAW_GATEWAY_TOKEN: "the-token-of-the-gateway", ANTHROPIC_API_KEY: "key-a" };
    console.log(JSON.stringify({ environment, release: null, config }));
' >"$scratch/sample.json" || fail 'docs/openclaw-setup.md has no sample'

if [ "$#" -eq 0 ]; then
    set -- sample
    for golden in "$GOLDEN"/*.json; do set -- "$@" "$(basename "$golden" .json)"; done
fi
for name in "$@"; do check "$name"; done
