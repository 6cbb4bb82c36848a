#!/usr/bin/env bash
# Measures the static glibc binaries in dist/ and compares their size with docs/facts.md.
#
#   scripts/facts.sh           writes the figures into docs/facts.md; run by `make facts`, which builds the binaries
#   scripts/facts.sh size      fails if the droplet binary is more than 3 % larger than its last accepted size
#
# The accepted sizes are a table of docs/facts.md that people write: a new row has a reason.
set -euo pipefail
cd "$(dirname "$0")/.."

facts=docs/facts.md
droplet=dist/mission-control-runtime-droplet
full=dist/mission-control-runtime
GROWTH_PERCENT_MAX=3

bytes() { stat -c %s "$1"; }
megabytes() { awk -v bytes="$(bytes "$1")" 'BEGIN { printf "%.2f MB", bytes / 1e6 }'; }

check_size() {
    local size accepted limit
    size=$(bytes "$droplet")
    accepted=$(sed -n '/^## Accepted sizes/,$p' "$facts" | sed -n 's/^| *[0-9-]* *| *\([0-9]\{6,\}\) *|.*/\1/p' | tail -n 1)
    if [ -z "$accepted" ]; then
        echo "FAIL  $facts has no accepted size" >&2
        exit 1
    fi
    limit=$((accepted + accepted * GROWTH_PERCENT_MAX / 100))
    echo "$droplet: $size bytes; accepted $accepted, limit $limit"
    if [ "$size" -gt "$limit" ]; then
        echo "FAIL  The droplet binary grew by more than $GROWTH_PERCENT_MAX %. Make it smaller, or add a row with $size bytes and" \
            "the reason to \"Accepted sizes\" in $facts." >&2
        exit 1
    fi
}

# crates [CARGO OPTION…]: the number of packages in the binary, ours included.
crates() {
    cargo tree --locked --edges normal,no-proc-macro --prefix none --target x86_64-unknown-linux-gnu --package mission-control-runtime \
        "$@" | sed 's/ (.*//' | sort -u | wc -l
}

# bench BINARY: the lines of the benchmark `delivery` about start and memory.
bench() {
    BENCH_QUICK=1 BENCH_PROGRAM=$PWD/$1 cargo bench --quiet --locked --profile dev --bench delivery -- start idle memory
}

# figure LINES NAME: the median and its unit. Columns are separated by two or more spaces.
figure() {
    awk -F '   *' -v name="$2" '$1 == name { print $2; found = 1 } END { exit !found }' <<<"$1" ||
        { echo "FAIL  the benchmark has no figure for $2" >&2; exit 1; }
}

measure() {
    local of_droplet of_full table
    of_droplet=$(bench "$droplet")
    of_full=$(bench "$full")
    table=$(
        echo '| | droplet | full |'
        echo '|---|---|---|'
        echo "| size | $(megabytes "$droplet") | $(megabytes "$full") |"
        echo "| crates, ours included | $(crates --no-default-features) | $(crates) |"
        for name in 'start to /health' 'memory, idle' 'memory, 50 turns in flight'; do
            echo "| $name | $(figure "$of_droplet" "$name") | $(figure "$of_full" "$name") |"
        done
    )
    awk -v table="$table" '
        /<!-- facts: end -->/ { skip = 0 }
        !skip { print }
        /<!-- facts: begin -->/ { print table; skip = 1 }
    ' "$facts" >"$facts.new"
    mv "$facts.new" "$facts"
    printf '%s\n' "$table"
}

for binary in "$droplet" "$full"; do
    if [ "${1:-}" = size ] && [ "$binary" = "$full" ]; then continue; fi
    [ -f "$binary" ] || { echo "FAIL  $binary is missing; \`make static\` builds it" >&2; exit 1; }
done
case ${1:-} in
'') measure ;;
size) check_size ;;
*) echo 'usage: scripts/facts.sh [size]' >&2; exit 2 ;;
esac
