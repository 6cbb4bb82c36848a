#!/usr/bin/env bash
# Fuzzes every target for FUZZ_SECONDS, two at a time. libFuzzer needs coverage instrumentation; `marked.sh` makes the
# stable compiler add it, so neither a nightly toolchain nor `cargo fuzz` is needed.
#
#   fuzz/run.sh                     all targets
#   fuzz/run.sh requests            one target
#   fuzz/run.sh requests FILE…      repeats findings
#
# FUZZ_SECONDS=45 for each target; FUZZ_SEED=n repeats a run; FUZZ_JOBS=2 targets at a time. Without a C++ compiler
# the script prints SKIPPED and succeeds.
set -euo pipefail
cd "$(dirname "$0")/.."

all=(requests tool_arguments session_keys gateway_replies sync_messages)
seconds=${FUZZ_SECONDS:-45}
jobs=${FUZZ_JOBS:-2}
seed=${FUZZ_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
out=${CARGO_TARGET_DIR:-target}/fuzz
mkdir -p "$out"
out=$(realpath "$out")

if ! command -v c++ >/dev/null; then
    echo 'SKIPPED fuzz: there is no C++ compiler, and libFuzzer is written in C++'
    exit 0
fi
RUSTC_WRAPPER=$PWD/fuzz/marked.sh CARGO_TARGET_DIR="$out" \
    "${CARGO:-cargo}" build --quiet --release --locked --manifest-path fuzz/Cargo.toml
bin=$out/release

if [ $# -gt 1 ]; then
    target=$1
    shift
    exec "$bin/$target" "$@"
fi

# One target: prints its figures, and how to repeat a finding.
fuzz() {
    local target=$1 log=$out/$1.log work=$out/corpus/$1 began=$SECONDS
    rm -rf "$work"
    mkdir -p "$work" "$out/findings/$target"
    local known=("fuzz/corpus/$target")
    if [ -d "fuzz/regressions/$target" ]; then known+=("fuzz/regressions/$target"); fi
    # An input that takes 25 seconds is a finding, too, and so is one that needs a gigabyte.
    if "$bin/$target" -seed="$seed" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=1024 -max_len=8192 \
        -dict="fuzz/dictionaries/$target.dict" -artifact_prefix="$out/findings/$target/" -print_final_stats=1 \
        "$work" "${known[@]}" >"$log" 2>&1; then
        local runs
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "$target: seed $seed, $runs inputs in $((SECONDS - began)) s, $((runs / (SECONDS - began + 1))) each second, no finding"
    else
        echo "$target: seed $seed, A FINDING after $((SECONDS - began)) s:"
        tail -n 30 "$log"
        local file
        file=$(sed -n 's/^.*Test unit written to //p' "$log" | tail -n 1)
        echo "repeat it with: fuzz/run.sh $target ${file:-(no input was written: see $log)}"
        return 1
    fi
}

targets=("$@")
if [ $# -eq 0 ]; then targets=("${all[@]}"); fi
running=()
failed=0
for target in "${targets[@]}"; do
    if [ "${#running[@]}" -ge "$jobs" ]; then
        wait "${running[0]}" || failed=1
        running=("${running[@]:1}")
    fi
    fuzz "$target" &
    running+=($!)
done
for one in "${running[@]}"; do wait "$one" || failed=1; done
exit "$failed"
