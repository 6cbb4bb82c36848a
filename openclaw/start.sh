#!/usr/bin/env bash
# Starts the OpenClaw gateway in its container, and keeps its configuration up to date.
#
# 1. Variables come from the container. OPENCLAW_ENV_FILE adds those that the container does not set. OPENCLAW_KEYS_FILE,
#    which the runtime writes with the keys stored in Mission Control, replaces both. Neither file may name variables that
#    decide which programs run, or those that this script reads before the files.
# 2. `gateway-config` merges the variables, the template and the runtime's generated configuration into openclaw.json.
# 3. The gateway runs until it ends or until a signal arrives. This script ends with the gateway's exit code.
# 4. With OPENCLAW_CONFIG_RELOAD=1 the script watches these files. They may also appear later, or disappear.
#    A change of the generated configuration is merged; the gateway reloads openclaw.json and keeps its turns.
#    A change of an env file restarts the gateway, because a process gets its environment at its start. The gateway
#    finishes its turns first.
#
# No token is printed, or passed on a command line.
set -uo pipefail

state=${OPENCLAW_STATE_DIR:-$HOME/.openclaw}
config=${OPENCLAW_CONFIG_PATH:-$state/openclaw.json}
env_file=${OPENCLAW_ENV_FILE:-/etc/openclaw/gateway.env}
keys_file=${OPENCLAW_KEYS_FILE:-/run/mission-control-keys/gateway.env}
workspaces=${OPENCLAW_WORKSPACE_ROOT:-/clawd/agents}
generated=$(dirname "$workspaces")/openclaw.json
template=${OPENCLAW_TEMPLATE:-$(dirname "${BASH_SOURCE[0]}")/openclaw.template.json}
port=${OPENCLAW_GATEWAY_PORT:-18789}
# A larger env file is something else.
env_bytes_max=1048576
# A change counts once two checks in a row see the same content, so that a half-written file has no effect.
seconds=${OPENCLAW_WATCH_SECONDS:-5}
watch=
case ${OPENCLAW_CONFIG_RELOAD:-} in 1 | true | yes | on) watch=yes ;; esac
gateway=
stopping=
sums=$(mktemp -d) || exit 1
trap 'rm -rf "$sums"' EXIT

say() { echo "start: $1" >&2; }

fail() {
    say "$1"
    exit 1
}

# Loads an env file: NAME=value lines, values may be in quotes. Nothing in it is executed. With a second argument it
# replaces variables that are set.
load_file() {
    local env_file=$1 replaces=${2:-} line name value
    if [ -e "$env_file" ]; then
        # Opening a FIFO would wait for its writer.
        [ -f "$env_file" ] || fail "$env_file is not a regular file. Replace it with a file of NAME=value lines, or remove it"
        [ "$(stat -Lc %s "$env_file")" -le "$env_bytes_max" ] || fail "$env_file is larger than $env_bytes_max bytes. It should only have NAME=value lines"
        [ -r "$env_file" ] || fail "$env_file is not readable for user $(id -u). Give it mode 0644, in a folder that only its owner can enter"
        while IFS= read -r line || [ -n "$line" ]; do
            [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
            name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]%$'\r'}
            case $name in
            OPENCLAW_STATE_DIR | OPENCLAW_CONFIG_PATH | OPENCLAW_ENV_FILE | OPENCLAW_KEYS_FILE | OPENCLAW_WORKSPACE_ROOT | \
                OPENCLAW_TEMPLATE | OPENCLAW_GATEWAY_PORT | OPENCLAW_WATCH_SECONDS | OPENCLAW_CONFIG_RELOAD)
                fail "$env_file sets $name, which is needed before this file is read. Remove the line, and set the variable for the container"
                ;;
            PATH | HOME | IFS | ENV | BASH_* | SHELLOPTS | BASHOPTS | PS4 | LD_* | GLIBC_TUNABLES | NODE_OPTIONS | NODE_PATH | \
                GIT_SSH* | GIT_EXEC_PATH | GIT_CONFIG* | GIT_*EDITOR | GIT_PAGER | GIT_EXTERNAL_DIFF | GIT_PROXY_COMMAND | GIT_TEMPLATE_DIR | \
                *_ASKPASS | EDITOR | VISUAL | PAGER | PERL5* | PYTHON* | RUBYOPT | RUBYLIB | [Nn][Pp][Mm]_[Cc][Oo][Nn][Ff][Ii][Gg]_*)
                fail "$env_file sets $name, which decides what programs run. Remove the line. If you need the variable, set it for the container"
                ;;
            esac
            if [[ $value =~ ^\"(.*)\"[[:space:]]*$ || $value =~ ^\'(.*)\'[[:space:]]*$ ]]; then value=${BASH_REMATCH[1]}; fi
            if [ -n "$replaces" ] || [ -z "${!name:-}" ]; then export "$name=$value"; fi
        done <"$env_file"
    fi
}

load_env() {
    load_file "$env_file"
    load_file "$keys_file" replaces
    local name
    # A blank value counts as not set: git refuses a blank author, for example.
    for name in $(compgen -e); do if [ -z "${!name}" ]; then unset "$name"; fi; done
    if [ -n "${GIT_AUTHOR_NAME:-}" ]; then export GIT_COMMITTER_NAME=${GIT_COMMITTER_NAME:-$GIT_AUTHOR_NAME}; fi
    if [ -n "${GIT_AUTHOR_EMAIL:-}" ]; then export GIT_COMMITTER_EMAIL=${GIT_COMMITTER_EMAIL:-$GIT_AUTHOR_EMAIL}; fi
    export GIT_TERMINAL_PROMPT=0
}

# In subshells: a variable that disappears from the env file must disappear from the next gateway.
merge() (
    load_env
    exec mission-control-runtime gateway-config --template "$template" --existing "$config" --generated "$generated" --out "$config"
)

start_gateway() {
    if [ -n "$stopping" ]; then exit 0; fi
    (load_env && exec openclaw gateway run --port "$port") &
    gateway=$!
    # A signal has arrived before the gateway had a process id. It has no turns yet, and may not know TERM yet.
    if [ -n "$stopping" ]; then kill -KILL "$gateway"; fi
}

# The checksums of the files under a name: now, last or used. An absent file has an empty one.
# In files and not in $(…): bash 5.2 loses a signal that arrives while it parses a command substitution.
look() {
    sum "$env_file" >"$sums/env.$1" 2>/dev/null
    sum "$keys_file" >"$sums/keys.$1" 2>/dev/null
    sum "$generated" >"$sums/generated.$1" 2>/dev/null
}
# Only regular files are opened, and only their beginnings are read. What is refused counts by its kind and its size.
sum() {
    stat -Lc '%F %s' "$1"
    if [ -f "$1" ]; then head -c 4194304 "$1" | cksum; fi
}
keep() { for file in env keys generated; do cp "$sums/$file.$1" "$sums/$file.$2" || return; done; }
same() { for file in env keys generated; do differs "$file" "$1" "$2" && return 1; done || true; }
differs() { ! cmp -s "$sums/$1.$2" "$sums/$1.$3"; }

restart_gateway() {
    say "$1 has changed: the gateway restarts after its running turns"
    kill -TERM "$gateway"
    await_gateway
    start_gateway
}

stop() {
    stopping=yes
    if [ -n "$gateway" ]; then kill -TERM "$gateway" 2>/dev/null; fi
}
trap stop TERM INT

# Waits for the gateway's end; a signal only interrupts the wait.
await_gateway() {
    local code
    while :; do
        wait "$gateway"
        code=$?
        kill -0 "$gateway" 2>/dev/null || return "$code"
    done
}

if [[ ! $port =~ ^[1-9][0-9]{0,4}$ || $port -gt 65535 ]]; then fail "OPENCLAW_GATEWAY_PORT is ${port@Q}: expected a port from 1 to 65535"; fi
[[ $seconds =~ ^([1-9][0-9]{0,3}(\.[0-9]+)?|0?\.[1-9][0-9]*)$ ]] ||
    fail "OPENCLAW_WATCH_SECONDS is ${seconds@Q}: expected seconds from 0.1 to 9999"
for folder in "$state" "$workspaces"; do
    mkdir -p "$folder" 2>/dev/null
    if [ ! -d "$folder" ] || [ ! -w "$folder" ]; then fail "$folder is not a folder that user $(id -u) can write. Give the volume to that user: chown -R $(id -u):$(id -g)"; fi
done
# A browser of a former container leaves locks that name its host.
find "$state/browser" -name 'Singleton*' -delete 2>/dev/null

look used
keep used last
merge || fail 'the configuration cannot be written; the lines above say why'
say "the Control UI is at http://127.0.0.1:$port/; it asks for the value of OPENCLAW_GATEWAY_TOKEN"
start_gateway

while kill -0 "$gateway" 2>/dev/null; do
    sleep "$seconds" &
    pause=$!
    wait -n "$gateway" "$pause"
    kill "$pause" 2>/dev/null
    if [ -n "$stopping" ] || [ -z "$watch" ]; then break; fi
    look now
    if same now last && ! same now used; then
        if ! merge; then
            say 'the gateway keeps its configuration; the lines above say why'
        elif differs env now used; then
            restart_gateway "$env_file"
        elif differs keys now used; then
            restart_gateway "$keys_file"
        else
            say "$generated has changed: the gateway reloads its configuration"
        fi
        keep now used
    fi
    keep now last
done
await_gateway
