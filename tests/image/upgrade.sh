#!/usr/bin/env bash
# Tests scripts/runtime-upgrade-local.sh with a stand-in for `docker`, which keeps images, tags and containers in files.
# shellcheck source=tests/image/harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/harness.sh"

# The stand-in. tags/NAME: the id behind a name. running/SERVICE: the name and the id of its container. ready/ID: such an
# image becomes ready. next/SERVICE: the id that the next pull or build brings. broken/VERB: this verb fails.
prepare() {
    mkdir -p project/scripts bin tags running ready next broken
    cp "$root/scripts/runtime-upgrade-local.sh" project/scripts/
    cat >bin/docker <<'END'
#!/usr/bin/env bash
# The stand-in for docker of one test; $D is its folder.
echo "docker $*" >>"$D/log"
file() { echo "$D/tags/${1//\//_}"; }
if [ "$1" = tag ]; then echo "$2" >"$(file "$3")"; exit; fi
if [ "$1" = inspect ]; then
    case $3 in *RestartCount*) if [ -e "$D/restarting" ]; then echo $RANDOM; else echo 0; fi && exit ;; esac
    cat "$D/running/${4#container-}"
    exit
fi
shift 3
verb=$1
shift
if [ -e "$D/broken/$verb" ]; then echo "docker: $verb fails" >&2; exit 1; fi
name() {
    case $1 in
    runtime) echo "${RUNTIME_IMAGE:-$(sed -n 's/^RUNTIME_IMAGE=//p' .env 2>/dev/null | grep . || echo mission-control-runtime:local)}" ;;
    openclaw-gateway) echo "${GATEWAY_IMAGE:-mission-control-gateway:local}" ;;
    esac
}
case $verb in
ps) if [ -e "$D/running/${!#}" ]; then echo "container-${!#}"; fi ;;
pull | build)
    if [ -e "$D/hang" ]; then touch "$D/hanging"; until [ ! -e "$D/hang" ]; do sleep 0.05; done; fi
    if [ -e "$D/next/$1" ]; then cp "$D/next/$1" "$(file "$(name "$1")")"; fi
    ;;
up)
    for service in "$@"; do
        case $service in -*) continue ;; esac
        echo "$(name "$service") $(cat "$(file "$(name "$service")")")" >"$D/running/$service"
    done
    ;;
exec)
    case "$* " in
    *'status --json '*)
        if [ -e "$D/away" ]; then printf '{\n  "backend": {\n    "reachable": false\n  }\n}\n'; fi
        exit
        ;;
    esac
    service=$2
    read -r _ id <"$D/running/$service"; [ -e "$D/ready/$id" ]
    ;;
logs) echo "the log of $1" ;;
esac
END
    chmod +x bin/docker
    echo old-runtime >tags/mission-control-runtime:local
    echo 'mission-control-runtime:local old-runtime' >running/runtime
    echo new-runtime >next/runtime
    touch ready/old-runtime ready/new-runtime log
}

# upgrade [NAME=VALUE…]: runs the script, with its output in `out` and its exit code in $code.
begin_upgrade() {
    env D="$work" PATH="$work/bin:$PATH" READY_SECONDS=1 CONFIRM_SECONDS=1 "$@" bash project/scripts/runtime-upgrade-local.sh >out 2>&1 &
    script=$!
}
await_upgrade() {
    expect 'it ends' eventually ended "$script"
    wait "$script"
    code=$?
    cat out
}
upgrade() {
    begin_upgrade "$@"
    await_upgrade
}
runs() { [ "$(cat "running/$1")" = "$2" ]; }

new_images_that_become_ready_stay() {
    prepare
    upgrade
    expect "code $code" [ "$code" = 0 ]
    expect 'new image' runs runtime 'mission-control-runtime:local new-runtime'
    expect 'built' contains log ' build runtime'
    expect 'the old image keeps a tag' [ "$(cat tags/mission-control-previous-runtime:latest)" = old-runtime ]
    expect 'no note' [ ! -e project/.runtime/upgrade ]
}

an_image_of_a_registry_is_pulled_and_not_built() {
    prepare
    echo RUNTIME_IMAGE=example.com/runtime:2 >project/.env
    echo 'example.com/runtime:1 old-runtime' >running/runtime
    upgrade
    expect "code $code" [ "$code" = 0 ]
    expect 'new image' runs runtime 'example.com/runtime:2 new-runtime'
    expect 'pulled' contains log ' pull runtime'
    expect 'not built' lacks log ' build '
}

an_image_that_does_not_become_ready_is_rolled_back() {
    prepare
    rm ready/new-runtime
    upgrade
    expect "code $code" [ "$code" = 1 ]
    expect 'old image' runs runtime 'mission-control-runtime:local old-runtime'
    expect 'the name too' [ "$(cat tags/mission-control-runtime:local)" = old-runtime ]
    expect 'reason' contains out '/readyz did not answer within 1 s'
    expect 'log' contains out 'the log of'
    expect 'result' contains out 'the previous images run and are ready'
    expect 'no note' [ ! -e project/.runtime/upgrade ]
}

while_mission_control_is_away_nothing_is_rolled_back() {
    prepare
    rm ready/new-runtime
    touch away
    begin_upgrade READY_SECONDS=2
    expect 'it waits' eventually contains out 'Mission Control does not answer: waiting for it'
    # More than twice the limit.
    sleep 5
    expect 'the new image runs' runs runtime 'mission-control-runtime:local new-runtime'
    touch ready/new-runtime
    await_upgrade
    expect "code $code" [ "$code" = 0 ]
    expect 'the new image runs' runs runtime 'mission-control-runtime:local new-runtime'
}

an_image_whose_container_restarts_is_rolled_back() {
    prepare
    touch restarting
    upgrade CONFIRM_SECONDS=60
    expect "code $code" [ "$code" = 1 ]
    expect 'reason' contains out 'a container restarted within 60 s'
    expect 'old image' runs runtime 'mission-control-runtime:local old-runtime'
}

a_rollback_names_the_image_to_set_back() {
    prepare
    rm ready/new-runtime
    echo RUNTIME_IMAGE=example.com/runtime:2 >project/.env
    echo 'example.com/runtime:1 old-runtime' >running/runtime
    echo old-runtime >tags/example.com_runtime:1
    upgrade
    expect "code $code" [ "$code" = 1 ]
    expect 'old image' runs runtime 'example.com/runtime:1 old-runtime'
    expect 'advice' contains out 'set the images back in .env: RUNTIME_IMAGE=example.com/runtime:1'
}

a_failed_pull_or_build_leaves_everything_running() {
    prepare
    touch broken/build
    upgrade
    expect "code $code" [ "$code" = 1 ]
    expect 'old image' runs runtime 'mission-control-runtime:local old-runtime'
    expect 'not replaced' lacks log ' up '
    expect 'sentence' contains out 'the new images are not available, see above. The containers run as before'
    expect 'no note' [ ! -e project/.runtime/upgrade ]
}

containers_that_cannot_be_started_are_rolled_back() {
    prepare
    touch broken/up
    upgrade
    expect "code $code" [ "$code" = 1 ]
    expect 'sentence' contains out 'the previous images cannot be started; their ids are in .runtime/upgrade'
    expect 'the note stays' contains project/.runtime/upgrade 'runtime mission-control-runtime:local old-runtime'
}

a_signal_during_the_build_leaves_everything_running() {
    prepare
    touch hang
    begin_upgrade
    expect 'it builds' eventually [ -e hanging ]
    kill -TERM "$script"
    rm hang
    await_upgrade
    expect "code $code" [ "$code" = 130 ]
    expect 'old image' runs runtime 'mission-control-runtime:local old-runtime'
    expect 'the name too' [ "$(cat tags/mission-control-runtime:local)" = old-runtime ]
    expect 'not replaced' lacks log ' up '
    expect 'no note' [ ! -e project/.runtime/upgrade ]
}

a_signal_while_the_new_image_is_unproven_rolls_back() {
    prepare
    rm ready/new-runtime
    begin_upgrade READY_SECONDS=60
    expect 'it waits' eventually contains out 'waiting at most 60 s'
    kill -TERM "$script"
    await_upgrade
    expect "code $code" [ "$code" = 130 ]
    expect 'old image' runs runtime 'mission-control-runtime:local old-runtime'
    expect 'no note' [ ! -e project/.runtime/upgrade ]
}

after_a_kill_the_next_run_still_returns_to_the_proven_image() {
    prepare
    rm ready/new-runtime
    begin_upgrade READY_SECONDS=60
    expect 'it waits' eventually contains out 'waiting at most 60 s'
    kill -KILL "$script"
    expect 'it ends' eventually ended "$script"
    # A stand-in that still runs holds the lock a moment longer.
    expect 'the lock is free' eventually flock --nonblock project/.runtime/upgrade.lock true
    expect 'the new image runs' runs runtime 'mission-control-runtime:local new-runtime'
    expect 'the note is there' contains project/.runtime/upgrade old-runtime
    upgrade
    expect "code $code" [ "$code" = 1 ]
    expect 'says so' contains out 'an earlier upgrade was interrupted'
    expect 'old image' runs runtime 'mission-control-runtime:local old-runtime'
    expect 'no note' [ ! -e project/.runtime/upgrade ]
}

the_gateway_must_become_ready_too() {
    prepare
    echo 'mission-control-gateway:local old-gateway' >running/openclaw-gateway
    echo old-gateway >tags/mission-control-gateway:local
    echo new-gateway >next/openclaw-gateway
    touch ready/old-gateway
    upgrade PROFILE=openclaw
    expect "code $code" [ "$code" = 1 ]
    expect 'both are old' runs runtime 'mission-control-runtime:local old-runtime'
    expect 'both are old' runs openclaw-gateway 'mission-control-gateway:local old-gateway'
    touch ready/new-gateway
    upgrade PROFILE=openclaw
    expect "code $code" [ "$code" = 0 ]
    expect 'both are new' runs runtime 'mission-control-runtime:local new-runtime'
    expect 'both are new' runs openclaw-gateway 'mission-control-gateway:local new-gateway'
}

nothing_to_upgrade_is_said() {
    prepare
    rm running/runtime
    upgrade
    expect "code $code" [ "$code" = 1 ]
    expect 'sentence' contains out 'there is no container of runtime to upgrade. Start it with'
}

two_upgrades_at_once_are_refused() {
    prepare
    touch hang
    begin_upgrade
    first=$script
    expect 'it builds' eventually [ -e hanging ]
    mv out out.first
    upgrade
    expect "code $code" [ "$code" = 1 ]
    expect 'sentence' contains out 'another upgrade is running'
    rm hang
    expect 'the first ends' eventually ended "$first"
    expect 'and succeeds' runs runtime 'mission-control-runtime:local new-runtime'
}

run_tests new_images_that_become_ready_stay an_image_of_a_registry_is_pulled_and_not_built \
    an_image_that_does_not_become_ready_is_rolled_back a_rollback_names_the_image_to_set_back \
    a_failed_pull_or_build_leaves_everything_running containers_that_cannot_be_started_are_rolled_back \
    a_signal_during_the_build_leaves_everything_running a_signal_while_the_new_image_is_unproven_rolls_back \
    after_a_kill_the_next_run_still_returns_to_the_proven_image the_gateway_must_become_ready_too \
    nothing_to_upgrade_is_said two_upgrades_at_once_are_refused \
    while_mission_control_is_away_nothing_is_rolled_back an_image_whose_container_restarts_is_rolled_back
