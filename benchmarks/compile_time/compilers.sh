#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# compilers.sh WORK_FOLDER JSON: benchmarks/statements.cpp built by g++, clang++ and nvcc over g++, the programs taking
# turns; medians, and each time divided by that of g++.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$1 json=$2
mkdir -p "$work"
cd "$work"
rm -f program_*
eigen=$(pkg-config --cflags-only-I eigen3 2>/dev/null || echo -I/usr/include/eigen3)
flags=(-std=c++20 -O2 -DNDEBUG "-I$root/include" "-I$root/benchmarks" $eigen)
source=$root/benchmarks/statements.cpp
nvcc=$(command -v nvcc || true)
[ -n "$nvcc" ] || [ ! -x /usr/local/cuda/bin/nvcc ] || nvcc=/usr/local/cuda/bin/nvcc
built=()
try() {  # try NAME COMMAND...
  local name=$1
  shift
  command -v "$1" >/dev/null || return 0
  if "$@" "$source" -o "program_$name" -lbenchmark -ldl >"$name.log" 2>&1; then built+=("$name")
  else echo "not built by $name: $(grep -m 1 -i error "$name.log" | cut -c1-160)"; fi
}
try g++ g++ "${flags[@]}" -march=native
clang=
for candidate in clang++ clang++-19 clang++-18 clang++-17 clang++-16; do
  version=$("$candidate" -dumpversion 2>/dev/null) || continue
  [ "${version%%.*}" -ge 16 ] && clang=$candidate && break
done
[ -z "$clang" ] || try clang++ "$clang" "${flags[@]}" -march=native
[ -z "$nvcc" ] || try nvcc "$nvcc" -x cu --expt-relaxed-constexpr "${flags[@]}" -Xcompiler -march=native
export TENON_PEER= OMP_NUM_THREADS=1
rm -f *.times
for turn in 1 2 3 4 5; do
  for name in "${built[@]}"; do "./program_$name" --plain --rounds=9 --slot=5e-4 2>/dev/null >>"$name.times"; done
done
files=()
for name in "${built[@]}"; do files+=("$name.times"); done
awk -F '\t' -v json="$json" '
  FNR == 1 { name[++programs] = FILENAME; sub(/\.times$/, "", name[programs]) }
  { if (!(($1) in seen)) { seen[$1] = 1; order[++workloads] = $1 }
    count[$1, programs]++; value[$1, programs, count[$1, programs]] = $2 }
  function median(w, p,   i, j, t, n, x) {
    n = count[w, p]
    for (i = 1; i <= n; ++i) x[i] = value[w, p, i] + 0
    for (i = 1; i <= n; ++i) for (j = i + 1; j <= n; ++j) if (x[j] < x[i]) { t = x[i]; x[i] = x[j]; x[j] = t }
    return x[int((n + 1) / 2)]
  }
  END {
    printf "%-46s", "compilers (us, ratio to " name[1] ")"
    for (p = 1; p <= programs; ++p) printf " %18s", name[p]
    printf "\n{" > json
    printf "\n"
    for (w = 1; w <= workloads; ++w) {
      printf "%-46s", order[w]
      printf "%s\n  \"%s\": {", (w > 1 ? "," : ""), order[w] > json
      first = median(order[w], 1)
      for (p = 1; p <= programs; ++p) {
        m = median(order[w], p)
        printf " %11.2f (%4.2f)", m / 1000, m / first
        printf "%s\"%s_ns\": %.1f", (p > 1 ? ", " : ""), name[p], m > json
      }
      printf "}" > json
      printf "\n"
    }
    printf "\n}\n" > json
  }' "${files[@]}"
