#!/usr/bin/env bash
# Tests openclaw/start.sh with stand-ins for `openclaw` and for `gateway-config`.
# shellcheck source=tests/image/harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# Prepares the stand-ins and the folders. Each stand-in writes what it sees into a log.
prepare() {
    mkdir -p bin state clawd/agents etc
    cat >bin/openclaw <<END
#!/usr/bin/env bash
trap 'echo "gateway: TERM" >>"$work/log"; exit 7' TERM
echo "gateway: \$* key=\${ANTHROPIC_API_KEY-unset} author=\${GIT_AUTHOR_NAME-unset} vercel=\${VERCEL_AI_GATEWAY_API_KEY-unset}" >>"$work/log"
until [ -e "$work/gateway-ends" ]; do sleep 0.05; done
exit 9
END
    cat >bin/mission-control-runtime <<END
#!/usr/bin/env bash
if [ -e "$work/merge-fails" ]; then echo 'gateway-config: line 3 is no JSON' >&2; exit 1; fi
echo "merge: \$* key=\${ANTHROPIC_API_KEY-unset}" >>"$work/log"
END
    chmod +x bin/openclaw bin/mission-control-runtime
    touch log
}

# start [NAME=VALUE…]: starts the script in this environment, with its output in `out` and its id in $script.
start() {
    env -i PATH="$work/bin:$PATH" HOME="$work" OPENCLAW_STATE_DIR="$work/state" OPENCLAW_ENV_FILE="$work/etc/gateway.env" \
        OPENCLAW_WORKSPACE_ROOT="$work/clawd/agents" OPENCLAW_WATCH_SECONDS=0.1 OPENCLAW_CONFIG_RELOAD=1 \
        OPENCLAW_GATEWAY_TOKEN=the-secret-token "$@" bash "$root/openclaw/start.sh" >out 2>&1 &
    script=$!
}

gateways_started() { [ "$(count log 'gateway: gateway run')" -ge "$1" ]; }
merges() { [ "$(count log 'merge:')" -ge "$1" ]; }

# Waits for the end of the script and sets $code.
await_end() {
    expect 'the script ends' eventually ended "$script"
    wait "$script"
    code=$?
}

# Ends the script as Docker does.
finish() {
    kill -TERM "$script"
    await_end
}

a_start_merges_the_configuration_and_then_starts_the_gateway() {
    prepare
    start
    expect 'the gateway starts' eventually gateways_started 1
    expect 'merge is first' [ "$(head -n 1 log | cut -d ' ' -f 1)" = merge: ]
    expect 'template' contains log "--template $root/openclaw/openclaw.template.json"
    expect 'paths' contains log "--existing $work/state/openclaw.json --generated $work/clawd/openclaw.json --out $work/state/openclaw.json"
    expect 'port' contains log 'gateway: gateway run --port 18789 '
    expect 'address' contains out 'http://127.0.0.1:18789/'
    finish
    expect 'no token in the output' lacks out the-secret-token
    expect 'no token on a command line' lacks log the-secret-token
}

a_signal_reaches_the_gateway_and_its_exit_code_is_that_of_the_script() {
    prepare
    start
    expect 'the gateway starts' eventually gateways_started 1
    finish
    expect 'TERM arrived' contains log 'gateway: TERM'
    expect "code $code" [ "$code" = 7 ]
}

the_end_of_the_gateway_is_the_end_of_the_script() {
    prepare
    start
    expect 'the gateway starts' eventually gateways_started 1
    touch gateway-ends
    await_end
    expect "code $code" [ "$code" = 9 ]
}

an_env_file_that_appears_later_restarts_the_gateway() {
    prepare
    start
    expect 'the gateway starts' eventually gateways_started 1
    expect 'without the key' contains log 'gateway: gateway run --port 18789 key=unset'
    printf '# keys\nANTHROPIC_API_KEY="first"\n' >etc/gateway.env
    expect 'it starts again' eventually gateways_started 2
    expect 'the former one got TERM' contains log 'gateway: TERM'
    expect 'with the key' contains log 'gateway: gateway run --port 18789 key=first'
    expect 'merged with it' [ "$(grep -c '^merge: .* key=first' log)" = 1 ]
    rm etc/gateway.env
    expect 'a third start' eventually gateways_started 3
    expect 'without the key again' [ "$(grep 'gateway: gateway' log | tail -n 1 | grep -c key=unset)" = 1 ]
    finish
}

stored_keys_replace_the_others_and_their_change_restarts_the_gateway() {
    prepare
    mkdir keys
    echo 'VERCEL_AI_GATEWAY_API_KEY=of-the-file' >etc/gateway.env
    start OPENCLAW_KEYS_FILE="$work/keys/gateway.env" ANTHROPIC_API_KEY=of-the-container
    expect 'the gateway starts' eventually gateways_started 1
    expect 'without stored keys' contains log 'gateway: gateway run --port 18789 key=of-the-container'
    printf '# stored\nANTHROPIC_API_KEY='"'stored'"'\nVERCEL_AI_GATEWAY_API_KEY=stored-too\n' >keys/gateway.env.new
    mv keys/gateway.env.new keys/gateway.env
    expect 'it starts again' eventually gateways_started 2
    expect 'it says why' contains out "$work/keys/gateway.env has changed: the gateway restarts after its running turns"
    expect 'with the stored keys' contains log 'gateway: gateway run --port 18789 key=stored author=unset vercel=stored-too'
    echo '# none' >keys/gateway.env
    expect 'a third start' eventually gateways_started 3
    expect 'with the other keys again' [ "$(grep 'gateway: gateway' log | tail -n 1 | grep -c 'key=of-the-container author=unset vercel=of-the-file')" = 1 ]
    echo 'LD_PRELOAD=/tmp/hostile.so' >keys/gateway.env
    expect 'refused' eventually contains out "$work/keys/gateway.env sets LD_PRELOAD, which decides what programs run"
    expect 'the gateway keeps running' [ "$(count log 'gateway: gateway run')" = 3 ]
    finish
}

a_generated_configuration_that_appears_later_is_merged_without_a_restart() {
    prepare
    start
    expect 'the gateway starts' eventually gateways_started 1
    echo '{"agents": {}}' >clawd/openclaw.json
    expect 'merged' eventually merges 2
    echo '{"agents": {"list": []}}' >clawd/openclaw.json
    expect 'merged again' eventually merges 3
    expect 'one gateway' [ "$(count log 'gateway: gateway run')" = 1 ]
    finish
}

a_configuration_that_cannot_be_merged_leaves_the_gateway_running() {
    prepare
    start
    expect 'the gateway starts' eventually gateways_started 1
    touch merge-fails
    echo '{' >clawd/openclaw.json
    expect 'says so' eventually contains out 'the gateway keeps its configuration'
    expect 'and why' contains out 'line 3 is no JSON'
    rm merge-fails
    echo '{}' >clawd/openclaw.json
    expect 'the next change is merged' eventually merges 2
    expect 'one gateway' [ "$(count log 'gateway: gateway run')" = 1 ]
    finish
}

a_first_configuration_that_cannot_be_merged_starts_no_gateway() {
    prepare
    touch merge-fails
    start
    await_end
    expect "code $code" [ "$code" = 1 ]
    expect 'why' contains out 'line 3 is no JSON'
    expect 'no gateway' lacks log 'gateway:'
}

without_reload_nothing_is_watched() {
    prepare
    start OPENCLAW_CONFIG_RELOAD=0
    expect 'the gateway starts' eventually gateways_started 1
    echo 'ANTHROPIC_API_KEY=first' >etc/gateway.env
    # Ten intervals of the watcher.
    sleep 1
    expect 'one gateway' [ "$(count log 'gateway: gateway run')" = 1 ]
    expect 'one merge' [ "$(count log 'merge:')" = 1 ]
    finish
    expect "code $code" [ "$code" = 7 ]
}

the_container_wins_over_the_env_file_and_a_blank_value_is_not_set() {
    prepare
    # shellcheck disable=SC2016
    printf 'ANTHROPIC_API_KEY=of-the-file\nGIT_AUTHOR_NAME=\nVERCEL_AI_GATEWAY_API_KEY='"'v k'"'\n$(touch %s)\n' "$work/executed" >etc/gateway.env
    start ANTHROPIC_API_KEY=of-the-container GIT_AUTHOR_NAME=
    expect 'the gateway starts' eventually gateways_started 1
    expect 'values' contains log 'key=of-the-container author=unset vercel=v k'
    expect 'nothing is executed' [ ! -e executed ]
    finish
}

# refused SENTENCE [NAME=VALUE…]: the script starts no gateway, and says why.
refused() {
    local sentence=$1
    shift
    : >out
    start "$@"
    await_end
    expect "code $code" [ "$code" = 1 ]
    expect "$sentence in: $(cat out)" contains out "$sentence"
    expect 'no gateway' lacks log 'gateway:'
}

an_odd_number_of_seconds_or_port_is_refused() {
    prepare
    local value
    for value in 0 0.0 -1 1e3 text 99999999999999999999 10000 ' 5' '1; touch executed'; do
        refused "OPENCLAW_WATCH_SECONDS is '$value': expected seconds from 0.1 to 9999" OPENCLAW_WATCH_SECONDS="$value"
    done
    for value in 0 -1 65536 999999 18789x 0x10 ' 1' '1 --verbose'; do
        refused "OPENCLAW_GATEWAY_PORT is '$value': expected a port from 1 to 65535" OPENCLAW_GATEWAY_PORT="$value"
    done
    expect 'nothing is executed' [ ! -e executed ]
    expect 'nothing is merged' lacks log 'merge:'
}

an_env_file_that_is_no_small_regular_file_is_refused() {
    prepare
    mkfifo etc/gateway.env
    refused "$work/etc/gateway.env is not a regular file. Replace it"
    rm etc/gateway.env
    mkdir etc/gateway.env
    refused "$work/etc/gateway.env is not a regular file. Replace it"
    rmdir etc/gateway.env
    truncate -s 1048577 etc/gateway.env
    refused "$work/etc/gateway.env is larger than 1048576 bytes"
}

a_variable_that_decides_what_runs_is_refused_in_the_env_file() {
    prepare
    local name
    for name in LD_PRELOAD LD_LIBRARY_PATH NODE_OPTIONS NODE_PATH PATH BASH_ENV IFS \
        GIT_SSH GIT_SSH_COMMAND GIT_EXEC_PATH GIT_CONFIG GIT_CONFIG_GLOBAL GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_CONFIG_VALUE_0 \
        GIT_CONFIG_PARAMETERS GIT_ASKPASS SSH_ASKPASS SUDO_ASKPASS GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER GIT_EXTERNAL_DIFF \
        GIT_PROXY_COMMAND GIT_TEMPLATE_DIR EDITOR VISUAL PAGER PERL5LIB PERL5OPT PYTHONPATH PYTHONSTARTUP PYTHONHOME RUBYOPT \
        RUBYLIB npm_config_script_shell NPM_CONFIG_REGISTRY Npm_Config_Userconfig; do
        printf 'ANTHROPIC_API_KEY=first\nexport %s=/tmp/hostile\n' "$name" >etc/gateway.env
        refused "$work/etc/gateway.env sets $name, which decides what programs run. Remove the line"
        expect 'the value is not shown' lacks out hostile
    done
}

# The names come from the script, so that a variable it reads in the future is tested as well.
a_variable_that_the_script_reads_before_the_env_file_is_refused_there() {
    prepare
    local name names
    # shellcheck disable=SC2016
    names=$(sed '/^load_env()/,$d' "$root/openclaw/start.sh" | grep -o '${OPENCLAW_[A-Z_]*' | cut -c 3- | sort -u)
    for name in CONFIG_PATH CONFIG_RELOAD ENV_FILE GATEWAY_PORT STATE_DIR TEMPLATE WATCH_SECONDS WORKSPACE_ROOT; do
        expect "the script reads OPENCLAW_$name" grep -qx "OPENCLAW_$name" <<<"$names"
    done
    for name in $names; do
        printf 'ANTHROPIC_API_KEY=first\n%s=/tmp/hostile\n' "$name" >etc/gateway.env
        refused "$work/etc/gateway.env sets $name, which is needed before this file is read. Remove the line, and set the variable for the container"
        expect 'the value is not shown' lacks out hostile
    done
    expect 'nothing is merged' lacks log 'merge:'
}

a_variable_that_no_rule_names_is_loaded() {
    prepare
    printf '%s=of-the-file\n' ANTHROPIC_API_KEY GIT_AUTHOR_NAME VERCEL_AI_GATEWAY_API_KEY OPENCLAW_GATEWAY_TOKEN OPENCLAW_AGENTS >etc/gateway.env
    start
    expect 'the gateway starts' eventually gateways_started 1
    expect 'values' contains log 'key=of-the-file author=of-the-file vercel=of-the-file'
    finish
}

an_env_file_that_becomes_unusable_leaves_the_gateway_running() {
    prepare
    start
    expect 'the gateway starts' eventually gateways_started 1
    mkfifo etc/gateway.env
    expect 'says so' eventually contains out 'is not a regular file'
    expect 'and goes on' eventually contains out 'the gateway keeps its configuration'
    rm etc/gateway.env
    echo 'LD_PRELOAD=/tmp/hostile.so' >etc/gateway.env
    expect 'says so' eventually contains out 'sets LD_PRELOAD'
    expect 'one gateway' [ "$(count log 'gateway: gateway run')" = 1 ]
    echo 'ANTHROPIC_API_KEY=first' >etc/gateway.env
    expect 'a good file restarts it' eventually gateways_started 2
    expect 'with the key' contains log 'gateway: gateway run --port 18789 key=first'
    finish
}

a_folder_that_cannot_be_written_is_named_with_the_remedy() {
    prepare
    # A file in place of the folder stops root as well.
    rmdir state && touch state
    start
    await_end
    expect "code $code" [ "$code" = 1 ]
    expect 'sentence' contains out "$work/state is not a folder that user $(id -u) can write. Give the volume to that user: chown -R"
    expect 'no gateway' lacks log 'gateway:'
}

a_signal_before_the_first_start_starts_no_gateway() {
    prepare
    cat >bin/mission-control-runtime <<END
#!/usr/bin/env bash
touch "$work/merging"
until [ -e "$work/go" ]; do sleep 0.05; done
END
    start
    expect 'it merges' eventually [ -e merging ]
    kill -TERM "$script"
    touch go
    expect 'it ends' eventually ended "$script"
    expect 'no gateway' lacks log 'gateway:'
}

run_tests a_start_merges_the_configuration_and_then_starts_the_gateway \
    a_signal_reaches_the_gateway_and_its_exit_code_is_that_of_the_script \
    the_end_of_the_gateway_is_the_end_of_the_script \
    an_env_file_that_appears_later_restarts_the_gateway \
    stored_keys_replace_the_others_and_their_change_restarts_the_gateway \
    a_generated_configuration_that_appears_later_is_merged_without_a_restart \
    a_configuration_that_cannot_be_merged_leaves_the_gateway_running \
    a_first_configuration_that_cannot_be_merged_starts_no_gateway \
    without_reload_nothing_is_watched \
    the_container_wins_over_the_env_file_and_a_blank_value_is_not_set \
    an_odd_number_of_seconds_or_port_is_refused \
    an_env_file_that_is_no_small_regular_file_is_refused \
    a_variable_that_decides_what_runs_is_refused_in_the_env_file \
    a_variable_that_the_script_reads_before_the_env_file_is_refused_there \
    a_variable_that_no_rule_names_is_loaded \
    an_env_file_that_becomes_unusable_leaves_the_gateway_running \
    a_folder_that_cannot_be_written_is_named_with_the_remedy \
    a_signal_before_the_first_start_starts_no_gateway
