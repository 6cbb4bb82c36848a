#!/usr/bin/env bash
# Upgrades the running containers of docker-compose.runtime.yml, and returns to the previous images if the new ones do not
# become ready.
#
#   scripts/runtime-upgrade-local.sh                           the runtime
#   PROFILE=openclaw scripts/runtime-upgrade-local.sh          also the gateway; PROFILE=openclaw,local: all
#
# An image that RUNTIME_IMAGE, GATEWAY_IMAGE or MISSION_CONTROL_IMAGE names is pulled, any other one is built. Only when
# all are there, the containers are replaced. Then /readyz of the runtime, and of the gateway, must answer within
# READY_SECONDS (90), and no container may restart for CONFIRM_SECONDS (60). While Mission Control does not answer, no image
# gets ready, so that time does not count.
#
# The images in use are noted in .runtime/upgrade before anything changes, and tagged, so that `docker image prune` keeps
# them. The note is removed at the end. After an interruption the next run finds it and can still return to those images.
set -euo pipefail
cd "$(dirname "$0")/.."

file=${COMPOSE_FILE:-docker-compose.runtime.yml}
limit=${READY_SECONDS:-90}
confirm=${CONFIRM_SECONDS:-60}
note=.runtime/upgrade
phase=start
# Whether the note is of an earlier run, whose new images were never proven.
inherited=

export COMPOSE_PROFILES=${PROFILE:-}
MCR_COMMIT=${MCR_COMMIT-$(git rev-parse --short HEAD 2>/dev/null || true)}
export MCR_COMMIT

services=(runtime)
case ,${PROFILE:-}, in *,openclaw,*) services+=(openclaw-gateway) ;; esac
case ,${PROFILE:-}, in *,local,*) services+=(mission-control) ;; esac

say() { echo "upgrade: $1"; }

fail() {
    echo "upgrade: $1" >&2
    exit 1
}

compose() { docker compose --file "$file" "$@"; }

# The variable that selects the image of a service.
variable() {
    case $1 in
    runtime) echo RUNTIME_IMAGE ;;
    openclaw-gateway) echo GATEWAY_IMAGE ;;
    mission-control) echo MISSION_CONTROL_IMAGE ;;
    esac
}

# The value of a variable, from the shell or from .env.
value() {
    if [ -n "${!1:-}" ]; then
        echo "${!1}"
    elif [ -r .env ]; then
        sed -n "s/^$1=//p" .env | tail -n 1
    fi
}

# Writes a line for each service: its name, its image's name, its image's id.
record() {
    local service container image
    for service in "${services[@]}"; do
        container=$(compose ps --all --quiet "$service" | head -n 1)
        [ -n "$container" ] || fail "there is no container of $service to upgrade. Start it with \`make up\`, \`make up-openclaw\` or \`make up-all\`"
        image=$(docker inspect --format '{{.Config.Image}} {{.Image}}' "$container")
        docker tag "${image##* }" "mission-control-previous-$service:latest"
        echo "$service $image"
    done >"$note.new"
    mv "$note.new" "$note"
}

# Gives the recorded images their names back.
restore_names() {
    local service name id
    while read -r service name id; do
        # A digest names one image forever.
        case $name in *@*) continue ;; esac
        docker tag "$id" "$name"
    done <"$note"
}

fetch() {
    local service
    # The gateway's image takes a program from the runtime's, so the order matters.
    for service in "${services[@]}"; do
        if [ -n "$(value "$(variable "$service")")" ]; then
            say "pulling the image of $service"
            compose pull "$service" || return 1
        else
            say "building the image of $service"
            compose build "$service" || return 1
        fi
    done
}

replace() { compose up --detach --no-build "${services[@]}"; }

is_ready() {
    timeout 10 docker compose --file "$file" exec -T runtime mission-control-runtime status --ready \
        </dev/null >/dev/null 2>&1 || return 1
    case " ${services[*]} " in
    *' openclaw-gateway '*)
        timeout 10 docker compose --file "$file" exec -T openclaw-gateway curl --fail --silent --max-time 5 \
            http://127.0.0.1:18789/readyz </dev/null >/dev/null 2>&1 || return 1
        ;;
    esac
}

# Whether the runtime says that Mission Control does not answer.
is_backend_away() {
    timeout 10 docker compose --file "$file" exec -T runtime mission-control-runtime status --json </dev/null 2>/dev/null |
        sed -n '/"backend": {/,/}/p' | grep -q '"reachable": false'
}

await_ready() {
    local began=$SECONDS waits=
    until is_ready; do
        if is_backend_away; then
            began=$SECONDS
            if [ -z "$waits" ]; then say 'Mission Control does not answer: waiting for it'; fi
            waits=yes
        fi
        if [ $((SECONDS - began)) -ge "$limit" ]; then return 1; fi
        # Without the lock: this process may outlive a killed script.
        sleep 1 9>&-
    done
}

# The starts of the containers, which change if one of them ends.
starts() {
    local service
    for service in "${services[@]}"; do
        docker inspect --format '{{.RestartCount}} {{.State.StartedAt}}' "$(compose ps --all --quiet "$service" | head -n 1)"
    done
}

# Watches the new containers for a while.
watch_containers() {
    local before began
    before=$(starts)
    began=$SECONDS
    say "ready; watching the new containers for $confirm s"
    while [ $((SECONDS - began)) -lt "$confirm" ]; do
        if [ "$(starts)" != "$before" ]; then return 1; fi
        sleep 1 9>&-
    done
}

# Returns to the recorded images. The note stays if that fails, so that the next run can try again.
roll_back() {
    local service name id changed=
    phase=rollback
    say 'returning to the previous images'
    restore_names
    while read -r service name id; do
        # The name may be another one since .env was edited.
        if [ -n "$(value "$(variable "$service")")" ] && [ "$(value "$(variable "$service")")" != "$name" ]; then
            changed="$changed $(variable "$service")=$name"
        fi
        if [ -n "$(value "$(variable "$service")")" ]; then export "$(variable "$service")=$name"; fi
    done <"$note"
    replace || fail "the previous images cannot be started; their ids are in $note. Repair Docker and run this script again"
    if ! await_ready; then
        fail "the previous images run again, but /readyz does not answer either, so the cause is probably not the new image. Look at \`make logs\`; the ids are in $note"
    fi
    rm -f "$note"
    say 'the previous images run and are ready'
    if [ -n "$changed" ]; then say "set the images back in .env:$changed"; fi
}

# Before the replacement the containers are untouched.
leave_as_before() {
    restore_names
    if [ -z "$inherited" ]; then rm -f "$note"; fi
}

# An interrupted upgrade leaves the old state: before the replacement the containers are untouched, after it they are unproven.
interrupted() {
    trap '' INT TERM
    case $phase in
    fetch)
        leave_as_before
        say 'interrupted; the containers run as before'
        ;;
    replace)
        say 'interrupted'
        roll_back
        ;;
    esac
    exit 130
}
trap interrupted INT TERM

command -v docker >/dev/null || fail 'docker is missing. Install Docker Engine with the compose plugin'
mkdir -p -m 700 .runtime
exec 9>.runtime/upgrade.lock
if command -v flock >/dev/null; then
    flock --nonblock 9 || fail 'another upgrade is running. Wait for its end'
fi

if [ -s "$note" ]; then
    inherited=yes
    say "an earlier upgrade was interrupted; a rollback returns to the images that ran before it ($note)"
else
    record
fi

phase=fetch
if ! fetch; then
    leave_as_before
    fail 'the new images are not available, see above. The containers run as before'
fi

phase=replace
if ! replace; then
    echo 'upgrade: the new containers do not start, see above' >&2
    roll_back
    exit 1
fi
say "waiting at most $limit s for /readyz"
if ! await_ready; then
    echo "upgrade: /readyz did not answer within $limit s. The last lines of the log:" >&2
    compose logs --tail 20 "${services[@]}" >&2 || true
    roll_back
    exit 1
fi
if ! watch_containers; then
    echo "upgrade: a container restarted within $confirm s. The last lines of the log:" >&2
    compose logs --tail 20 "${services[@]}" >&2 || true
    roll_back
    exit 1
fi
rm -f "$note"
say 'done: the new images run and are ready'
