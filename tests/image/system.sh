#!/usr/bin/env bash
# Runs what docker-compose.runtime.yml describes under the profiles `openclaw` and `local`, without an engine: the variables and
# commands of that file, in networks with its addresses. A person mentions an agent; the answer must stand in the thread.
#
#   BINARY   a full static binary (default: dist/mission-control-runtime)
#
# In place of the real parts: a bridge of this test for Docker's network, /etc/hosts for its names, the packages of `make
# conformance` on this machine for the gateway's image, and a model that repeats words for a provider. The start script, the
# gateway, the runtime and Mission Control are the real ones. A missing part is reported in a line that starts with SKIPPED.
# shellcheck source=tests/image/harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
# shellcheck source=tests/image/containers.sh
. "$(dirname "${BASH_SOURCE[0]}")/containers.sh"

OPENCLAW=2026.9.6
NODE=24.21.0
GATEWAY_SECONDS=180

skip() {
    echo "SKIPPED system: $1"
    exit 0
}

binary=${BINARY:-$root/dist/mission-control-runtime}
packages=$(realpath -m "${CONFORMANCE_PACKAGES:-${CARGO_TARGET_DIR:-$root/target}/conformance}")
openclaw=$packages/openclaw-$OPENCLAW/node_modules/openclaw/openclaw.mjs
compose=${COMPOSE_FILE:-$root/docker-compose.runtime.yml}
[ -x "$binary" ] || skip "there is no full static binary $binary. Build it with make static, or name one in BINARY"
[ -f "$openclaw" ] || skip "OpenClaw $OPENCLAW is not in $packages. \`make conformance\` downloads it"
[ "$(id -u)" = 0 ] || skip 'only root can make the namespaces'
for tool in ip unshare nsenter setpriv curl jq; do
    command -v "$tool" >/dev/null || skip "$tool is missing (Debian: iproute2, util-linux, curl, jq)"
done
inside_namespaces "$@"
if ! ip link show bridge0 >/dev/null 2>&1; then skip 'this kernel makes no bridge'; fi
node=$(echo "$packages/node-$NODE"/node_modules/node-linux-*/bin)

# The lines of a service's block in the compose file, such as `environment:`, without comments.
block() {
    awk -v service="  $1:" -v block="    $2:" '
        /^  [a-z]/ { inside = ($0 == service) }
        /^    [a-z]/ { wanted = ($0 == block); next }
        inside && wanted && !/^ *#/ { sub(/^ +/, ""); print }' "$compose"
}

# The variables of a service, with the defaults of the compose file. `${NAME:-default}` means the same in bash.
variables() {
    local name value
    while IFS=': ' read -r name value; do
        # A name without a value takes the value of the environment.
        value=$(eval "echo ${value:-\${$name:-\}}")
        if [ -n "$value" ]; then echo "$name=$value"; fi
    done < <(block "$1" environment)
}

# The values that a person would put into .env.
OPENCLAW_GATEWAY_TOKEN=$(od -An -N 32 -t x1 /dev/urandom | tr -d ' \n')

# What `make up-all` sets.
export OPENCLAW_AGENTS=squad-lead,engineer,qa,designer,writer

prepare() {
    local folder
    chmod 711 "$scratch" "$work"
    "$root/scripts/image-root.sh" "$binary" image
    mkdir -p image/root/var/lib image/root/clawd volumes opt bin
    cp -a image/owned/. image/root/var/lib/
    chown 65532:65532 image/root/var/lib/*
    for folder in mission-control mission-control-env mission-control-runtime; do cp -a "image/root/var/lib/$folder" "volumes/$folder"; done
    install -d -o 65532 -g 65532 -m 0700 volumes/gateway
    install -d -o 65532 -g 65532 -m 2770 volumes/clawd volumes/clawd/agents
    printf '127.0.0.1 localhost\n%s mission-control\n%s runtime\n%s openclaw-gateway\n' "$net.15" "$net.5" "$net.10" >hosts
    cp hosts image/root/etc/hosts
    # What the gateway's Dockerfile installs.
    cp "$root/openclaw/start.sh" "$root/openclaw/openclaw.template.json" opt/
    install -m 0555 "${GATEWAY_CONFIG_BINARY:-$binary}" bin/mission-control-runtime
    printf '#!/bin/sh\nexec %q %q "$@"\n' "$node/node" "$openclaw" >bin/openclaw
    chmod 755 bin/openclaw
    mkdir -p gateway-env
    # A person's own settings: the provider is the model of this test.
    network gateway "$net.10"
    network runtime "$net.5"
    network mission-control "$net.15"
    nsenter --net="/proc/${holders[gateway]}/ns/net" "$node/node" "$root/tests/conformance/mock-model.mjs" >model 2>model.out &
    mains[model]=$!
    expect 'the model listens' eventually [ -s model ]
    jq -n --arg url "http://127.0.0.1:$(cat model)/v1" '{
        models: {mode: "merge", catalogRefresh: {enabled: false}, providers: {mock: {
            baseUrl: $url, apiKey: "none", api: "openai-completions", models: [{
                id: "mock-1", name: "Mock", reasoning: false, input: ["text"], contextWindow: 128000, maxTokens: 4096,
                cost: {input: 0, output: 0, cacheRead: 0, cacheWrite: 0}}]}}},
        agents: {defaults: {model: {primary: "mock/mock-1"}}},
        plugins: {enabled: false}}' >volumes/gateway/openclaw.json
    chown 65532:65532 volumes/gateway/openclaw.json
}

mission_control_is_healthy() {
    in_container mission-control "$work/image/root" 'PATH=/usr/local/bin' \
        /usr/local/bin/mission-control-runtime local status --listen=mission-control:3210 2>/dev/null
}

start_mission_control() {
    local command=()
    mapfile -t command < <(block mission-control command | sed 's/^- //')
    container mission-control "$work/image/root" "$work/volumes/mission-control /var/lib/mission-control
$work/volumes/mission-control-env /var/lib/mission-control-env" 'PATH=/usr/local/bin' \
        /usr/local/bin/mission-control-runtime "${command[@]}"
    expect 'the health check of compose succeeds' eventually mission_control_is_healthy
    expect 'its log has no token' lacks mission-control.out mc_service_
    admin_key=$(cat volumes/mission-control/admin-key)
    account=$(sed -n 's/^ACCOUNT_ID=//p' volumes/mission-control-env/runtime.env)
    expect 'the address is the name' contains volumes/mission-control-env/runtime.env CONVEX_URL=http://mission-control:3210
}

start_runtime() {
    container runtime "$work/image/root" "$work/volumes/mission-control-runtime /var/lib/mission-control-runtime
$work/volumes/mission-control-env /var/lib/mission-control-env
$work/volumes/clawd /clawd" "STATE_DIR=/var/lib/mission-control-runtime
$(variables runtime)" /usr/local/bin/mission-control-runtime run
    expect '/readyz answers' eventually answers "http://$net.5:3001/readyz" 200
}

# On this machine's files, as user 65532, with the folders where the image has them.
start_gateway() {
    local environment=()
    mapfile -t environment < <(variables openclaw-gateway | grep -v '^OPENCLAW_WORKSPACE_ROOT=')
    # shellcheck disable=SC2016
    nsenter --net="/proc/${holders[gateway]}/ns/net" unshare --mount bash -c '
        mount --bind "$1" /etc/hosts && shift && cd / &&
        exec setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all env -i "$@"
    ' bash "$work/hosts" PATH="$work/bin:$node:/usr/bin:/bin" HOME="$work/volumes/gateway" LANG=C.UTF-8 \
        OPENCLAW_STATE_DIR="$work/volumes/gateway" OPENCLAW_CONFIG_PATH="$work/volumes/gateway/openclaw.json" \
        OPENCLAW_ENV_FILE="$work/gateway-env/gateway.env" OPENCLAW_NO_AUTO_UPDATE=1 OPENCLAW_NO_RESPAWN=1 OPENCLAW_DISABLE_BONJOUR=1 \
        OPENCLAW_SKIP_CHANNELS=1 OPENCLAW_WATCH_SECONDS=1 NO_COLOR=1 \
        "${environment[@]}" OPENCLAW_WORKSPACE_ROOT="$work/volumes/clawd/agents" \
        bash "$work/opt/start.sh" >>gateway.out 2>&1 &
    mains[gateway]=$!
    await_gateway
}

gateway_is_ready() { [ "$(status_from runtime "http://$net.10:18789/readyz")" = 200 ]; }
await_gateway() {
    local began=$SECONDS
    until gateway_is_ready; do
        if ended "${mains[gateway]}"; then expect 'the gateway runs' false; fi
        expect "the gateway is ready after $GATEWAY_SECONDS s" [ $((SECONDS - began)) -lt "$GATEWAY_SECONDS" ]
        sleep 0.5
    done
    echo "the gateway was ready after $((SECONDS - began)) s"
}

# ask KIND PATH ARGUMENTS: a call of a person, from the published port. Prints the value.
ask() {
    curl --silent --show-error --max-time 10 "http://$net.15:3210/api/$1" -H "Authorization: Convex $admin_key" -H 'Content-Type: application/json' \
        --data "$(jq -n --arg path "$2" --arg account "$account" --argjson args "$3" '{path: $path, args: ($args + {accountId: $account})}')" | jq -c .value
}

# answered TASK TEXT: whether an agent has written this.
answered() {
    ask query messages:listByTask "{\"taskId\": \"$1\"}" | jq -e --arg text "$2" 'map(select(.authorType == "agent" and .content == $text)) | length == 1' >/dev/null
}

# converse WORDS: mentions the engineer in a new task and waits for its answer.
converse() {
    local task began=$SECONDS
    task=$(ask mutation tasks:create "{\"title\": \"A question: $1\"}" | jq -r .)
    ask mutation messages:create "{\"taskId\": \"$task\", \"content\": \"@engineer SAY $1\"}" >/dev/null
    until answered "$task" "$1"; do
        expect "an answer with $1 after 120 s" [ $((SECONDS - began)) -lt 120 ]
        sleep 0.3
    done
    echo "answered after $((SECONDS - began)) s"
}

the_whole_system_answers_a_person() {
    local id began
    prepare
    start_mission_control
    start_runtime
    expect 'both limits are one number' [ "$(variables runtime | sed -n 's/^DELIVERY_MAX_CONCURRENT_SESSIONS=//p')" = \
        "$(variables openclaw-gateway | sed -n 's/^OPENCLAW_MAX_CONCURRENT=//p')" ]
    start_gateway
    expect 'no token in the log' lacks gateway.out "$OPENCLAW_GATEWAY_TOKEN"
    expect 'no token in the configuration' lacks volumes/gateway/openclaw.json "$OPENCLAW_GATEWAY_TOKEN"

    converse answer-of-a-named-agent

    echo '== the generated configuration appears while the gateway runs'
    jq -n --arg folder "$work/volumes/clawd/agents" '{agents: {list: [
        {id: "squad-lead"}, {id: "engineer", workspace: ($folder + "/engineer")}]}}' >generated
    install -o 65532 -g 65532 -m 0640 generated volumes/clawd/openclaw.json
    expect 'merged' eventually contains volumes/gateway/openclaw.json engineer
    converse first-answer
    expect 'the gateway was not restarted' [ "$(count gateway.out 'start: the Control UI')" = 1 ]

    echo '== a key appears in the env file'
    echo 'BRAVE_API_KEY=a-key-of-this-test' >gateway-env/gateway.env
    expect 'it restarts' eventually contains gateway.out 'the gateway restarts after its running turns'
    expect 'it goes down' eventually_not gateway_is_ready
    await_gateway
    converse second-answer

    echo '== everything stops within the time of compose'
    for id in "${mains[gateway]}" "$(first_process runtime)" "$(first_process mission-control)"; do
        began=$SECONDS
        kill -TERM "$id"
        while ! ended "$id"; do
            expect "process $id ends within 40 s" [ $((SECONDS - began)) -le 40 ]
            sleep 0.1
        done
        echo "ended after $((SECONDS - began)) s"
    done
}

eventually_not() {
    local tenths
    for ((tenths = 0; tenths < 400; tenths += 1)); do
        if ! "$@"; then return; fi
        sleep 0.1
    done
    return 1
}

run_tests the_whole_system_answers_a_person
code=$?
if [ "$code" -ne 0 ]; then
    for name in gateway runtime mission-control; do
        echo "== the last lines of $name"
        tail -n 25 2>/dev/null "$scratch/the_whole_system_answers_a_person/$name.out"
    done
fi
sed 's/^/      /' "$scratch/the_whole_system_answers_a_person.out"
exit "$code"
