#!/bin/sh
# UPGRADE_COMMAND of the units: asks root's installer, mission-control-upgrade.service, for another version.
#
#   request-upgrade.sh upgrade VERSION REQUEST     waits for the answer of the installer
#   request-upgrade.sh rollback VERSION REQUEST    ends a trial, or asks for the build before
#
# The service user can only name a version. The installer decides whether and from where it is installed.
set -eu
umask 077

FOLDER=/var/lib/mission-control-upgrade
RESULT=/usr/local/lib/mission-control-runtime/upgrade-result
# Half seconds for the first sign of the installer.
PATIENCE=60

# The installer restarts the service, which ends this script.
trap 'exit 0' TERM

refuse() {
    printf '%s\n' "$*"
    exit 1
}

[ $# = 3 ] || refuse 'three arguments are needed: upgrade or rollback, a version, the number of the request'
[ -d "$FOLDER" ] || refuse "$FOLDER is missing: run install.sh of this version as root"

draft=$FOLDER/draft.$$
printf '%s %s %s\n' "$1" "$2" "$3" >"$draft"
# Root removes a request at its end, so an existing one is being carried out.
mv -n "$draft" "$FOLDER/request"
if [ -e "$draft" ]; then
    if [ "$1" = rollback ]; then
        mv "$draft" "$FOLDER/rollback"
        exit 0
    fi
    rm -f "$draft"
    refuse 'another version is being installed'
fi
if [ "$1" = rollback ]; then exit 0; fi

while :; do
    answer=$(sed -n 1p "$RESULT" 2>/dev/null) || answer=
    case $answer in
        "$3 trial" | "$3 success") exit 0 ;;
        "$3 failed" | "$3 rolled_back") refuse "$(sed -n 2p "$RESULT")" ;;
        "$3 "*) ;;
        *)
            PATIENCE=$((PATIENCE - 1))
            if [ "$PATIENCE" -le 0 ]; then
                rm -f "$FOLDER/request"
                refuse 'the installer does not answer: is mission-control-upgrade.path active?'
            fi
            ;;
    esac
    sleep 0.5
done
