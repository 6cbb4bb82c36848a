#!/usr/bin/env bash
# Starts and stops the containers of docker-compose.runtime.yml. `make up` and the other targets call it.
#
#   scripts/runtime-local.sh up             the runtime, for a Mission Control and a gateway elsewhere
#   scripts/runtime-local.sh up-openclaw    also an OpenClaw gateway
#   scripts/runtime-local.sh up-all         also the embedded Mission Control: no account is needed
#   scripts/runtime-local.sh logs | down | admin-key
#
# It checks first what usually goes wrong, and says what to do. Values come from the shell, else from .env.
set -euo pipefail
cd "$(dirname "$0")/.."

file=${COMPOSE_FILE:-docker-compose.runtime.yml}
# A gateway loads its plugins for up to a minute on two cores.
healthy_seconds=240
MCR_COMMIT=${MCR_COMMIT-$(git rev-parse --short HEAD 2>/dev/null || true)}
export MCR_COMMIT

say() { echo "$1"; }

fail() {
    echo "runtime-local: $1" >&2
    exit 1
}

compose() { docker compose --file "$file" "$@"; }

# The value of a variable. Quotes around it are removed.
value() {
    local text=${!1:-}
    if [ -z "$text" ] && [ -r .env ]; then
        text=$(sed -n "s/^\(export \)\{0,1\}$1=//p" .env | tail -n 1)
        text=${text%[\"\']}
        text=${text#[\"\']}
    fi
    printf '%s' "$text"
}

# Whether one of these variables has a value.
any() {
    local name
    for name in "$@"; do if [ -n "$(value "$name")" ]; then return; fi; done
    return 1
}

check_docker() {
    command -v docker >/dev/null || fail 'docker is missing. Install Docker Engine with the compose plugin'
    local version
    version=$(docker compose version --short 2>/dev/null) ||
        fail 'the compose plugin of Docker is missing. Install the package docker-compose-plugin'
    version=${version#v}
    if [ "$(printf '%s\n2.24\n' "$version" | sort -V | head -n 1)" != 2.24 ]; then
        fail "Docker Compose $version is too old: 2.24 or newer is needed. Upgrade the compose plugin"
    fi
    docker info >/dev/null 2>&1 ||
        fail 'the Docker daemon does not answer. Start it (systemctl start docker), or add this user to the group docker'
}

# The account of a hosted Mission Control.
check_account() {
    if [ ! -f .env ] && ! any ACCOUNT_ID; then
        fail "there is no file .env. Copy .env.example to .env (mode 0600) and set ACCOUNT_ID, CONVEX_URL and SERVICE_TOKEN. \`make up-all\` needs no account"
    fi
    local name missing=
    for name in ACCOUNT_ID CONVEX_URL SERVICE_TOKEN; do
        if ! any "$name" "${name}_FILE"; then missing="$missing $name"; fi
    done
    if [ -n "$missing" ]; then fail ".env does not set$missing. The dashboard of Mission Control shows them. \`make up-all\` needs no account"; fi
}

# Under the profile `local` the embedded Mission Control supplies the account, unless .env does.
check_no_account() {
    if any ACCOUNT_ID SERVICE_TOKEN; then
        fail 'ACCOUNT_ID or SERVICE_TOKEN is set, so the runtime would not use the embedded Mission Control. Remove both and CONVEX_URL from .env, or run make up-openclaw'
    fi
}

# Without a token the gateway listens on its own loopback address only, where the runtime cannot reach it.
ensure_gateway_token() {
    if any OPENCLAW_GATEWAY_TOKEN CLAWDBOT_GATEWAY_TOKEN; then return; fi
    local token
    token=$(od -An -N 32 -t x1 /dev/urandom | tr -d ' \n')
    [ "${#token}" = 64 ] || fail 'no random numbers for a gateway token. Set OPENCLAW_GATEWAY_TOKEN in .env'
    (
        umask 077
        # A file without a last line end would swallow the new line.
        if [ -s .env ] && [ -n "$(tail -c 1 .env)" ]; then echo >>.env; fi
        echo "OPENCLAW_GATEWAY_TOKEN=$token" >>.env
    ) || fail '.env is not writable, so no gateway token can be added. Set OPENCLAW_GATEWAY_TOKEN there'
    say 'a new gateway token was added to .env as OPENCLAW_GATEWAY_TOKEN'
}

# Keys that may change while the gateway runs. Its user reads the file through the mounted folder, so the file is readable for
# all; other users of this machine cannot enter .runtime.
prepare_gateway_folder() {
    if ! { mkdir -p .runtime/gateway && chmod 700 .runtime && chmod 755 .runtime/gateway; }; then
        fail '.runtime is not writable. Give it to this user'
    fi
    if ! any ANTHROPIC_API_KEY OPENAI_API_KEY AI_GATEWAY_API_KEY VERCEL_AI_GATEWAY_API_KEY &&
        [ ! -s "${GATEWAY_ENV_DIR:-.runtime/gateway}/gateway.env" ]; then
        say 'no key of a model provider is set, so agents cannot answer. Add one, such as ANTHROPIC_API_KEY, to .env or to .runtime/gateway/gateway.env'
    fi
    if ! any OPENCLAW_AGENTS && ! grep -qs '^OPENCLAW_AGENTS=.' "${GATEWAY_ENV_DIR:-.runtime/gateway}/gateway.env"; then
        say 'OPENCLAW_AGENTS is not set: the gateway refuses turns of agents that it does not know. Set it in .env to the slugs of the agents on your board'
    fi
}

# check_port SERVICE VARIABLE DEFAULT
check_port() {
    local port
    port=$(value "$2")
    port=${port:-$3}
    if [ -n "$(compose ps --quiet "$1" 2>/dev/null)" ]; then return; fi
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        fail "port $port on 127.0.0.1 is in use by another program. Stop that program, or set $2 to a free port in .env"
    fi
}

# build SERVICE VARIABLE: an image of a registry is not built.
build() {
    if [ -z "$(value "$2")" ]; then compose build "$1"; fi
}

# up PROFILE[,PROFILE]
up() {
    export COMPOSE_PROFILES=$1
    check_docker
    case $1 in *local*) check_no_account ;; *) check_account ;; esac
    check_port runtime RUNTIME_PORT 3001
    case $1 in *local*) check_port mission-control MISSION_CONTROL_PORT 3210 ;; esac
    case $1 in
    *openclaw*)
        check_port openclaw-gateway GATEWAY_PORT 18789
        ensure_gateway_token
        prepare_gateway_folder
        ;;
    esac
    # The gateway's image takes a program from the runtime's, so the order matters.
    build runtime RUNTIME_IMAGE
    case $1 in *openclaw*) build openclaw-gateway GATEWAY_IMAGE ;; esac
    case $1 in *local*) build mission-control MISSION_CONTROL_IMAGE ;; esac
    if ! compose up --detach --remove-orphans --wait --wait-timeout "$healthy_seconds"; then
        compose ps --all >&2 || true
        compose logs --tail 15 >&2 || true
        fail 'not every container is healthy; the log above says why. Repair that and repeat the command'
    fi
    say "runtime          http://127.0.0.1:$(or RUNTIME_PORT 3001)/"
    say "                 its page asks for a token: docker compose -f $file exec runtime mission-control-runtime status"
    case $1 in *local*) say "Mission Control  http://127.0.0.1:$(or MISSION_CONTROL_PORT 3210)/ (log in with the output of \`make admin-key\`)" ;; esac
    case $1 in *openclaw*) say "Control UI       http://127.0.0.1:$(or GATEWAY_PORT 18789)/ (log in with OPENCLAW_GATEWAY_TOKEN from .env)" ;; esac
}

# or VARIABLE DEFAULT
or() {
    local text
    text=$(value "$1")
    echo "${text:-$2}"
}

case ${1:-} in
up) up '' ;;
up-openclaw) up openclaw ;;
up-all)
    # The agents of the demo team, with which the embedded Mission Control starts.
    OPENCLAW_AGENTS=$(or OPENCLAW_AGENTS squad-lead,engineer,qa,designer,writer)
    # The runtime's page links to the board at this address.
    BOARD_URL=$(or BOARD_URL "http://127.0.0.1:$(or MISSION_CONTROL_PORT 3210)")
    export OPENCLAW_AGENTS BOARD_URL
    up openclaw,local
    ;;
logs)
    check_docker
    COMPOSE_PROFILES=openclaw,local compose logs --follow --tail 100
    ;;
down)
    check_docker
    COMPOSE_PROFILES=openclaw,local compose down --remove-orphans
    say "the volumes are kept. This removes them with all data: COMPOSE_PROFILES=openclaw,local docker compose -f $file down --volumes"
    ;;
admin-key)
    check_docker
    COMPOSE_PROFILES=openclaw,local compose cp mission-control:/var/lib/mission-control/admin-key - | tar -xOf -
    ;;
*)
    echo 'runtime-local: expected up, up-openclaw, up-all, logs, down or admin-key' >&2
    exit 2
    ;;
esac
