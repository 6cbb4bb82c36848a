#!/usr/bin/env bash
# Builds the Dockerfile's target `prebuilt` with buildah and runs the result without an engine.
#
# BINARY   the static binary (default: dist/mission-control-runtime-droplet, else dist/mission-control-runtime)
#
# A missing tool is reported in a line that starts with SKIPPED and is no failure.
# shellcheck source=tests/image/harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"
# shellcheck source=tests/image/containers.sh
. "$(dirname "${BASH_SOURCE[0]}")/containers.sh"

skip() {
    echo "SKIPPED image: $1"
    exit 0
}

binary=${BINARY:-}
for candidate in "$root/dist/mission-control-runtime-droplet" "$root/dist/mission-control-runtime"; do
    if [ -z "$binary" ] && [ -x "$candidate" ]; then binary=$candidate; fi
done
[ -n "$binary" ] || skip 'there is no static binary. Build it with make static, or name one in BINARY'
[ "$(id -u)" = 0 ] || skip 'only root can make the namespaces'
for tool in ip unshare nsenter curl buildah python3; do
    command -v "$tool" >/dev/null || skip "$tool is missing (Debian: iproute2, util-linux, curl, buildah, python3)"
done
inside_namespaces "$@"
if ! ip link show bridge0 >/dev/null 2>&1; then skip 'this kernel makes no bridge'; fi

# No registry is asked, and buildah fails on a folder without the file of credentials.
unset DOCKER_CONFIG
store=(--storage-driver vfs --root "$scratch/store" --runroot "$scratch/run")
mounted=

# What `make image` builds, in a context of its own.
build() {
    local context=$scratch/context
    mkdir -p "$context"
    cp "$root/Dockerfile" "$root/.dockerignore" "$context/"
    "$root/scripts/image-root.sh" "$binary" "$context/dist/image" || return 1
    buildah "${store[@]}" bud --isolation chroot --format docker --target prebuilt --tag mission-control-runtime:test "$context" || return 1
    buildah "${store[@]}" from --name test localhost/mission-control-runtime:test
}

setting() { buildah "${store[@]}" inspect --type image --format "{{$1}}" localhost/mission-control-runtime:test; }

the_image_has_the_settings_that_docker_needs() {
    expect user [ "$(setting .Docker.Config.User)" = 65532:65532 ]
    expect entrypoint [ "$(setting .Docker.Config.Entrypoint)" = '[/usr/local/bin/mission-control-runtime]' ]
    expect command [ "$(setting .Docker.Config.Cmd)" = '[run]' ]
    expect 'stop signal' [ "$(setting .Docker.Config.StopSignal)" = SIGTERM ]
    expect volume [ "$(setting .Docker.Config.Volumes)" = 'map[/var/lib/mission-control-runtime:{}]' ]
    expect port [ "$(setting .Docker.Config.ExposedPorts)" = 'map[3001/tcp:{}]' ]
    expect health [ "$(setting .Docker.Config.Healthcheck.Test)" = '[CMD mission-control-runtime status --json]' ]
    expect host [ "$(setting '.Docker.Config.Env' | grep -c 'HEALTH_HOST=0.0.0.0 STATE_DIR=/var/lib/mission-control-runtime')" = 1 ]
}

the_files_have_the_owners_and_modes_that_volumes_inherit() {
    local folder
    for folder in mission-control-runtime mission-control mission-control-env mission-control-keys; do
        expect "$folder" [ "$(stat -c '%u:%g %a' "$mounted/var/lib/$folder")" = '65532:65532 700' ]
    done
    expect 'the binary is of root' [ "$(stat -c '%u:%g %a' "$mounted/usr/local/bin/mission-control-runtime")" = '0:0 555' ]
    expect 'certificates' [ -s "$mounted/etc/ssl/certs/ca-certificates.crt" ]
    expect 'no other file' [ "$(find "$mounted" ! -type d | wc -l)" = 3 ]
}

# A backend that does not answer: enough for /health, and no account is needed.
environment="HEALTH_HOST=0.0.0.0
STATE_DIR=/var/lib/mission-control-runtime
ACCOUNT_ID=a1
CONVEX_URL=http://127.0.0.1:1
SERVICE_TOKEN=mc_service_a1_$(od -An -N 16 -t x1 /dev/urandom | tr -d ' \n')
OPENCLAW_GATEWAY_URL=
OPERATOR_API_ALLOW=$net.1
AGENT_API_ALLOW=$net.10"

start_runtime() {
    cp -a "$mounted" image
    cp -a "$mounted/var/lib/mission-control-runtime" state
    network runtime "$net.5"
    network gateway "$net.10"
    container runtime "$work/image" "$work/state /var/lib/mission-control-runtime" "$environment" \
        /usr/local/bin/mission-control-runtime run
    expect '/health answers' eventually answers "$url/health" 200
    expect 'the operator API has its token' eventually [ -s state/operator-token ]
}

url=http://$net.5:3001

the_service_answers_as_user_65532_on_a_read_only_root_and_stops_in_time() {
    start_runtime
    local id began
    id=$(first_process runtime)
    expect 'its user' [ "$(stat -c %u:%g "/proc/$id")" = 65532:65532 ]
    expect 'it is process 1' [ "$(awk '/^NSpid/ {print $NF}' "/proc/$id/status")" = 1 ]
    expect 'its state is private' [ "$(stat -c '%u %a' state/operator-token)" = '65532 600' ]
    # The health check that the image declares.
    in_container runtime "$work/image" "$environment" /usr/local/bin/mission-control-runtime status --json >health.out
    expect 'the health check succeeds' [ $? = 0 ]
    expect 'no token in its output' lacks health.out "$(cat state/operator-token)"
    began=$SECONDS
    kill -TERM "$id"
    wait "${mains[runtime]}"
    code=$?
    expect "code $code" [ "$code" = 0 ]
    expect 'within the 40 s of compose' [ $((SECONDS - began)) -le 40 ]
    in_container runtime "$work/image" "$environment" /usr/local/bin/mission-control-runtime status --json >health.out 2>&1
    expect 'the health check fails afterwards' [ $? != 0 ]
}

each_address_reaches_only_what_it_may() {
    start_runtime
    local token path
    token=$(cat state/operator-token)
    for path in / /health /livez /version /metrics; do
        expect "$path from the published port" answers "$url$path" 200
    done
    expect '/readyz says not ready' answers "$url/readyz" 503
    expect 'the operator API wants the token' answers "$url/overview" 401
    expect 'the page reads its data' [ "$(status "$url/overview" -H "Authorization: Bearer $token")" = 200 ]
    expect 'the gateway does not' [ "$(status_from gateway "$url/overview" -H "Authorization: Bearer $token")" = 403 ]
    expect 'agents, not from the published port' [ "$(status "$url/agent/task-load" -X POST -d '{}')" = 403 ]
    expect 'which variable' contains body 'AGENT_API_ALLOW'
    status_from gateway "$url/agent/task-load" -X POST -H 'Content-Type: application/json' -d '{}' >code.out
    expect "agents, from the gateway: $(cat code.out)" [ "$(cat code.out)" != 403 ]
    expect 'nudges, from nowhere else' [ "$(status "$url/nudge" -X POST)" = 403 ]
}

a_volume_that_cannot_be_written_is_named() {
    mkdir state.of.root
    cp -a "$mounted" image
    network broken "$net.6"
    container broken "$work/image" "$work/state.of.root /var/lib/mission-control-runtime" "$environment" \
        /usr/local/bin/mission-control-runtime run
    wait "${mains[broken]}"
    code=$?
    expect "code $code" [ "$code" = 1 ]
    expect 'sentence' contains broken.out '/var/lib/mission-control-runtime'
    cat broken.out
}

# A stand-in for Mission Control. It answers with the keys of a file, and to other functions with an error.
serve_keys() {
    cat >mission-control.py <<'END'
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        asked = self.rfile.read(int(self.headers['Content-Length']))
        answer = b'{"status":"error","errorMessage":"[Request ID: 0123456789abcdef] Server Error"}'
        if b'getRuntimeSecrets' in asked:
            answer = open('keys.json', 'rb').read()
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer((sys.argv[1], 3210), Handler).serve_forever()
END
    python3 mission-control.py "$net.1" &
    started+=($!)
    until_served() { (exec 3<>"/dev/tcp/$net.1/3210") 2>/dev/null; }
    expect 'Mission Control answers' eventually until_served
}

# store_keys JSON: what Mission Control stores.
store_keys() {
    printf '{"status":"success","value":{"version":"1","keys":[%s]}}' "$1" >keys.json.new
    mv keys.json.new keys.json
}

last_gateway_has() { [ "$(tail -n 1 gateways 2>/dev/null)" = "key=$1" ]; }

# The volumes are those of the compose file: the runtime writes the keys, and the gateway's start script watches them.
stored_keys_reach_the_gateways_container_and_leave_it() {
    cp -a "$mounted" image
    cp -a "$mounted/var/lib/mission-control-runtime" state
    cp -a "$mounted/var/lib/mission-control-keys" keys
    store_keys ''
    serve_keys
    network runtime "$net.5"
    container runtime "$work/image" "$work/state /var/lib/mission-control-runtime
$work/keys /var/lib/mission-control-keys" "${environment/127.0.0.1:1/$net.1:3210}
GATEWAY_ENV_FILE=/var/lib/mission-control-keys/gateway.env
SECRETS_SYNC_INTERVAL=1000" /usr/local/bin/mission-control-runtime run
    expect '/health answers' eventually answers "$url/health" 200

    mkdir bin home
    # shellcheck disable=SC2016  # the gateway expands it
    printf '#!/bin/sh\necho "key=${ANTHROPIC_API_KEY-none}" >>%s\nexec sleep 600\n' "$work/gateways" >bin/openclaw
    printf '#!/bin/sh\n' >bin/mission-control-runtime
    chmod 755 bin/*
    env -i PATH="$work/bin:$PATH" HOME="$work/home" OPENCLAW_CONFIG_RELOAD=1 \
        OPENCLAW_WATCH_SECONDS=0.1 OPENCLAW_WORKSPACE_ROOT="$work/home/agents" OPENCLAW_KEYS_FILE="$work/keys/gateway.env" \
        bash "$root/openclaw/start.sh" >gateway.out 2>&1 &
    started+=($!)
    expect 'a gateway without keys' eventually last_gateway_has none
    store_keys '{"provider":"anthropic","envName":"ANTHROPIC_API_KEY","value":"sk-stored","updatedAt":1}'
    expect 'the key' eventually last_gateway_has sk-stored
    expect 'its mode' [ "$(stat -c '%u %a' keys/gateway.env)" = '65532 600' ]
    status "$url/health" >/dev/null
    expect 'its name in /health' contains body ANTHROPIC_API_KEY
    expect 'no value in /health' lacks body sk-stored
    store_keys ''
    expect 'no key' eventually last_gateway_has none
    expect 'no value in the log' lacks runtime.out sk-stored
    expect 'nor in the log of the script' lacks gateway.out sk-stored
}

if ! build >"$scratch/build.out" 2>&1; then
    cat "$scratch/build.out"
    echo 'FAIL  the image cannot be built'
    exit 1
fi
mounted=$(buildah "${store[@]}" mount test)
buildah "${store[@]}" push --quiet localhost/mission-control-runtime:test "oci-archive:$scratch/image.tar" >/dev/null 2>&1
echo "image: binary $(stat -c %s "$binary") bytes, compressed image $(stat -c %s "$scratch/image.tar") bytes"
run_tests the_image_has_the_settings_that_docker_needs the_files_have_the_owners_and_modes_that_volumes_inherit \
    the_service_answers_as_user_65532_on_a_read_only_root_and_stops_in_time each_address_reaches_only_what_it_may \
    a_volume_that_cannot_be_written_is_named stored_keys_reach_the_gateways_container_and_leave_it
