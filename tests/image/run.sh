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
