#!/usr/bin/env bash
# Tests scripts/runtime-local.sh with a stand-in for `docker` that writes its arguments into a log.
# shellcheck source=tests/image/harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

prepare() {
    mkdir -p project/scripts bin broken
    cp "$root/scripts/runtime-local.sh" project/scripts/
    cat >bin/docker <<'END'
#!/usr/bin/env bash
echo "docker $* profiles=${COMPOSE_PROFILES-} board=${BOARD_URL-}" >>"$D/log"
case "$*" in
info) [ ! -e "$D/broken/info" ] ;;
'compose version --short') if [ -e "$D/broken/compose" ]; then exit 1; fi; cat "$D/version" ;;
*' up '*) [ ! -e "$D/broken/up" ] ;;
*' ps --quiet '*) if [ -e "$D/running" ]; then echo id; fi ;;
*' cp '*) (cd "$D" && tar -cf - admin-key) ;;
*' logs '*) echo 'the log of the container' ;;
esac
END
    chmod +x bin/docker
    echo 2.26.1 >version
    touch log
}

# run COMMAND [NAME=VALUE…]: with free ports, its output in `out` and its exit code in $code.
run() {
    local command=$1
    shift
    code=0
    env -i D="$work" PATH="$work/bin:/usr/bin:/bin" RUNTIME_PORT=1 GATEWAY_PORT=1 MISSION_CONTROL_PORT=1 "$@" \
        bash project/scripts/runtime-local.sh "$command" >out 2>&1 || code=$?
    cat out
}

account() { printf 'ACCOUNT_ID=a1\nCONVEX_URL=https://x.convex.cloud\nSERVICE_TOKEN=mc_service_a1_secret\n' >project/.env; }

up_starts_the_runtime_alone() {
    prepare
    account
    run up
    expect "code $code" [ "$code" = 0 ]
    expect 'built' contains log 'build runtime profiles='
    expect 'no other image' lacks log 'build openclaw-gateway'
    expect 'started and awaited' contains log 'up --detach --remove-orphans --wait --wait-timeout 240 profiles='
    expect 'no board here' lacks log 'board=h'
    expect 'address' contains out 'http://127.0.0.1:1/'
    expect 'no secret' lacks out mc_service_a1_secret
}

up_all_needs_no_account_and_makes_a_gateway_token_once() {
    prepare
    run up-all
    expect "code $code" [ "$code" = 0 ]
    expect 'runtime first' [ "$(grep -o 'build [a-z-]*' log | tr '\n' ' ')" = 'build runtime build openclaw-gateway build mission-control ' ]
    expect 'token' [ "$(grep -cE '^OPENCLAW_GATEWAY_TOKEN=[0-9a-f]{64}$' project/.env)" = 1 ]
    expect 'private' [ "$(stat -c %a project/.env)" = 600 ]
    expect 'token is not printed' lacks out "$(sed -n 's/^OPENCLAW_GATEWAY_TOKEN=//p' project/.env)"
    expect 'says that agents lack a model' contains out 'no key of a model provider is set'
    expect 'Control UI' contains out 'Control UI       http://127.0.0.1:1/'
    expect 'the board for the links' contains log 'profiles=openclaw,local board=http://127.0.0.1:1'
    expect 'Mission Control' contains out 'Mission Control  http://127.0.0.1:1/'
    expect 'folder' [ "$(stat -c %a project/.runtime project/.runtime/gateway | tr '\n' ' ')" = '700 755 ' ]
    cp project/.env before
    printf ANTHROPIC_API_KEY=k >>project/.env
    run up-all
    expect "code $code" [ "$code" = 0 ]
    expect 'the same token' [ "$(head -n 1 project/.env)" = "$(cat before)" ]
    expect 'no warning' lacks out 'no key of a model provider'
}

a_token_is_added_on_a_line_of_its_own() {
    prepare
    printf 'ANTHROPIC_API_KEY=k' >project/.env
    run up-all
    expect 'both lines' [ "$(wc -l <project/.env)" = 2 ]
    expect 'the key' [ "$(head -n 1 project/.env)" = ANTHROPIC_API_KEY=k ]
}

up_all_with_an_account_is_refused() {
    prepare
    account
    run up-all
    expect "code $code" [ "$code" = 1 ]
    expect 'sentence' contains out 'would not use the embedded Mission Control'
    expect 'nothing started' lacks log ' up '
}

a_missing_env_file_and_missing_values_are_named() {
    prepare
    run up
    expect "code $code" [ "$code" = 1 ]
    expect 'file' contains out 'there is no file .env. Copy .env.example to .env'
    printf 'ACCOUNT_ID=a1\nCONVEX_URL=\n# SERVICE_TOKEN=x\n' >project/.env
    run up-openclaw
    expect 'values' contains out '.env does not set CONVEX_URL SERVICE_TOKEN.'
    printf 'ACCOUNT_ID="a1"\nCONVEX_URL=https://x\nSERVICE_TOKEN_FILE=/run/token\n' >project/.env
    run up
    expect 'a file of the token counts' [ "$code" = 0 ]
}

what_is_wrong_with_docker_is_said() {
    prepare
    account
    touch broken/info
    run up
    expect 'daemon' contains out 'the Docker daemon does not answer'
    echo v2.23.3 >version
    run up
    expect 'old' contains out 'Docker Compose 2.23.3 is too old: 2.24 or newer is needed'
    touch broken/compose
    run up
    expect 'plugin' contains out 'the compose plugin of Docker is missing'
    rm bin/docker
    mkdir tools
    ln -s "$(command -v bash)" "$(command -v dirname)" "$(command -v git)" tools/
    code=0
    env -i PATH="$work/tools" bash project/scripts/runtime-local.sh up >out 2>&1 || code=$?
    expect 'docker' contains out 'docker is missing'
    expect "code $code" [ "$code" = 1 ]
}

a_port_in_use_is_named_unless_our_container_has_it() {
    prepare
    account
    # The kernel chooses the port.
    python3 -c '
import socket, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
time.sleep(60)' >port &
    listener=$!
    expect 'a listener' eventually [ -s port ]
    run up RUNTIME_PORT="$(cat port)"
    expect "code $code" [ "$code" = 1 ]
    expect 'sentence' contains out "port $(cat port) on 127.0.0.1 is in use by another program. Stop that program, or set RUNTIME_PORT"
    touch running
    run up RUNTIME_PORT="$(cat port)"
    expect 'our own' [ "$code" = 0 ]
    kill "$listener"
}

an_unhealthy_container_shows_its_log() {
    prepare
    account
    touch broken/up
    run up
    expect "code $code" [ "$code" = 1 ]
    expect 'log' contains out 'the log of the container'
    expect 'sentence' contains out 'not every container is healthy; the log above says why'
}

images_of_a_registry_are_not_built() {
    prepare
    account
    echo RUNTIME_IMAGE=example.com/runtime:1 >>project/.env
    run up-openclaw
    expect 'not the runtime' lacks log 'build runtime'
    expect 'the gateway' contains log 'build openclaw-gateway'
}

down_reaches_every_profile_and_keeps_the_volumes() {
    prepare
    run down
    expect 'all profiles' contains log 'down --remove-orphans profiles=openclaw,local'
    expect 'volumes' lacks log '--volumes'
}

the_admin_key_is_printed_on_request_only() {
    prepare
    echo the-admin-key >admin-key
    run admin-key
    expect 'key' [ "$(cat out)" = the-admin-key ]
    run up-all
    expect 'not by up' lacks out the-admin-key
}

run_tests up_starts_the_runtime_alone up_all_needs_no_account_and_makes_a_gateway_token_once \
    a_token_is_added_on_a_line_of_its_own up_all_with_an_account_is_refused \
    a_missing_env_file_and_missing_values_are_named what_is_wrong_with_docker_is_said \
    a_port_in_use_is_named_unless_our_container_has_it an_unhealthy_container_shows_its_log \
    images_of_a_registry_are_not_built down_reaches_every_profile_and_keeps_the_volumes \
    the_admin_key_is_printed_on_request_only
