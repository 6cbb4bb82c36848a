#!/bin/sh
# Installs, upgrades, rolls back and removes Mission Control Runtime on a Linux machine with systemd. Run as root.
#
#   install.sh install SOURCE [--sha256 HEX]    install, or upgrade what is installed
#   install.sh upgrade SOURCE [--sha256 HEX]    replace the build; the old one returns if the new one does not work
#   install.sh rollback                         return to the build before the last upgrade
#   install.sh allow VERSION SOURCE --sha256 HEX  let the runtime install this version when Mission Control requests it
#   install.sh uninstall [--purge]              remove the program; --purge removes configuration and state, too
#   install.sh help                             print this list
#
# SOURCE is a binary or a release archive (.tar.gz): a file, or an http(s) address. An address needs --sha256, the
# checksum from the release page. A bare binary takes the units in systemd/, next to this script.
#
# Each build has a folder of its own in /usr/local/lib/mission-control-runtime, and a symbolic link, `current`, selects
# one, so an interruption leaves the old or the new build whole. While a new build is on trial, the file `on-trial`
# names the build to return to; the next run of this script completes or undoes what was interrupted.
#
# `install.sh requested` is for mission-control-upgrade.service: it carries out a request of the runtime by the same steps.
set -eu
umask 022

NAME=mission-control-runtime
ACCOUNT=mission-control
GATEWAY_GROUP=openclaw
LIB=/usr/local/lib/$NAME
PROGRAM=/usr/local/bin/$NAME
UNITS=/usr/local/lib/systemd/system
ENV_FILE=/etc/$NAME.env
STATE=/var/lib/$NAME
WORKSPACES=/var/lib/openclaw
LOCK=/run/$NAME-install.lock
# Seconds for the start of a build, and again until it is ready if the build before it was.
WAIT=${MISSION_CONTROL_WAIT:-90}
# Seconds for which a new build must work.
CONFIRM=${MISSION_CONTROL_CONFIRM:-60}
# The folder of the service user's requests, the answer to the last one, and the versions that may be requested.
REQUESTS=/var/lib/$ACCOUNT-upgrade
RESULT=$LIB/upgrade-result
RELEASES=/etc/$NAME.releases

staging=
on_trial=
# Why the last build does not work.
trouble=
# The number of the request that is carried out, and the result if it fails.
request=
result=failed

say() { printf '%s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    answer "$result" "$*"
    exit 1
}

# Answers the request: `NUMBER RESULT`, then the reason in one line.
answer() {
    [ -n "$request" ] || return 0
    mkdir -p "$LIB"
    printf '%s %s\n%s\n' "$request" "$1" "$(printf %s "${2-}" | tr '\n' ' ' | cut -c1-400)" >"$RESULT.new"
    chmod 644 "$RESULT.new"
    sync "$RESULT.new"
    mv -T "$RESULT.new" "$RESULT"
}

usage() {
    say 'Usage:'
    sed -n 's/^# \(  install\.sh \)/\1/p' "$0"
    say 'SOURCE is a binary or a .tar.gz archive: a file, or an address, which needs --sha256.'
}

misused() {
    usage >&2
    exit 2
}

# Removes the unfinished, and returns to the old build if the new one is still on trial.
finish() {
    code=$?
    trap '' INT TERM HUP
    if [ -n "$staging" ]; then rm -rf "$staging"; fi
    if [ -n "$on_trial" ]; then
        say 'Interrupted: returning to the build before.'
        undo
        answer "$result" 'the installer was interrupted'
    fi
    if [ -n "$request" ]; then rm -rf "$REQUESTS/request" "$REQUESTS/rollback"; fi
    exit "$code"
}

check_machine() {
    [ "$(id -u)" = 0 ] || fail "root is required: run \`sudo $0 …\`. Nothing was changed."
    [ -d /run/systemd/system ] || fail 'this machine does not run systemd. Start the binary under your own supervisor; see docs/operations.md.'
    for tool in systemctl journalctl sha256sum tar gzip flock useradd groupadd od timeout; do
        command -v "$tool" >/dev/null || fail "the command \`$tool\` is missing: install its package, then run this again. Nothing was changed."
    done
    exec 9>"$LOCK"
    # A killed run leaves its last command for a moment. A request waits for its turn.
    flock -w "$([ -z "$request" ] && echo 5 || echo 600)" 9 || fail 'another install.sh is at work: wait for its end. Nothing was changed.'
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # An interrupted run leaves these.
    rm -rf "$LIB"/incoming.*
}

free_space() { df -h --output=avail "$LIB" 2>/dev/null | tail -n 1 | tr -d ' '; }

no_room() {
    fail "$1 cannot be written to $LIB: free space on this disk ($(free_space) left), then run this again. The installed build was not changed."
}

# Copies or downloads the source into $staging, and checks it.
fetch() {
    mkdir -p "$LIB" || no_room 'A folder'
    staging=$(mktemp -d "$LIB/incoming.XXXXXX") || no_room 'A folder'
    case $source in
        http://* | https://*)
            [ -n "$sha256" ] || fail 'an address needs --sha256 with the checksum from the release page. Nothing was changed.'
            command -v curl >/dev/null || fail 'curl is missing: install it, or download the file and name it instead. Nothing was changed.'
            got=0
            curl -fsSL --proto '=http,https' --retry 2 -o "$staging/source" "$source" 9>&- || got=$?
            if [ "$got" = 23 ]; then no_room 'The download'; fi
            [ "$got" = 0 ] || fail "$source cannot be downloaded (curl error $got): check the address and the network. Nothing was changed."
            ;;
        *)
            [ -f "$source" ] || fail "$source is not a file. Nothing was changed."
            cp "$source" "$staging/source" || no_room 'The build'
            ;;
    esac
    if [ -n "$sha256" ]; then
        found=$(sha256sum "$staging/source")
        found=${found%% *}
        [ "$found" = "$sha256" ] || fail "the checksum of $source is $found, not $sha256: the file is damaged or not the one of the release page. Download it again. Nothing was changed."
    fi
}

# Makes $staging/build of the source: the program, its units and the template of the gateway.
unpack() {
    mkdir "$staging/build"
    from=$(dirname "$0")
    if [ "$(od -An -tx1 -N2 "$staging/source" | tr -d ' ')" = 1f8b ]; then
        mkdir "$staging/archive"
        gzip -t "$staging/source" 2>/dev/null || fail "$source is a damaged archive: download it again. Nothing was changed."
        tar -xzf "$staging/source" -C "$staging/archive" --no-same-owner --strip-components=1 2>/dev/null ||
            fail "$source cannot be unpacked: it is damaged, or the disk is full ($(free_space) left). Nothing was changed."
        # A link would lead root's commands to another file.
        [ -z "$(find "$staging/archive" ! -type f ! -type d | head -n 1)" ] ||
            fail "$source contains links or special files: it is not a release archive. Nothing was changed."
        binary=$staging/archive/$NAME
        from=$staging/archive/packaging
        [ -f "$binary" ] || fail "$source contains no $NAME. Nothing was changed."
    else
        binary=$staging/source
    fi
    [ -f "$from/systemd/$NAME.service" ] ||
        fail "there is no $from/systemd/$NAME.service: use the release archive, or keep install.sh and systemd/ in one folder. Nothing was changed."
    mv "$binary" "$staging/build/$NAME"
    chmod 755 "$staging/build/$NAME"
    cp -R "$from/systemd" "$staging/build/systemd" || no_room 'The units'
    # This script stays on the machine with its build: current/install.sh upgrades, rolls back and removes.
    for file in "$from/install.sh" "$from/openclaw.template.json" "$from/request-upgrade.sh"; do
        if [ -f "$file" ]; then cp "$file" "$staging/build/" || no_room 'The script'; fi
    done
    chown -R root:root "$staging/build"
    chmod -R go-w "$staging/build"
}

# The processor of a program: two bytes of its ELF header. A script has none.
machine_of() { od -An -tx1 -j18 -N2 "$1" | tr -d ' \n'; }

machine_name() {
    case $1 in
        3e00) echo x86_64 ;;
        b700) echo aarch64 ;;
        2800) echo arm ;;
        *) echo "another machine ($1)" ;;
    esac
}

check_program() {
    program=$staging/build/$NAME
    start=$(od -An -tx1 -N4 "$program" | tr -d ' \n')
    case $start in
        7f454c46)
            theirs=$(machine_of "$program")
            ours=$(machine_of /bin/sh)
            [ "$theirs" = "$ours" ] || fail "this build is for $(machine_name "$theirs"), and this machine is $(machine_name "$ours"): download the build for $(machine_name "$ours"). Nothing was changed."
            ;;
        2321*) ;;
        *) fail "$source is neither a program nor a .tar.gz archive. Nothing was changed." ;;
    esac
    version=$(timeout 20 "$program" version 2>&1 9>&-) || fail "the build does not run on this machine (${version:-no output}). Nothing was changed."
    case $version in
        "$NAME "*) version=$(printf '%s\n' "$version" | head -n 1) ;;
        *) fail "$source is another program: its \`version\` says ${version:-nothing}. Nothing was changed." ;;
    esac
    found=${version#"$NAME "}
    if [ -n "$wanted" ] && [ "${found%% *}" != "$wanted" ]; then
        fail "$source is the version ${found%% *}, not $wanted. Nothing was changed."
    fi
}

# Moves the build to its folder, which is named after its content.
keep_build() {
    build=$(cd "$staging/build" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
    mkdir -p "$LIB/builds"
    if [ -d "$LIB/builds/$build" ]; then
        # A power failure may have damaged it.
        diff -r "$staging/build" "$LIB/builds/$build" >/dev/null 2>&1 && return
        rm -rf "$LIB/builds/$build"
    fi
    sync "$staging/build/$NAME" "$staging/build"
    mv -T "$staging/build" "$LIB/builds/$build"
}

add_accounts() {
    getent group "$GATEWAY_GROUP" >/dev/null || groupadd --system "$GATEWAY_GROUP" || fail "the group $GATEWAY_GROUP cannot be made. The installed build was not changed."
    getent passwd "$ACCOUNT" >/dev/null ||
        useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin "$ACCOUNT" ||
        fail "the user $ACCOUNT cannot be made. The installed build was not changed."
    usermod --append --groups "$GATEWAY_GROUP" "$ACCOUNT"
}

add_folders() {
    for folder in "$STATE" "$WORKSPACES"; do
        if [ -e "$folder" ] && [ ! -d "$folder" ]; then
            fail "$folder is not a folder: move it away, then run this again. The installed build was not changed."
        fi
    done
    # Written by the runtime and read by the gateway; the runtime's units make the state folder themselves.
    for folder in "$WORKSPACES" "$WORKSPACES/agents"; do
        [ -d "$folder" ] || install -d -m 2770 -o "$ACCOUNT" -g "$GATEWAY_GROUP" "$folder" ||
            fail "$folder cannot be made: is its disk full or read-only? The installed build was not changed."
    done
    # The service user leaves requests here, and no other user reads or writes them.
    [ -d "$REQUESTS" ] || install -d -m 700 -o "$ACCOUNT" -g "$ACCOUNT" "$REQUESTS" ||
        fail "$REQUESTS cannot be made: is its disk full or read-only? The installed build was not changed."
    parent=$(dirname "$STATE")
    probe=$(mktemp "$parent/.$NAME.XXXXXX") || fail "$parent cannot be written: is its disk full or read-only? The installed build was not changed."
    rm "$probe"
}

add_env_file() {
    if [ -L "$ENV_FILE" ] || { [ -e "$ENV_FILE" ] && [ ! -f "$ENV_FILE" ]; }; then
        fail "$ENV_FILE is a link or no file: put a regular file in its place, then run this again. The installed build was not changed."
    fi
    if [ ! -e "$ENV_FILE" ]; then
        new=$(mktemp "$ENV_FILE.XXXXXX")
        cat >"$new" <<END
# Variables of $NAME; \`$NAME doctor --all\` lists all of them. Only root may read this file.
# The first three are on the page of the runtime in Mission Control.
ACCOUNT_ID=
CONVEX_URL=
SERVICE_TOKEN=

# The address of Mission Control in your browser, for links on the runtime's page.
BOARD_URL=

OPENCLAW_GATEWAY_URL=http://127.0.0.1:18789
# The same token as in the file of the gateway.
OPENCLAW_GATEWAY_TOKEN=
# The same number as OPENCLAW_MAX_CONCURRENT of the gateway.
DELIVERY_MAX_CONCURRENT_SESSIONS=5

# The folder that systemd makes for the service; root's commands (status, why, dead) need it here.
STATE_DIR=$STATE
END
        mv "$new" "$ENV_FILE"
    fi
    chown root:root "$ENV_FILE"
    chmod 600 "$ENV_FILE"
}

# Whether the three required variables have a value, directly or in a file.
is_configured() {
    for variable in ACCOUNT_ID CONVEX_URL SERVICE_TOKEN; do
        grep -Eq "^[[:space:]]*(export[[:space:]]+)?$variable(_FILE)?[[:space:]]*=[[:space:]]*[\"']?[^\"'[:space:]]" "$ENV_FILE" || return 1
    done
}

# Points a symbolic link elsewhere in one step. A link that is right stays.
link() {
    if [ "$(readlink "$2" 2>/dev/null)" = "$1" ]; then return; fi
    rm -f "$2.new"
    ln -s "$1" "$2.new"
    mv -T "$2.new" "$2"
}

build_of() { basename "$(readlink "$LIB/$1" 2>/dev/null)"; }

# Selects a build: its program and its units.
switch_to() {
    mkdir -p "$UNITS" /usr/local/bin
    # Copies, because `systemctl enable` follows links and would keep the folder of one build.
    for unit in "$LIB"/builds/*/systemd/*.service "$LIB"/builds/*/systemd/*.path; do
        file=$(basename "$unit")
        # An archive cannot replace the units of other programs.
        case $file in "$ACCOUNT"-*.service | "$ACCOUNT"-*.path | openclaw-gateway.service | openclaw-gateway-restart.*) ;; *) continue ;; esac
        if [ -e "$LIB/builds/$1/systemd/$file" ]; then
            if cmp -s "$LIB/builds/$1/systemd/$file" "$UNITS/$file"; then continue; fi
            cp "$LIB/builds/$1/systemd/$file" "$UNITS/$file.new"
            mv "$UNITS/$file.new" "$UNITS/$file"
        else
            rm -f "$UNITS/$file"
        fi
    done
    link "builds/$1" "$LIB/current"
    link "$LIB/current/$NAME" "$PROGRAM"
    systemctl daemon-reload
}

# The units of this program that run or try to.
running_units() {
    systemctl list-units --plain --no-legend --state=active,activating,reloading,deactivating \
        "$NAME.service" "$NAME@*.service" "$ACCOUNT-local.service" | cut -d ' ' -f 1
}

# Whether the service of a unit is ready: Mission Control has answered, and deliveries run.
is_ready() {
    case $1 in
        "$NAME.service") set -- "$STATE" "$ENV_FILE" ;;
        "$NAME@"*)
            instance=${1#*@}
            instance=${instance%.service}
            set -- "$STATE-$instance" "/etc/$NAME/$instance.env"
            ;;
        *) return 0 ;;
    esac
    STATE_DIR=$1 timeout 10 "$PROGRAM" status --ready --env-file "$2" >/dev/null 2>&1 9>&-
}

property() { systemctl show --value --property="$2" "$1"; }

# Whether Mission Control does not answer, so that no build can get ready. The build before says so: it is known to work.
is_backend_away() {
    program=$LIB/builds/$good/$NAME
    [ -x "$program" ] || program=$PROGRAM
    case $1 in
        "$NAME.service") folder=$STATE file=$ENV_FILE ;;
        *)
            instance=${1#*@}
            instance=${instance%.service}
            folder=$STATE-$instance file=/etc/$NAME/$instance.env
            ;;
    esac
    STATE_DIR=$folder timeout 10 "$program" status --json --env-file "$file" 2>/dev/null 9>&- |
        sed -n '/"backend": {/,/}/p' | grep -q '"reachable": false'
}

# Whether the runtime itself asks to end the trial.
is_given_up() {
    if [ -z "$request" ] || [ ! -e "$REQUESTS/rollback" ]; then return 1; fi
    trouble='the new version asks for the build before'
}

# Restarts a unit and waits until it runs; with `ready`, also until it is ready. Prints why it does not.
restart() {
    unit=$1
    old=$(property "$unit" InvocationID)
    cursor=$(journalctl --no-pager --lines=1 --output=cat --show-cursor | sed -n 's/^-- cursor: //p')
    systemctl reset-failed "$unit" 2>/dev/null || :
    # systemd carries this out even if this script is killed now.
    systemctl restart --no-block "$unit" || return 1
    began=$(date +%s) waits=
    end=$((began + WAIT))
    # The old process may finish its turns.
    stopping=$((120 * 5))
    while :; do
        invocation=$(property "$unit" InvocationID)
        state=$(property "$unit" ActiveState)/$(property "$unit" SubState)
        if [ "$invocation" = "$old" ] && [ "$state" != failed/failed ] && [ "$stopping" -gt 0 ]; then
            stopping=$((stopping - 1))
            end=$(($(date +%s) + WAIT))
        else
            case $state in
                active/running)
                    if [ "${2-}" != ready ] || is_ready "$unit"; then return 0; fi
                    # No build gets ready without Mission Control, so the time does not count.
                    if is_backend_away "$unit"; then
                        end=$(($(date +%s) + WAIT))
                        [ -n "$waits" ] || say 'Mission Control does not answer: waiting for it.'
                        waits=yes
                    fi
                    ;;
                failed/* | inactive/* | */auto-restart) break ;;
            esac
            if is_given_up; then return 1; fi
            if [ "$(date +%s)" -ge "$end" ]; then break; fi
        fi
        sleep 0.2
    done
    trouble="$unit does not work ($state after $(($(date +%s) - began)) s)"
    say "$trouble. Its last lines:"
    journalctl --sync
    journalctl --no-pager --output=cat --lines=8 --unit="$unit" ${cursor:+"--after-cursor=$cursor"} | sed 's/^/    /'
    return 1
}

# Restarts every unit of a list; a unit that was ready must become ready again.
restart_all() {
    for unit in $1; do
        how=
        case " $2 " in *" $unit "*) how=ready ;; esac
        restart "$unit" "$how" || return 1
    done
}

# Watches the units of a list for a while: none may end.
watch_all() {
    [ -n "$1" ] || return 0
    say "The new build runs, and is watched for $CONFIRM s."
    runs=$(invocations "$1")
    end=$(($(date +%s) + CONFIRM))
    while [ "$(date +%s)" -lt "$end" ]; do
        if is_given_up; then return 1; fi
        if [ "$(invocations "$1")" != "$runs" ]; then
            trouble="a service ended in the first $CONFIRM s"
            say "$trouble. The last lines:"
            for unit in $1; do journalctl --no-pager --output=cat --lines=8 --unit="$unit" | sed 's/^/    /'; done
            return 1
        fi
        sleep 0.2
    done
}

# The runs of the units of a list, with their states.
invocations() { for unit in $1; do printf '%s/%s ' "$(property "$unit" InvocationID)" "$(property "$unit" ActiveState)"; done; }

# Returns to the build before, and says how that went.
undo() {
    good=$(cat "$LIB/on-trial")
    bad=$(build_of current)
    on_trial=
    if [ -z "$good" ]; then
        # A first installation: there is no build to return to.
        for unit in $units; do systemctl stop "$unit"; done
        rm -f "$LIB/on-trial"
        say "The service is stopped. Remove the cause, then run \`systemctl start $NAME\`."
        return
    fi
    rm -rf "$REQUESTS/rollback"
    switch_to "$good"
    if restart_all "$units" ''; then
        rm -f "$LIB/on-trial"
        if [ "$bad" != "$good" ] && [ "$bad" != "$(build_of previous)" ]; then rm -rf "${LIB:?}/builds/$bad"; fi
        result=rolled_back
        say 'The build before runs again.'
    else
        say 'The build before does not start either, so the cause is probably not the build. See the lines above.'
    fi
}

# Puts $build on trial, and keeps it if every unit works with it.
activate() {
    before=$(build_of current)
    if [ -e "$LIB/on-trial" ]; then
        say 'An earlier run was interrupted; this one completes it.'
        good=$(cat "$LIB/on-trial")
    else
        good=$before
        if [ "$before" = "$build" ]; then
            switch_to "$build"
            say "This build is installed already: $version"
            return
        fi
    fi
    units=$(running_units)
    were_ready=
    for unit in $units; do
        if [ "$(property "$unit" ActiveState)" = active ] && is_ready "$unit"; then were_ready="$were_ready $unit"; fi
    done
    printf %s "$good" >"$LIB/on-trial.new"
    sync "$LIB/on-trial.new"
    mv -T "$LIB/on-trial.new" "$LIB/on-trial"
    on_trial=yes
    switch_to "$build"
    rm -rf "$REQUESTS/rollback"
    answer trial
    if ! restart_all "$units" "$were_ready" || ! watch_all "$units"; then
        why=$trouble
        undo
        fail "the new build does not work here: $version${why:+ ($why)}"
    fi
    if [ -n "$good" ] && [ "$good" != "$build" ]; then link "builds/$good" "$LIB/previous"; fi
    on_trial=
    rm -f "$LIB/on-trial"
    for old in "$LIB"/builds/*; do
        case $(basename "$old") in
            "$(build_of current)" | "$(build_of previous)") ;;
            *) rm -rf "$old" ;;
        esac
    done
    say "Installed: $version"
}

install_build() {
    fetch
    unpack
    check_program
    add_accounts
    add_folders
    add_env_file
    keep_build
    activate
    systemctl enable --quiet --now "$ACCOUNT-upgrade.path"
}

# Starts the service for the first time, or says what is missing.
start_service() {
    if ! is_configured; then
        say "Next:
  1. Fill in ACCOUNT_ID, CONVEX_URL and SERVICE_TOKEN:   sudo editor $ENV_FILE
  2. Check them:                                         sudo $NAME doctor
  3. Start the service, now and at each boot:            sudo systemctl enable --now $NAME"
        return
    fi
    systemctl enable --quiet "$NAME.service"
    if [ "$(property "$NAME.service" ActiveState)" != active ] && ! restart "$NAME.service"; then
        systemctl stop "$NAME.service"
        fail "the service does not start; the program is installed. Remove the cause, then run: sudo systemctl start $NAME"
    fi
    say "The service runs. Next:
  its state:             sudo $NAME status
  a check of everything: sudo $NAME doctor
  its log:               journalctl -u $NAME -f"
}

roll_back() {
    [ -L "$LIB/current" ] || fail "$NAME is not installed. Nothing was changed."
    if [ -e "$LIB/on-trial" ]; then build=$(cat "$LIB/on-trial"); else build=$(build_of previous); fi
    if [ -z "$build" ] || [ ! -d "$LIB/builds/$build" ]; then
        fail 'there is no build to return to: only an upgrade keeps one. Nothing was changed.'
    fi
    version=$("$LIB/builds/$build/$NAME" version 2>&1 | head -n 1) || version=$build
    activate
}

# The version of a build that is kept.
version_of() { "$LIB/$1/$NAME" version 2>/dev/null 9>&- | head -n 1 | cut -d ' ' -f 2; }

# Whether a version is older than another one. A pre-release is older than its release.
is_older() {
    [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sed 's/-/~/' | sort -V | head -n 1 | sed 's/~/-/')" = "$1" ]
}

is_version() {
    case $1 in '' | *[!0-9A-Za-z.+-]* | -* | .*) return 1 ;; esac
    [ ${#1} -le 64 ]
}

# Whether only root can have written a file.
is_of_root() {
    [ -f "$1" ] && [ ! -L "$1" ] || return 1
    case $(stat -c '%U %A' "$1") in 'root '?????-??-?) ;; *) return 1 ;; esac
}

# Lets the runtime install a version when Mission Control requests it.
allow() {
    [ ! -e "$RELEASES" ] || is_of_root "$RELEASES" || fail "$RELEASES can be written by others than root: check and replace it."
    new=$(mktemp "$RELEASES.XXXXXX")
    {
        if [ -e "$RELEASES" ]; then awk -v version="$wanted" '($1 "") != (version "")' "$RELEASES"; fi
        printf '%s %s %s\n' "$wanted" "$sha256" "$source"
    } >"$new"
    chmod 644 "$new"
    mv -T "$new" "$RELEASES"
    say "$wanted may be requested."
}

# Reads the request of the service user into $action, $wanted and $request. A link leads only to what that user may read,
# because the file is read with that user's permissions. All checks are of the text that was read, not of the file.
read_request() {
    [ "$(stat -c '%F %U %a' "$REQUESTS" 2>/dev/null)" = "directory $ACCOUNT 700" ] ||
        refuse_request "$REQUESTS is not a private folder of $ACCOUNT"
    [ "$(stat -c '%F %U %a %h' "$REQUESTS/request" 2>/dev/null)" = "regular file $ACCOUNT 600 1" ] ||
        refuse_request "$REQUESTS/request is not a private file of $ACCOUNT"
    text=$(timeout 5 setpriv --reuid="$ACCOUNT" --regid="$ACCOUNT" --clear-groups \
        dd if="$REQUESTS/request" iflag=nofollow,nonblock bs=256 count=1 status=none && echo .) || text=
    case $text in
        *'
.') text=${text%??} ;;
        *) refuse_request 'the request is not one line' ;;
    esac
    case $text in *[!0-9A-Za-z.+\ -]*) refuse_request 'the request has characters that no version has' ;; esac
    # The text has no character that the shell expands.
    # shellcheck disable=SC2086
    set -- $text
    [ $# = 3 ] || refuse_request 'the request is not an action, a version and a number'
    case $1 in upgrade | rollback) ;; *) refuse_request "the action $1 is unknown" ;; esac
    case $3 in *[!0-9]* | ?????????????????*) refuse_request 'the number of the request is no number' ;; esac
    request=$3
    is_version "$2" || fail 'a version has 1 to 64 letters, digits and .+-'
    action=$1 wanted=$2
}

# Removes a request that cannot be answered, because its number is not known.
refuse_request() {
    rm -rf "$REQUESTS/request"
    fail "refused: $1"
}

# Carries out the request of the service user.
requested() {
    trap finish EXIT
    [ "$(id -u)" = 0 ] || fail 'root is required'
    [ -e "$REQUESTS/request" ] || [ -L "$REQUESTS/request" ] || exit 0
    read_request
    answer started
    check_machine
    [ -L "$LIB/current" ] || fail "$NAME is not installed"
    if [ -e "$LIB/on-trial" ]; then
        # This run continues a trial that was interrupted, such as by a power failure.
        build=$(build_of current)
        version=$("$LIB/current/$NAME" version 2>&1 | head -n 1) || version=$build
        activate
    elif [ "$(version_of current)" = "$wanted" ]; then
        say "This version is installed already: $wanted"
    elif [ -L "$LIB/previous" ] && [ "$(version_of previous)" = "$wanted" ]; then
        roll_back
    elif [ "$action" = rollback ]; then
        fail "$wanted is not the build before"
    else
        install_allowed
    fi
    answer success
}

# Installs a version of the list that root has written.
install_allowed() {
    now=$(version_of current)
    if is_older "$wanted" "$now"; then fail "$wanted is older than $now, and not the build before"; fi
    is_of_root "$RELEASES" || fail "there is no list of versions that only root can write: run \`install.sh allow $wanted SOURCE --sha256 HEX\`"
    line=$(awk -v version="$wanted" '($1 "") == (version "") { print $2, $3; exit }' "$RELEASES")
    sha256=${line%% *} source=${line#* }
    case $sha256 in *[!0-9a-f]* | '') fail "$wanted is not in $RELEASES: run \`install.sh allow $wanted SOURCE --sha256 HEX\`" ;; esac
    [ ${#sha256} = 64 ] || fail "the checksum of $wanted in $RELEASES is damaged"
    install_build
}

uninstall() {
    systemctl disable --quiet --now "$ACCOUNT-upgrade.path" 2>/dev/null || :
    for unit in "$NAME.service" "$ACCOUNT-local.service" $(running_units); do
        systemctl disable --quiet --now "$unit" 2>/dev/null || :
    done
    # Enabled instances that do not run.
    for link in /etc/systemd/system/multi-user.target.wants/"$NAME"@*.service; do
        if [ -L "$link" ]; then rm "$link"; fi
    done
    systemctl stop openclaw-gateway-restart.path 2>/dev/null || :
    for unit in "$LIB"/current/systemd/*.service "$LIB"/current/systemd/*.path; do
        # The gateway is another program: its service goes on, and its unit stays if it is in use.
        name=$(basename "$unit")
        if [ "$name" = openclaw-gateway.service ] && systemctl is-enabled --quiet "$name" 2>/dev/null; then
            cp "$unit" "/etc/systemd/system/$name"
            say "openclaw-gateway.service is in use: its unit was kept in /etc/systemd/system."
        fi
        rm -f "$UNITS/$name"
    done
    # Also where the folder of the builds was lost.
    rm -f "$UNITS/$NAME.service" "$UNITS/$NAME@.service" "$UNITS/$ACCOUNT-local.service" "$UNITS/$ACCOUNT-upgrade".*
    rm -rf "$PROGRAM" "$LIB" "$REQUESTS"
    rmdir "$UNITS" "$(dirname "$UNITS")" 2>/dev/null || :
    systemctl daemon-reload
    systemctl reset-failed "$NAME*" 2>/dev/null || :
    if [ -z "$purge" ]; then
        say "Removed. Configuration ($ENV_FILE, /etc/$NAME/) and state ($STATE*, $WORKSPACES) were kept, and their owner, the user $ACCOUNT."
        return
    fi
    # The state of an instance is that of its env file. Other folders with such a name are not ours.
    for file in "${ENV_FILE%.env}"/*.env; do
        if [ -f "$file" ]; then rm -rf "$STATE-$(basename "$file" .env)"; fi
    done
    rm -rf "$ENV_FILE" "${ENV_FILE%.env}" "$RELEASES" "/etc/$ACCOUNT-local.env" "$STATE" "/var/lib/$ACCOUNT-local"
    for folder in "$STATE"-*; do
        if [ -e "$folder" ]; then say "$folder was kept: it is the state of no instance in ${ENV_FILE%.env}."; fi
    done
    rmdir "$WORKSPACES/agents" "$WORKSPACES" 2>/dev/null || :
    if getent passwd "$ACCOUNT" >/dev/null; then userdel "$ACCOUNT"; fi
    if [ -e "$WORKSPACES" ]; then
        say "Removed, with configuration and state. $WORKSPACES was kept: it contains the work of agents."
    else
        # It remains if the gateway's user is in it.
        groupdel "$GATEWAY_GROUP" 2>/dev/null || :
        say 'Removed, with configuration and state.'
    fi
}

if [ "${1-}" = help ]; then set -- --help; fi
for word in "$@"; do
    case $word in
        -h | --help)
            usage
            exit
            ;;
    esac
done

command=${1-}
[ $# = 0 ] || shift
source='' sha256='' purge='' units='' wanted='' action='' good=''
case $command in
    install | upgrade | allow)
        if [ "$command" = allow ]; then
            wanted=${1-}
            is_version "$wanted" || misused
            shift
        fi
        while [ $# -gt 0 ]; do
            case $1 in
                --sha256)
                    sha256=$(printf %s "${2-}" | tr A-F a-f)
                    case $sha256 in *[!0-9a-f]* | '') misused ;; esac
                    [ ${#sha256} = 64 ] || misused
                    shift
                    ;;
                -*) misused ;;
                *)
                    [ -z "$source" ] || misused
                    source=$1
                    ;;
            esac
            shift
        done
        [ -n "$source" ] || misused
        if [ "$command" = allow ]; then
            [ -n "$sha256" ] || misused
            case $source in *[[:space:]]*) misused ;; esac
        fi
        check_machine
        if [ "$command" = allow ]; then
            allow
            exit
        fi
        if [ "$command" = upgrade ] && [ ! -L "$LIB/current" ]; then
            fail "$NAME is not installed: use \`install\`. Nothing was changed."
        fi
        install_build
        # An upgrade does not start a service that was stopped on purpose.
        if [ "$command" = install ]; then start_service; fi
        ;;
    rollback)
        [ $# = 0 ] || misused
        check_machine
        roll_back
        ;;
    requested)
        [ $# = 0 ] || misused
        requested
        ;;
    uninstall)
        if [ "${1-}" = --purge ]; then
            purge=yes
            shift
        fi
        [ $# = 0 ] || misused
        check_machine
        uninstall
        rm -f "$LOCK"
        ;;
    *) misused ;;
esac
