# shellcheck shell=bash
# The cases of run.sh, which has booted the machine. `inside` runs a command there.
# shellcheck disable=SC2154,SC2015,SC2016

unit=mission-control-runtime.service
lib=/usr/local/lib/mission-control-runtime

passed() { echo "ok: $*"; }
failed() {
    echo "FAILED: $*" >&2
    exit 1
}

# Runs install.sh with arguments; compares its exit code, and looks for words in its output.
installer() {
    local expected=$1 words=$2 code=0
    shift 2
    output=$(inside env MISSION_CONTROL_WAIT="${wait-120}" MISSION_CONTROL_CONFIRM=2 sh /mnt/packaging/install.sh "$@" 2>&1) || code=$?
    [ "$code" = "$expected" ] || failed "install.sh $*: exit code $code, not $expected: $output"
    case $output in *"$words"*) ;; *) failed "install.sh $*: \`$words\` is missing in: $output" ;; esac
}

property() { inside systemctl show --value --property="$2" "$1"; }
health() { curl -s -o /dev/null -w '%{http_code}' --max-time 20 "http://127.0.0.1:$runtime_port/health" || true; }

# Whether the journal of a unit has these words.
says() { inside journalctl --sync && inside journalctl --no-pager -o cat -u "$1" >"$work/journal" && grep -q "$2" "$work/journal"; }

# Sends a signal to the processes whose command line begins with these words.
send() {
    inside sh -c 'for process in /proc/[0-9]*; do
        case "$(tr "\0" " " <"$process/cmdline" 2>/dev/null)" in "$1"*) kill "-$0" "${process#/proc/}" ;; esac
    done' "$1" "$2"
}

# Waits at least 180 s for a command to succeed. The state must last; a state that may pass by is looked up in the journal.
until_true() {
    for _ in $(seq 1800); do if "$@"; then return; fi; sleep 0.1; done
    failed "never true: $*"
}

is_healthy() { [ "$(health)" = 200 ]; }
is_state() { [ "$(property "$1" ActiveState)" = "$2" ]; }

# Everything that a refused run must leave alone: builds, links, units, configuration and the running process.
fingerprint() {
    inside sh -c "find $lib /usr/local/bin /usr/local/lib/systemd /etc/mission-control-runtime.env -ls 2>/dev/null |
        awk '{ \$1 = \$2 = \$4 = \"\"; print }' | grep -v ' /usr/local/lib/mission-control-runtime\$'; stat -c '%a %U' /etc/mission-control-runtime.env" || true
    property $unit MainPID
}

# A run that must be refused with these words, without any change.
refused() {
    local before after name=$1 words=$2
    shift 2
    before=$(fingerprint)
    installer 1 "$words" "$@"
    after=$(fingerprint)
    [ "$before" = "$after" ] || failed "$name changed the installation: $(diff <(echo "$before") <(echo "$after"))"
    is_healthy || failed "$name: the service does not answer any more"
    passed "$name: $(echo "$output" | grep 'install.sh: ' | head -n 1 | cut -c1-160)"
}

build() { inside readlink $lib/current; }
files() { inside sh -c "find / -xdev ! -path '/proc/*' ! -path '/run/*' ! -path '/tmp/*' ! -path '/var/log/*' ! -path '/var/tmp/*' ! -path '/var/cache/*' ! -path '/var/lib/apt/*' ! -path '/var/lib/systemd/*' | sort"; }

files >"$work/files.before"

# --- A first installation, as somebody who has not read the instructions.
code=0
output=$(inside setpriv --reuid=65534 --regid=65534 --clear-groups sh /mnt/packaging/install.sh install /mnt/work/build 2>&1) || code=$?
[[ $code = 1 && $output = *'root is required: run `sudo'* ]] || failed "as a normal user: $code $output"
passed "as a normal user: $output"
installer 1 'is not installed: use `install`' upgrade /mnt/work/build
installer 1 'is not installed' rollback
files | diff "$work/files.before" - >/dev/null || failed 'a refused run left files'

inside touch /var/lib/mission-control-runtime
installer 1 'is not a folder: move it away' install /mnt/work/build
inside rm /var/lib/mission-control-runtime
passed "a file in place of the state folder: $(echo "$output" | tail -n 1)"

installer 0 'Fill in ACCOUNT_ID' install /mnt/work/build
[ "$(inside stat -c '%a %U' /etc/mission-control-runtime.env)" = '600 root' ] || failed 'the env file is not private'
[ "$(inside stat -c '%a %U %G' /var/lib/openclaw/agents)" = '2770 mission-control openclaw' ] || failed 'the workspaces'
passed 'without configuration: nothing starts, and the next steps are printed'

inside mv /etc/mission-control-runtime.env /etc/aside
if inside systemctl start $unit 2>/dev/null; then failed 'it started without its env file'; fi
says $unit '/etc/mission-control-runtime.env is missing: create it' || failed 'no sentence about the env file'
inside systemctl stop $unit
inside mv /etc/aside /etc/mission-control-runtime.env
passed 'a missing env file: the journal names it, and what belongs into it'

# An incomplete configuration ends with exit code 3, and no restart.
inside systemctl start $unit 2>/dev/null && failed 'it started without configuration'
[ "$(property $unit ExecMainStatus)/$(property $unit NRestarts)" = 3/0 ] || failed 'exit code 3 must not cause a restart'
says $unit 'ERROR.*ACCOUNT_ID' || failed 'no sentence in the journal'
passed 'an incomplete configuration: the journal names each variable, and there is no restart'
inside sh -c "rm -rf /etc/mission-control-runtime.env; sh /mnt/packaging/install.sh uninstall --purge" >/dev/null

# --- From install.sh to an answer.
inside install -m 644 /mnt/work/runtime.env /etc/mission-control-runtime.env
began=$(date +%s%N)
installer 0 'The service runs.' install /mnt/work/build
is_healthy || failed 'no answer of /health'
echo "from install.sh to 200 of /health: $((($(date +%s%N) - began) / 1000000)) ms"
[ "$(inside stat -c '%a' /etc/mission-control-runtime.env)" = 600 ] || failed 'the env file stays readable'
[ "$(inside stat -c '%a %U' /var/lib/mission-control-runtime)" = '700 mission-control' ] || failed 'the state folder'
inside mission-control-runtime status --ready >/dev/null || failed 'status --ready as root'
[ "$(property $unit User)/$(inside stat -c %U "/proc/$(property $unit MainPID)")" = mission-control/mission-control ] || failed 'its user'
case $(property $unit StatusText) in *OPENCLAW_GATEWAY_URL*) ;; *) failed "the status line: $(property $unit StatusText)" ;; esac
passed "the service runs as mission-control: $(property $unit StatusText)"

before=$(fingerprint)
installer 0 'is installed already' install /mnt/work/build
after=$(fingerprint)
[ "$before" = "$after" ] || failed "a second run changed something: $(diff <(echo "$before") <(echo "$after"))"
passed 'install.sh twice: nothing changes, and the process goes on'

inside mkdir -p /opt/openclaw/bin
inside sh -c 'printf "#!/bin/sh\n" > /opt/openclaw/bin/openclaw; chmod +x /opt/openclaw/bin/openclaw'
for file in mission-control-runtime mission-control-runtime@name mission-control-local openclaw-gateway; do
    output=$(inside systemd-analyze verify "/usr/local/lib/systemd/system/$file.service" 2>&1) && [ -z "$output" ] || failed "verify $file: $output"
done
for file in mission-control-runtime mission-control-runtime@ mission-control-local; do
    inside systemd-analyze security --offline=yes --threshold=20 "/usr/local/lib/systemd/system/$file.service" >"$work/security" ||
        failed "exposure of $file: $(tail -n 1 "$work/security")"
    passed "systemd-analyze: $file: $(tail -n 1 "$work/security" | grep -o '[0-9.]* OK')"
done
for file in openclaw-gateway-restart.path openclaw-gateway-restart.service; do
    output=$(inside systemd-analyze verify "/usr/local/lib/systemd/system/$file" 2>&1) && [ -z "$output" ] || failed "verify $file: $output"
done
inside rm -r /opt/openclaw

# --- Keys stored in Mission Control: the page's function, the runtime, the path unit, and a stand-in for the gateway that shows
# its environment.
key=$(sed -n 's/^ADMIN_KEY=//p' "$work/board")
account=$(sed -n 's/^ACCOUNT_ID=//p' "$work/board")
ask() {
    curl -s --max-time 30 -H "Authorization: Convex $key" -H 'Content-Type: application/json' \
        "http://127.0.0.1:$board_port/api/$1" -d "{\"path\":\"$2\",\"format\":\"json\",\"args\":[{\"accountId\":\"$account\"$3}]}"
}
inside sh -c 'mkdir -p /run/systemd/system && cat > /run/systemd/system/openclaw-gateway.service' <<'END'
[Unit]
Wants=openclaw-gateway-restart.path
[Service]
EnvironmentFile=-/run/mission-control-runtime/gateway.env
ExecStart=/bin/sh -c 'echo "key=$BRAVE_API_KEY" >>/run/gateway-keys; exec sleep 600'
END
inside systemctl daemon-reload
# key_is VALUE: whether the last gateway was started with this key.
key_is() { [ "$(inside tail -n 1 /run/gateway-keys)" = "key=$1" ]; }
store_key() { ask mutation secrets:upsertProviderKey ",\"provider\":\"BRAVE_API_KEY\",\"key\":\"$1\"" >/dev/null; }
inside systemctl start openclaw-gateway.service
until_true key_is ''
store_key the-first-key
until_true key_is the-first-key
[ "$(inside stat -c '%a %U %G' /run/mission-control-runtime/gateway.env)" = '640 mission-control openclaw' ] || failed 'the file of the keys is not private'
inside systemctl restart $unit
until_true is_healthy
[ "$(inside sh -c 'wc -l </run/gateway-keys')" = 2 ] || failed 'a restart of the runtime has restarted the gateway'
store_key "a-key-with-'quotes'"
until_true key_is "a-key-with-'quotes'"
ask mutation secrets:removeProviderKey ',"provider":"BRAVE_API_KEY"' >/dev/null
until_true key_is ''
says $unit 'the-first-key' && failed 'a key is in the journal'
inside sh -c 'systemctl stop openclaw-gateway.service openclaw-gateway-restart.path; rm -f /run/systemd/system/openclaw-gateway.service; systemctl daemon-reload'
passed 'openclaw-gateway-restart.path: keys that are set, changed and removed on the page restart the gateway with them'

# --- Bad input for an upgrade.
sum=$(sha256sum "$work/next" | cut -d ' ' -f 1)
wrong=$(echo "$sum" | tr 0-9 1-90)
refused 'a wrong checksum' 'the file is damaged' upgrade /mnt/work/next --sha256 "$wrong"
refused 'a wrong architecture' 'this build is for aarch64' upgrade /mnt/work/foreign
refused 'a text' 'neither a program nor a .tar.gz' upgrade /mnt/work/text
refused 'a damaged archive' 'is a damaged archive' upgrade /mnt/work/damaged.tar.gz
refused 'a missing file' 'is not a file' upgrade /mnt/work/nothing
refused 'an address without checksum' 'needs --sha256' upgrade "http://127.0.0.1:1/build"
refused 'an address without server' 'cannot be downloaded' upgrade "http://127.0.0.1:1/build" --sha256 "$sum"
inside flock /run/mission-control-runtime-install.lock sh -c 'touch /run/held && exec sleep 600' &
holder=$!
until_true inside test -e /run/held
refused 'two at once' 'another install.sh is at work' upgrade /mnt/work/next
send KILL 'sleep 600 '
wait $holder || true
inside sh -c 'fallocate -l $(($(df -B1 --output=avail / | tail -n 1) - 2000000)) /filler'
refused 'a full disk' 'free space on this disk' upgrade /mnt/work/next
inside rm /filler

# --- Upgrades.
refused_build() {
    local name=$1 words=$2 before
    before=$(build)
    installer 1 "$words" upgrade "/mnt/work/$3"
    [ "$before" = "$(build)" ] || failed "$name is still selected"
    until_true is_healthy
    inside test ! -e $lib/on-trial || failed "$name: still on trial"
    passed "$name: the build before runs again"
}
old=$(build)
wait=10 refused_build 'a build that exits' 'it cannot start' exits
wait=10 refused_build 'a build that never gets ready' 'does not work' never-ready
[ "$(inside ls $lib/builds | wc -l)" = 1 ] || failed 'a bad build was kept'

# --- Interrupted upgrades: one is asked to end, one is killed.
on_trial() { inside test -e $lib/on-trial && [ "$(build)" != "$old" ] && is_state $unit activating; }
for signal in TERM KILL; do
    inside sh /mnt/packaging/install.sh upgrade /mnt/work/never-ready >"$work/interrupted" 2>&1 &
    run=$!
    until_true on_trial
    send $signal 'sh /mnt/packaging/install.sh upgrade'
    wait $run || true
    if [ $signal = TERM ]; then
        [ "$(build)" = "$old" ] || failed 'a terminated upgrade leaves the new build'
    else
        inside test -e $lib/on-trial || failed 'a killed upgrade leaves no note'
        installer 0 'An earlier run was interrupted' install /mnt/work/build
    fi
    until_true is_healthy
    [ "$(build)" = "$old" ] || failed "SIG$signal: another build is selected"
    inside sh -c "ls -d $lib/incoming.*" 2>/dev/null && failed "SIG$signal: leftovers"
    passed "an upgrade interrupted by SIG$signal: the old build runs"
done

pid=$(property $unit MainPID)
installer 0 'Installed: ' upgrade "/mnt/work/release.tar.gz" --sha256 "$(sha256sum "$work/release.tar.gz" | cut -d ' ' -f 1)"
[ "$(build)" != "$old" ] && [ "$(property $unit MainPID)" != "$pid" ] || failed 'the upgrade did not restart the service'
is_healthy || failed 'no answer after the upgrade'
passed 'an upgrade from a release archive'
new=$(build)
installer 0 'Installed: ' rollback
[ "$(build)" = "$old" ] && is_healthy || failed 'the rollback'
installer 0 'Installed: ' rollback
[ "$(build)" = "$new" ] && is_healthy || failed 'the rollback of the rollback'
passed 'rollback, and rollback of the rollback'

# --- Under systemd: a taken port, an unusable state folder, a hang, a stop.
inside mkdir -p /etc/mission-control-runtime
instance=mission-control-runtime@second.service
inside sh -c 'grep -v STATE_DIR /mnt/work/runtime.env > /etc/mission-control-runtime/second.env'
inside systemctl start --no-block $instance
until_true says $instance "Not started: cannot listen; see HEALTH_HOST and HEALTH_PORT.*port=$runtime_port"
# In the journal, because the property is 0 again as soon as systemd tries again.
until_true says $instance 'Main process exited, code=exited, status=1/FAILURE'
inside systemctl stop $instance
passed 'a taken port: the journal says it, and systemd tries again'
second_port=$(port)
inside sh -c "sed -i s/^HEALTH_PORT=.*/HEALTH_PORT=$second_port/ /etc/mission-control-runtime/second.env"
inside systemctl start $instance || failed 'the instance does not start'
inside test -e /var/lib/mission-control-runtime-second/ledger.sqlite || failed 'the state of the instance'
inside systemctl stop $instance
passed 'an instance with a port of its own'
inside sh -c 'echo STATE_DIR=/opt/state >> /etc/mission-control-runtime/second.env'
inside systemctl start --no-block $instance
until_true says $instance 'Not started.*/opt/state'
inside systemctl stop $instance
passed "an unwritable state folder: $(inside journalctl --no-pager -o cat -u $instance | grep -o 'Not started.*' | tail -n 1 | cut -c1-160)"

inside sh -c "mkdir -p /run/systemd/system/$unit.d; printf '[Service]\nWatchdogSec=2\nRestartSec=100ms\n' > /run/systemd/system/$unit.d/test.conf; systemctl daemon-reload; systemctl restart $unit"
pid=$(property $unit MainPID)
inside sh -c "kill -STOP $pid"
# A loaded machine may miss the two seconds more than once.
was_restarted() { [ "$(property $unit NRestarts)" -ge 1 ] && is_state $unit active && [ "$(property $unit MainPID)" != "$pid" ]; }
until_true was_restarted
says $unit 'Watchdog timeout' || failed 'no watchdog in the journal'
inside sh -c "rm -r /run/systemd/system/$unit.d; systemctl daemon-reload; systemctl restart $unit"
passed 'a service that hangs is restarted by the watchdog'

if inside mission-control-runtime help local >/dev/null 2>&1; then
    inside sh -c 'echo MISSION_CONTROL_HOSTS=board.example.com > /etc/mission-control-local.env'
    if curl -s -o /dev/null --max-time 1 http://127.0.0.1:3210/; then
        echo 'SKIPPED: mission-control-local.service (port 3210 is taken on this machine)'
    else
        inside systemctl start mission-control-local.service || failed 'mission-control-local.service'
        answer() { inside curl -s -o /dev/null -w '%{http_code}' -H "Host: $1" http://127.0.0.1:3210/; }
        [ "$(answer board.example.com)/$(answer evil.example)" = 200/403 ] || failed 'the names of the proxy'
        ! says mission-control-local.service 'mc_service_' || failed 'a secret in the journal'
        inside systemctl stop mission-control-local.service
        passed 'mission-control-local.service answers under the names of the proxy only'
    fi
else
    echo 'SKIPPED: mission-control-local.service (the installed build has no embedded Mission Control)'
fi

inside systemctl stop $unit
[ "$(property $unit Result)/$(property $unit ExecMainStatus)" = success/0 ] || failed 'the stop'
says $unit 'INFO .*Stopped' || failed 'no orderly stop'
inside systemctl start $unit
