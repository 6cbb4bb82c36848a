#!/usr/bin/env bash
# The real OpenClaw gateway reads the workspaces and the generated configuration that the program writes: an agent quotes its
# SOUL, its rules and its skills, reads a skill, and the gateway's doctor has no complaint. No second heartbeat exists.
#
#   tests/conformance/workspaces.sh
#
# The packages are those of releases.sh. Without them this says SKIPPED and fails nothing. Everything listens
# on 127.0.0.1 only, on free ports.
# Programs for node are in single quotes.
# shellcheck disable=SC2016
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

# shellcheck source=tests/conformance/releases.sh
source tests/conformance/releases.sh

READY_SECONDS=240

scratch=$(mktemp -d)
state=$scratch/state
root=$scratch/openclaw/agents
token='token-of-the-conformance-tests'
groups=()

# Ends a process group; a turn in flight is not waited for.
end() {
    local group=$1 tenths
    kill -TERM -- "-$group" 2>/dev/null
    for ((tenths = 0; tenths < 80; tenths += 1)); do
        if ! kill -0 -- "-$group" 2>/dev/null; then return; fi
        sleep 0.1
    done
    kill -KILL -- "-$group" 2>/dev/null
}

finish() {
    local code=$? group
    for group in "${groups[@]}"; do end "$group"; done
    rm -rf "$scratch"
    echo "== workspaces: $SECONDS s"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "FAIL  $1"
    tail -n 20 "$scratch"/*.log 2>/dev/null
    exit 1
}

install "$CURRENT" || { echo "SKIPPED workspaces: $problem" && exit 0; }
gateway_program=$program
"${CARGO:-cargo}" build --locked --quiet || fail 'the program is not built'
program=$(realpath "${CARGO_TARGET_DIR:-target}/debug/mission-control-runtime")

# Waits until a command succeeds.
await() {
    local what=$1 began=$SECONDS
    shift
    until "$@" >/dev/null 2>&1; do
        [ $((SECONDS - began)) -le "$READY_SECONDS" ] || fail "$what: not within $READY_SECONDS s"
        sleep 0.3
    done
}

mkdir -p "$state" "$scratch/home" "$scratch/tmp" "$root"
chmod 700 "$state" "$root" "$scratch/openclaw"
MOCK_REQUESTS=$scratch/requests setsid "$node" tests/conformance/mock-model.mjs >"$scratch/mock" 2>"$scratch/mock.log" &
groups+=("$!")
await 'the mock model' test -s "$scratch/mock"
model=$(cat "$scratch/mock")
board=$(free_port) health=$(free_port) port=$(free_port)

# The demo team on an embedded Mission Control, and the runtime that writes its workspaces. It sends no turns.
setsid "$program" local --data "$scratch/data" --seed demo --listen "127.0.0.1:$board" --env-out "$scratch/env" >"$scratch/local.log" 2>&1 &
groups+=("$!")
await 'Mission Control' test -s "$scratch/env"
setsid env -i PATH=/usr/bin:/bin HOME="$scratch/home" STATE_DIR="$scratch/runtime" HEALTH_PORT="$health" \
    OPENCLAW_GATEWAY_URL= OPENCLAW_VERSION="$CURRENT" \
    OPENCLAW_PROFILE_SYNC=yes OPENCLAW_WORKSPACE_ROOT="$root" \
    "$program" run --env-file "$scratch/env" >"$scratch/run.log" 2>&1 &
groups+=("$!")
await 'the workspaces' test -s "$scratch/openclaw/openclaw.json"

# The configuration as the gateway's container makes it.
env -i PATH=/usr/bin:/bin HOME="$scratch/home" OPENCLAW_GATEWAY_TOKEN="$token" OPENCLAW_BIND_HOST=127.0.0.1 AI_GATEWAY_API_KEY=a-key \
    "$program" gateway-config --template packaging/openclaw.template.json --generated "$scratch/openclaw/openclaw.json" \
    --out "$state/openclaw.json" --release "$CURRENT" 2>"$scratch/merge.log" || fail 'gateway-config fails'
cp "$state/openclaw.json" "$scratch/merged.json"

openclaw() {
    (cd "$state" && exec env -i PATH="$(dirname "$node"):/usr/bin:/bin" HOME="$scratch/home" TMPDIR="$scratch/tmp" LANG=C.UTF-8 \
        OPENCLAW_STATE_DIR="$state" OPENCLAW_CONFIG_PATH="$state/openclaw.json" OPENCLAW_NO_RESPAWN=1 \
        OPENCLAW_NO_AUTO_UPDATE=1 OPENCLAW_DISABLE_BONJOUR=1 OPENCLAW_SKIP_CHANNELS=1 NO_COLOR=1 \
        OPENCLAW_GATEWAY_TOKEN="$token" AI_GATEWAY_API_KEY=a-key \
        "$node" "$gateway_program" "$@")
}

openclaw config validate >"$scratch/validate.log" 2>&1 || fail 'the configuration is refused'

# The mock model in place of the providers; agents, workspaces and skills stay.
"$node" -e '
    const fs = require("fs"), [path, port] = process.argv.slice(1);
    const config = JSON.parse(fs.readFileSync(path, "utf8"));
    config.models = { providers: { mock: {
        baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: "none", api: "openai-completions",
        models: [{ id: "mock-1", name: "Mock", input: ["text"], contextWindow: 128000, maxTokens: 4096 }],
    } } };
    config.agents.defaults.model = { primary: "mock/mock-1", fallbacks: [] };
    for (const agent of Object.values(config.agents.entries)) delete agent.model;
    fs.writeFileSync(path, JSON.stringify(config, null, 2));
' "$state/openclaw.json" "$model" || fail 'the model cannot be replaced'
# The files of the profiles. The memory belongs to the agents.
sums() { find "$root" -type f -not -path '*/memory/*' -exec cksum {} + | sort -k 3; }
sums >"$scratch/before"
(setsid bash -c "$(declare -f openclaw); state='$state' scratch='$scratch' node='$node' gateway_program='$gateway_program' token='$token'; openclaw gateway run --bind loopback --port $port" >"$scratch/gateway.log" 2>&1) &
gateway=$!
groups+=("$gateway")
echo "== built and written after $SECONDS s"
await 'the gateway' curl --silent --fail --max-time 5 "http://127.0.0.1:$port/readyz"

# Sends one turn to an agent, and expects these words in its answer.
expect() {
    local agent=$1 input=$2 words=$3 body status
    body=$("$node" -e 'console.log(JSON.stringify({ model: `openclaw/${process.argv[1]}`, input: process.argv[2] }))' "$agent" "$input")
    status=$(curl --silent --max-time 120 --output "$scratch/turn" --write-out '%{http_code}' "http://127.0.0.1:$port/v1/responses" \
        -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d "$body")
    if [ "$status" != 200 ] || ! grep -qF -- "$words" "$scratch/turn"; then
        fail "$agent, $input: $status $(head -c 600 "$scratch/turn")"
    fi
    echo "ok    $agent: $input, after $SECONDS s"
}

expect engineer 'QUOTE SOUL:' '# SOUL: Jonas, engineer'
expect qa 'QUOTE SOUL:' '# SOUL: Tomas'
expect engineer 'QUOTE /worktrees/<task id>' "$scratch/openclaw/worktrees/<task id>"
expect engineer 'QUOTE (handover)' '- **'
expect engineer 'CALL read {"path": "skills/handover/SKILL.md"}' 'Ask exactly one colleague'
[ "$(wc -l <"$scratch/requests")" -ge 6 ] || fail 'the model was not asked'
grep -q 'available_skills' "$scratch/requests" || fail 'the gateway lists no skills'

# No second heartbeat: no file that a doctor would import, and none is configured.
[ -z "$(find "$root" -name HEARTBEAT.md -o -name TOOLS.md)" ] || fail 'retired files are there'
grep -A 1 '"heartbeat"' "$scratch/merged.json" | grep -q '"every": "0m"' || fail 'the heartbeat of the gateway is on'
end "$gateway"

# The doctor looks at the file itself. One of two findings is true of every configuration: see configurations.sh.
cp "$scratch/merged.json" "$state/openclaw.json"
openclaw doctor --lint >"$scratch/doctor.json" 2>"$scratch/doctor.log"
"$node" -e '
    const text = require("fs").readFileSync(process.argv[1], "utf8");
    const known = ["gateway.bind_network_accessible", "node-onboarding-url"];
    const found = JSON.parse(text.slice(text.indexOf("{"))).findings.filter((found) => !known.includes(found.requirement));
    for (const one of found) console.log(`${one.checkId}: ${one.message}`);
    process.exit(found.length === 0 ? 0 : 1);
' "$scratch/doctor.json" || fail 'the doctor complains'
# Its repairs archive and import nothing.
openclaw doctor --fix --non-interactive >"$scratch/fix.log" 2>&1
sums >"$scratch/after"
diff "$scratch/before" "$scratch/after" >"$scratch/diff.log" || fail "files of the workspaces changed: $(cat "$scratch/diff.log")"
grep -A 1 '"heartbeat"' "$state/openclaw.json" | grep -q '"every": "0m"' || fail 'the doctor switches a heartbeat on'
echo "ok    the doctor of openclaw $CURRENT has no complaint"
