#!/usr/bin/env bash
# Builds the kernels for the CPU emulator and compares them with references: one
# line per kernel with its largest errors. Exits with an error if any is wrong.
#
#   run.sh        a selection of sizes, well under a minute on two cores
#   run.sh --all  every pair of HEAD_DIM and GROUP and every tile of the experts'
#                 products below, several minutes
#
# KERNELS: another folder of kernels. SEED: another schedule (default 1).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KERNELS=$(cd "${KERNELS:-$here/../../crates/backbone/src/compute/cuda/kernels}" && pwd)
SEED=${SEED:-1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export here KERNELS SEED folder

pairs=("128 4" "64 8" "64 3" "8 3" "8 1")
tiles=("16 1" "128 1" "64 0")
case "${1:-}" in
"") ;;
--all)
    pairs=("256 16" "96 16" "256 1" "144 4" "80 8" "128 4" "128 3" "128 1" "64 8"
        "64 3" "64 1" "24 2" "16 4" "8 3" "8 1")
    tiles=("16 1" "64 1" "128 1" "16 0" "64 0" "128 0")
    ;;
*)
    echo "usage: run.sh [--all]" >&2
    exit 2
    ;;
esac

# test_one NAME, test_one attention HEAD_DIM GROUP SIGHT, or
# test_one experts TILE_ROWS PACKED
test_one() {
    local name=$1 program=$folder/$1${2:+_$2_$3}${4:+_$4} log macros=()
    log=$program.log
    case "$name" in
    attention) macros=("-DHEAD_DIM=$2" "-DGROUP=$3" "-DSIGHT=$4") ;;
    experts) macros=("-DTILE_ROWS=$2" "-DPACKED=$3") ;;
    esac
    # Kernels have #pragma unroll and compare unsigned thread indices with int.
    if g++ -std=c++17 -O2 -w -I "$KERNELS" "${macros[@]}" \
        "$here/$name.cpp" -o "$program" >"$log" 2>&1 && "$program" "$SEED" >>"$log" 2>&1; then
        cat "$log"
    else
        cat "$log"
        echo "FAILED: $*"
        return 1
    fi
}
export -f test_one

{
    printf 'attention %s 0\n' "${pairs[@]}"
    printf 'attention %s 1\n' "${pairs[@]}"
    printf 'experts %s\n' "${tiles[@]}"
    printf '%s\n' rows head unpack
} | xargs -P "$(nproc)" -I {} bash -c 'test_one {}'
echo "all right"
