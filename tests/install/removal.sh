# shellcheck shell=bash
# The removal, after the cases of cases.sh and requests.sh.
# shellcheck disable=SC2154,SC2015,SC2016,SC2086

# --- Removal: state and configuration stay; with --purge nothing stays.
inside sh -c 'cd /var/lib/mission-control-runtime && sha256sum operator-token sessions.key' >"$work/state"
inside systemctl enable --quiet $instance
installer 0 'were kept' uninstall
inside sh -c 'cd /var/lib/mission-control-runtime && sha256sum -c --quiet -' <"$work/state" || failed 'the state was changed'
left=$(files | diff "$work/files.before" - | grep '^[<>]' | grep -Ev '^> (/etc/mission-control-runtime(\.env|\.releases|/second\.env)?|/etc/mission-control-local\.env|/var/lib/(private/)?mission-control-[a-z-]+(/.*)?|/var/lib/openclaw(/agents)?|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-)$' || true)
[ -z "$left" ] || failed "uninstall leaves: $left"
if inside systemctl status $unit >/dev/null 2>&1; then failed 'it still runs'; fi
passed 'uninstall: state and configuration are kept, nothing else is left'

installer 0 'The service runs.' install /mnt/work/build
inside sh -c 'cd /var/lib/mission-control-runtime && sha256sum -c --quiet -' <"$work/state" || failed 'the state was lost'
passed 'installed again: it continues with its state'
installer 0 'with configuration and state' uninstall --purge
left=$(files | diff "$work/files.before" - | grep '^[<>]' | grep -Ev '^> /etc/(passwd|group|shadow|gshadow|subuid|subgid)-$' || true)
[ -z "$left" ] || failed "uninstall --purge leaves: $left"
passed 'uninstall --purge: nothing is left'
echo "all cases passed: $SECONDS s"
