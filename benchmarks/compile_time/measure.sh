#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# measure.sh WORK_FOLDER JSON: what including tenon.hpp and compiling statements costs, in seconds of processor time.
# Two files are compiled in turns, each figure is the least of several; a slope is that between 10 and 50 statements.
# Environment: CXX (g++), TURNS (3).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/benchmarks/compile_time
work=$1 json=$2
cxx=${CXX:-g++} turns=${TURNS:-3}
export CCACHE_DISABLE=1
mkdir -p "$work"
cd "$work"
eigen=$(pkg-config --cflags-only-I eigen3 2>/dev/null || echo -I/usr/include/eigen3)
flags=(-std=c++20 "-I$root/include" $eigen)
TIMEFORMAT=%U

# seconds ARGUMENT...: user time of one compilation.
seconds() { { time "$cxx" "${flags[@]}" "$@" -o /dev/null 2>"$work/errors" || { cat "$work/errors" >&2; echo 0; }; } 2>&1 | tail -n 1; }
# Two compilations in turns: sets best_a and best_b, medians not needed since a compiler only ever gets slower.
in_turns() {
  local i a b
  best_a=9999 best_b=9999
  for ((i = 0; i < turns; ++i)); do
    a=$(seconds $1) b=$(seconds $2)
    best_a=$(awk -v x="$best_a" -v y="$a" 'BEGIN {print x < y ? x : y}')
    best_b=$(awk -v x="$best_b" -v y="$b" 'BEGIN {print x < y ? x : y}')
  done
}
separator='{'
report() {  # report NAME VALUE UNIT BUDGET
  printf '%-66s %8s %-3s  budget %s\n' "$1" "$2" "$3" "$4"
  printf '%s\n  "%s": {"value": %s, "unit": "%s", "budget": %s}' "$separator" "$1" "$2" "$3" "$4" >>"$json"
  separator=,
}
number() { awk "BEGIN {printf \"$1\", $2}"; }
: >"$json"

echo '#include <tenon/tenon.hpp>' >tenon.cpp
echo '#include <Eigen/Core>' >eigen.cpp
turns=$((turns + 2)) in_turns "-fsyntax-only tenon.cpp" "-fsyntax-only eigen.cpp"
report "include tenon.hpp" "$best_a" s 99
report "include tenon.hpp / Eigen/Core" "$(number %.2f "$best_a / $best_b")" x 1.6

for kind in fuse temporaries; do
  awk -v n=1 -v kind=$kind -v depth=0 -f "$here/statements.awk" >one.cpp
  in_turns "-O2 -march=native -c one.cpp" "-O2 -march=native -c tenon.cpp"
  report "first evaluated statement of a file, 20 operations, $kind" "$(number %.2f "$best_a - $best_b")" s 1.2
done
cat >short.cpp <<'END'
#include <tenon/tenon.hpp>
using namespace tenon;
using Matrix = Tensor<float, Shape<dyn, 64>>;
Matrix f(const Matrix& a, const Matrix& x, const Matrix& b) { return tanh(a * x + b); }
END
in_turns "-O2 -march=native -c short.cpp" "-O2 -march=native -c tenon.cpp"
report "first evaluated statement of a file, tanh(a * x + b)" "$(number %.2f "$best_a - $best_b")" s 1.2

slope() {  # slope NAME BUDGET FLAGS AWK_VARIABLES...
  local name=$1 budget=$2 extra=$3 n
  shift 3
  for n in 10 50; do awk -v n=$n "$@" -f "$here/statements.awk" >"statements_$n.cpp"; done
  in_turns "-O2 -march=native $extra -c statements_50.cpp" "-O2 -march=native $extra -c statements_10.cpp"
  report "$name" "$(number %.3f "($best_a - $best_b) / 40")" s "$budget"
}
for depth in 0 1; do
  for kind in fuse temporaries; do
    if [ $kind = fuse ]; then forward=0.12 backward=0.27; else forward=0.3 backward=0.6; fi
    for mode in forward backward; do
      extra= text="with backward"
      [ $mode = forward ] && extra=-DTENON_NO_BACKWARD text="forward only"
      slope "a further statement, $kind, depth $depth, $text" "$(number %.2f "${!mode} * ($depth + 1)")" "$extra" \
        -v kind=$kind -v depth=$depth
    done
  done
done
slope "the same structure with other extents" 0.03 "" -v kind=fuse -v depth=0 -v same=1

example=$root/examples/03_fashion_mnist.cpp
if [ -x /usr/bin/time ]; then
  /usr/bin/time -q -o figures -f '%U %M' "$cxx" "${flags[@]}" -O2 -march=native -fopenmp -c "$example" -o /dev/null
  read -r user memory <figures
  report "examples/03_fashion_mnist.cpp at -O2" "$user" s 15
  report "examples/03_fashion_mnist.cpp at -O2, memory" "$(number %.2f "$memory / 1048576")" GB 1.2
else
  report "examples/03_fashion_mnist.cpp at -O2" "$(seconds -O2 -march=native -fopenmp -c "$example")" s 15
fi
printf '\n}\n' >>"$json"
