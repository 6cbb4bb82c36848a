# shellcheck shell=bash
# What the tests of the images share. A test file sources it, defines test functions, and calls `run_tests`.

# shellcheck disable=SC2034  # the tests use it
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
started=()
failures=0
passed=0

# Ends the processes that the tests started, by id.
end_started() {
    local id
    for id in "${started[@]+"${started[@]}"}"; do kill -KILL "$id" 2>/dev/null; done
    started=()
}

clean_up() {
    end_started
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A failed check ends its test. Tests run in subshells.
expect() {
    local what=$1
    shift
    if ! "$@"; then
        echo "FAIL  $what"
        exit 1
    fi
}

contains() { grep -qF -e "$2" "$1"; }
lacks() { ! grep -qF -e "$2" "$1"; }
count() { grep -cF -e "$2" "$1" || true; }

# Waits until a command succeeds, for at most 100 seconds: a loaded machine is slow.
eventually() {
    local tenths
    for ((tenths = 0; tenths < 1000; tenths += 1)); do
        if "$@"; then return; fi
        sleep 0.1
    done
    return 1
}

ended() { ! kill -0 "$1" 2>/dev/null; }

# Runs each test in a subshell, with a fresh folder as working directory and in $work.
run_tests() {
    local name
    for name in "$@"; do
        work=$scratch/$name
        mkdir -p "$work"
        if (cd "$work" && "$name") >"$scratch/$name.out" 2>&1; then
            passed=$((passed + 1))
            echo "ok    $name"
        else
            failures=$((failures + 1))
            sed "s/^/      /" "$scratch/$name.out"
            echo "FAIL  $name"
        fi
    done
    [ "$failures" -eq 0 ]
}
