# shellcheck shell=bash
# Requests of the service user for another version, by hand and through Mission Control. Continues cases.sh.
# shellcheck disable=SC2154,SC2015,SC2016,SC2086

requests=/var/lib/mission-control-upgrade
installer_unit=mission-control-upgrade.service
answers=$lib/upgrade-result

inside sh -c "mkdir -p /run/systemd/system/$installer_unit.d; printf '[Service]\nEnvironment=MISSION_CONTROL_WAIT=30 MISSION_CONTROL_CONFIRM=3\n' > /run/systemd/system/$installer_unit.d/test.conf; systemctl daemon-reload"
[ "$(inside stat -c '%a %U' $requests)" = '700 mission-control' ] || failed 'the folder of requests'
[ "$(property mission-control-upgrade.path ActiveState)" = active ] || failed 'the path unit is not active'
output=$(inside systemd-analyze verify /usr/local/lib/systemd/system/mission-control-upgrade.path 2>&1) && [ -z "$output" ] || failed "verify the path unit: $output"
until_true is_healthy

as_service() { inside setpriv --reuid=mission-control --regid=mission-control --clear-groups sh -c "$@"; }
is_handled() { inside test ! -e $requests/request && case $(property $installer_unit ActiveState) in inactive | failed) ;; *) return 1 ;; esac; }

# --- Attacks: nothing is installed, and the request is gone.
attack() {
    local before after name=$1
    shift
    before=$(fingerprint | grep -v upgrade-result)
    "$@"
    until_true is_handled
    after=$(fingerprint | grep -v upgrade-result)
    [ "$before" = "$after" ] || failed "$name changed the installation: $(diff <(echo "$before") <(echo "$after"))"
    is_healthy || failed "$name: the service does not answer any more"
    inside test ! -e /run/attacked || failed "$name ran a command"
    passed "refused: $name: $(inside journalctl --no-pager -o cat -n 20 -u $installer_unit | grep 'install.sh: ' | tail -n 1 | cut -c1-140)"
}
write() { as_service 'umask 077; printf "%b" "$0" > '$requests'/draft && mv '$requests/draft' '$requests/request "$1"; }
attack 'a path as version' write 'upgrade ../../../mnt/work/next 1\n'
attack 'a command after the version' write 'upgrade 9.1.0;touch${IFS}/run/attacked 1\n'
attack 'a command in place of the version' write 'upgrade $(touch /run/attacked) 1\n'
attack 'two lines' write 'upgrade 9.1.0 1\nupgrade 9.1.0 2\n'
attack 'no end of the line' write 'upgrade 9.1.0 1'
attack 'an option' write 'upgrade --purge 1\n'
attack 'too many words' write 'upgrade 9.1.0 1 /mnt/work/next\n'
attack 'a long request' write "upgrade $(printf '9%.0s' $(seq 300)) 1\n"
attack 'another action' write 'uninstall 9.1.0 1\n'
attack 'no list' write 'upgrade 9.1.0 1\n'
attack 'a file of another user' inside sh -c "umask 077; echo 'upgrade 9.1.0 1' > $requests/request"
attack 'a file that others may write' as_service "echo 'upgrade 9.1.0 1' > $requests/draft; chmod 666 $requests/draft; mv $requests/draft $requests/request"
attack 'a link to a file of root' as_service "ln -s /etc/shadow $requests/request"
attack 'a second name' as_service "umask 077; echo 'upgrade 9.1.0 1' > $requests/other; ln $requests/other $requests/request"
as_service "rm -f $requests/other"
attack 'a pipe' as_service "mkfifo -m 600 $requests/draft && mv $requests/draft $requests/request"
attack 'a folder' as_service "mkdir -m 700 $requests/request"

# --- The list of root.
for version in 9.1.0 9.2.0 9.3.0 9.4.0; do
    installer 0 'may be requested' allow $version "/mnt/work/v$version" --sha256 "$(sha256sum "$work/v$version" | cut -d ' ' -f 1)"
done
installer 0 'may be requested' allow 0.0.1 /mnt/work/v9.1.0 --sha256 "$(sha256sum "$work/v9.1.0" | cut -d ' ' -f 1)"
installer 0 'may be requested' allow 9.9.0 /mnt/work/v9.1.0 --sha256 "$(sha256sum "$work/v9.1.0" | cut -d ' ' -f 1)"
installer 0 'may be requested' allow 9.8.0 /mnt/work/v9.1.0 --sha256 "$wrong"
attack 'a version that is not in the list' write 'upgrade 9.7.0 2\n'
attack 'an older version' write 'upgrade 0.0.1 2\n'
attack 'a source with another checksum' write 'upgrade 9.8.0 2\n'
attack 'a source of another version' write 'upgrade 9.9.0 2\n'
inside chmod 666 /etc/mission-control-runtime.releases
attack 'a list that others may write' write 'upgrade 9.1.0 2\n'
inside chmod 644 /etc/mission-control-runtime.releases
inside grep -q '^2 failed$' $answers || failed "no answer: $(inside cat $answers)"

# A source that another program replaces all the time: only what was checked may run.
inside sh -c 'mkdir -p /opt/source; printf "#!/bin/sh\ntouch /run/attacked\necho mission-control-runtime 9.1.0\n" > /opt/source/bad; cp /mnt/work/v9.1.0 /opt/source/good; chmod 755 /opt/source/*'
installer 0 'may be requested' allow 9.1.0 /opt/source/build --sha256 "$(sha256sum "$work/v9.1.0" | cut -d ' ' -f 1)"
inside sh -c 'while [ ! -e /run/enough ]; do cp /opt/source/good /opt/source/n; mv /opt/source/n /opt/source/build; cp /opt/source/bad /opt/source/n; mv /opt/source/n /opt/source/build; done' &
swapper=$!
for attempt in 1 2 3 4 5 6 7 8; do
    write "upgrade 9.1.0 3$attempt\n"
    until_true is_handled
    inside test ! -e /run/attacked || failed 'a source that was not checked ran'
    inside grep -q 'success$' $answers && break
done
inside touch /run/enough
wait $swapper || true
inside test ! -e /run/attacked || failed 'a source that was not checked ran'
passed "a source that is replaced between check and use ($attempt attempts: $(inside head -n 1 $answers))"
until_true is_healthy
installer 0 'may be requested' allow 9.1.0 /mnt/work/v9.1.0 --sha256 "$(sha256sum "$work/v9.1.0" | cut -d ' ' -f 1)"

# --- Through Mission Control: the page's function, the runtime, the installer, and the result on the board.
# The number of results on the board, and the last one: status, reason.
history() {
    ask query runtimes:getForAccount '' | python3 -c 'import json, sys
found = json.load(sys.stdin)["value"].get("upgradeHistory") or []
print(int(len(found)), *([found[-1]["status"], found[-1].get("error", "")] if found else []))'
}
want() { ask mutation runtimes:requestUpgrade ",\"targetRuntimeVersion\":\"$1\",\"strategy\":\"immediate\"" >/dev/null; }
has_result() { [ "$(history | cut -d ' ' -f 1)" -gt "$count" ]; }
on_board() {
    local version=$1 expected=$2 words=$3 running=$4
    count=$(history | cut -d ' ' -f 1)
    want "$version"
    until_true has_result
    found=$(history)
    case $found in "$((count + 1)) $expected "*"$words"*) ;; *) failed "$version: $found, not $expected" ;; esac
    until_true is_healthy
    [ "$(inside mission-control-runtime version | cut -d ' ' -f 2 | head -n 1)" = "$running" ] || failed "$version: another build is selected"
    until_true is_handled
    inside test ! -e $lib/on-trial || failed "$version: still on trial"
    passed "requested in Mission Control: $version: $(echo "$found" | cut -c1-160)"
}
if [ "$(inside mission-control-runtime version | cut -d ' ' -f 2 | head -n 1)" = 9.1.0 ]; then installer 0 'Installed: ' rollback; fi
now=$(inside mission-control-runtime version | cut -d ' ' -f 2 | head -n 1)
until_true is_healthy
on_board 9.7.0 failed 'is not in /etc/mission-control-runtime.releases' "$now"
on_board 9.2.0 rolled_back 'does not work' "$now"
on_board 9.3.0 rolled_back 'does not work' "$now"
on_board 9.4.0 rolled_back '' "$now"
on_board 9.1.0 success '' 9.1.0
on_board "$now" success '' "$now"
inside rm -r /opt/source
inside sh -c "rm -r /run/systemd/system/$installer_unit.d; systemctl daemon-reload"
