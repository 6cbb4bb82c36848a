#!/usr/bin/env bash
# Tests the images, the compose file and their scripts. No container engine is needed.
#
#   tests/image/run.sh STAGE…     all without an argument, except `system`
#
#   lint             shellcheck, hadolint, the compose schema
#   start-script     openclaw/start.sh with stand-ins
#   start-and-stop   scripts/runtime-local.sh with a stand-in for docker
#   upgrade          scripts/runtime-upgrade-local.sh with a stand-in for docker
#   image            the image by buildah, run in namespaces; BINARY=a static binary
#   system           runtime, embedded Mission Control and a real OpenClaw gateway in the networks of the compose file (minutes)
#
# A missing tool is reported in a line that starts with SKIPPED and is no failure.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

stages=("$@")
if [ "${#stages[@]}" -eq 0 ]; then stages=(lint start-script start-and-stop upgrade image); fi

# Installs Debian packages whose program is missing, where that needs no question. Otherwise the stages skip aloud.
packages=()
command -v shellcheck >/dev/null || packages+=(shellcheck)
command -v buildah >/dev/null || packages+=(buildah)
command -v ip >/dev/null || packages+=(iproute2)
command -v jq >/dev/null || packages+=(jq)
if [ "${#packages[@]}" -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "== apt-get install ${packages[*]}"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}"; } >/dev/null 2>&1 ||
        echo 'apt-get failed; stages without their tools are skipped'
fi

failed=()
for stage in "${stages[@]}"; do
    case $stage in
    lint | start-script | start-and-stop | upgrade | image | system) ;;
    *)
        echo "there is no stage $stage: lint, start-script, start-and-stop, upgrade, image, system"
        exit 2
        ;;
    esac
    began=$SECONDS
    echo "== $stage"
    bash "./$stage.sh" || failed+=("$stage")
    echo "== $stage: $((SECONDS - began)) s"
done
if [ "${#failed[@]}" -gt 0 ]; then
    echo "FAILED: ${failed[*]}"
    exit 1
fi
