#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [FILTER] [--peers] [--compilers] [--rounds N]: builds the benchmarks and prints one table; the figures also go to
# build/benchmarks/results.json. FILTER: a regular expression for workloads.
#   --peers      libtorch (Debian: libtorch-dev) takes turns with tenon in the same run, one thread each
#   --compilers  the fused statement built by every compiler that is here, programs taking turns
# `threads`: in a program that started a thread, where counts of owners are locked.
# Times are medians. `ratio` behind a time is that time divided by tenon's: the more, the better for tenon. `spread`:
# the middle half of all rounds' ratios (without a peer: of tenon's times) lies that close together.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/tests/support/install.sh"

filter= peers=0 compilers=0 rounds=21
while [ $# -gt 0 ]; do
  case $1 in
    --peers) peers=1 ;;
    --compilers) compilers=1 ;;
    --rounds) shift && rounds=${1:?--rounds needs a number} ;;
    --help | -h) sed -n '3,9s/^# //p' "$0" && exit 0 ;;
    -*) echo "error: unknown option $1" >&2 && exit 2 ;;
    *) filter=$1 ;;
  esac
  shift
done

packages=(g++ cmake make libeigen3-dev libbenchmark-dev zlib1g-dev nlohmann-json3-dev libcli11-dev '?time')
# Without OpenBLAS libtorch multiplies matrices by the reference BLAS: a training step takes 15 times as long.
[ $peers = 1 ] && packages+=(libtorch-dev libopenblas0)
install_missing "${packages[@]}"

build=$root/build
out=$build/benchmarks
log=$build/benchmarks.log
mkdir -p "$out" && : >"$log" || { echo "error: cannot write to $build" >&2; exit 1; }
names=()
for source in "$root"/benchmarks/*.cpp; do names+=("$(basename "$source" .cpp)"); done
targets=("${names[@]/#/bench_}")
[ $peers = 1 ] && targets+=(bench_peer_torch)
echo "building ${#targets[@]} targets in $out"
if ! { cmake -S "$root" -B "$build" -DTENON_BENCHMARKS=ON -DTENON_TESTS=OFF -DTENON_EXAMPLES=OFF &&
  cmake --build "$build" -j "$(nproc)" --target "${targets[@]}"; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "error: the build failed; its output is in $log" >&2
  exit 1
fi

export OMP_NUM_THREADS=1 TENON_PEER=
if [ $peers = 1 ]; then
  export TENON_PEER=$out/libpeer_torch.so
  grep -qw avx512f /proc/cpuinfo && export ATEN_CPU_CAPABILITY=avx512
fi

# Without this the results of the last run would seem to be those of this one.
rm -f "$out"/*.json
sed -n 's/^model name[^:]*: \(.*\)/processor: \1/p' /proc/cpuinfo | head -n 1
for name in "${names[@]}"; do
  "$out/$name" --rounds="$rounds" --benchmark_filter="${filter:-.}" --benchmark_out="$out/$name.json" \
    --benchmark_out_format=json 2>"$out/$name.err" || { cat "$out/$name.err" >&2; exit 1; }
  grep -i "^error" "$out/$name.err" >&2 || true
  export BENCH_NO_HEADER=1
done

if [ -z "$filter" ] || [[ "compile time include" =~ $filter ]]; then
  bash "$root/benchmarks/compile_time/measure.sh" "$out/compile_time" "$out/compile_time.json"
fi
if [ $compilers = 1 ]; then
  bash "$root/benchmarks/compile_time/compilers.sh" "$out/compilers" "$out/compilers.json"
fi

{
  separator='{'
  for file in "$out"/*.json; do
    [ -s "$file" ] && [ "$file" != "$out/results.json" ] || continue
    printf '%s\n"%s": ' "$separator" "$(basename "$file" .json)"
    cat "$file"
    separator=,
  done
  [ "$separator" = , ] || echo '{'
  echo '}'
} >"$out/results.tmp"
mv "$out/results.tmp" "$out/results.json"
echo "figures: $out/results.json"
