#!/usr/bin/env bash
# The compiler, for `run.sh`: it marks what reads foreign bytes, so that libFuzzer sees what an input reaches. Marks
# everywhere would only make it slower.
set -euo pipefail
rustc=$1
shift
case "${CARGO_CRATE_NAME:-}" in
mission_control_runtime | mcr_* | httparse | serde_json | requests | tool_arguments | session_keys | gateway_replies)
    exec "$rustc" "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    ;;
esac
exec "$rustc" "$@"
