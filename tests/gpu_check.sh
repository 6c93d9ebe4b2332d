#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gpu_check.sh [BUILD]: everything that needs a CUDA device, on the device that is here: all CUDA tests, the same under
# compute-sanitizer where that is installed, then the benchmarks of devices. Builds in BUILD (default: build-cuda).
# A machine without a device fails at once. Needs nvcc (13), cmake, Catch2 and Eigen; installs what apt-get can.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$root/build-cuda}
case $build in /*) ;; *) build=$PWD/$build ;; esac
source "$root/tests/support/install.sh"

# Where apt-get cannot install, the packages' programs and headers decide, not dpkg's list.
missing=()
command -v g++ >/dev/null || missing+=(g++)
command -v cmake >/dev/null || missing+=(cmake)
command -v make >/dev/null || command -v ninja >/dev/null || missing+=(make)
eigen=${EIGEN3_INCLUDE_DIR:-/usr/include/eigen3}
[ -d "$eigen" ] || missing+=(libeigen3-dev)
[ -d /usr/include/catch2 ] || [ -n "${Catch2_DIR:-}" ] || missing+=(catch2)
[ ${#missing[@]} = 0 ] || install_missing "${missing[@]}"

nvcc=
for dir in ${CUDACXX:+"$(dirname "$CUDACXX")"} ${CUDA_HOME:+"$CUDA_HOME/bin"} ${CUDA_PATH:+"$CUDA_PATH/bin"} \
  "$(dirname "$(command -v nvcc || echo /nowhere/nvcc)")" /usr/local/cuda/bin; do
  if [ -x "$dir/nvcc" ]; then nvcc=$dir/nvcc; break; fi
done
[ -n "$nvcc" ] || { echo "error: nvcc is neither in PATH nor in CUDA_HOME/bin nor in /usr/local/cuda/bin" >&2; exit 1; }
export PATH="$(dirname "$nvcc"):$PATH" TENON_REQUIRE_DEVICE=1

# The device, asked through the runtime: nvidia-smi need not be installed.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/device.cu" <<'END'
#include <cstdio>
int main() {
  int count = 0;
  const cudaError_t e = cudaGetDeviceCount(&count);
  if (e != cudaSuccess || count == 0) {
    std::printf("error: no CUDA device: %s\n", e != cudaSuccess ? cudaGetErrorString(e) : "none found");
    return 1;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp p;
    cudaGetDeviceProperties(&p, i);
    std::printf("cuda(%d): %s, compute capability %d.%d, %zu MiB\n", i, p.name, p.major, p.minor, p.totalGlobalMem >> 20);
  }
}
END
"$nvcc" -o "$work/device" "$work/device.cu"
"$work/device" || exit 1

jobs=$(nproc)
[ -f "$build/CMakeCache.txt" ] || ! command -v ninja >/dev/null || generator=(-G Ninja)
started=$SECONDS
cmake -S "$root" -B "$build" ${generator[@]+"${generator[@]}"} -DTENON_CUDA=ON "-DCMAKE_CUDA_COMPILER=$nvcc" \
  -DCMAKE_CUDA_ARCHITECTURES=native -DTENON_TESTS=ON -DTENON_EXAMPLES=OFF -DTENON_BENCHMARKS="${TENON_BENCHMARKS:-ON}"
# Only what needs the device; the rest is run.sh's.
targets=()
while read -r target; do targets+=("$target"); done < <(
  cmake --build "$build" --target help | sed -nE 's/^(\.\.\. )?((test|bench|benchmark)_cuda[A-Za-z0-9_]*)(:.*)?$/\2/p' | sort -u)
[ ${#targets[@]} -gt 0 ] || { echo "error: the build has no target test_cuda*" >&2; exit 1; }
cmake --build "$build" -j "$jobs" --target "${targets[@]}"
echo "built ${targets[*]} in $((SECONDS - started)) s"

programs=() benchmarks=()
for target in "${targets[@]}"; do
  found=$(find "$build" -type f -name "$target" -perm -u+x | head -n 1)
  [ -n "$found" ] || { echo "error: $target was built, but is not under $build" >&2; exit 1; }
  case $target in test_*) programs+=("$found") ;; *) benchmarks+=("$found") ;; esac
done

failed=()
run() {  # run NAME COMMAND...
  local name=$1
  shift
  echo "== $name"
  "$@" || { echo "failed: $name"; failed+=("$name"); }
}
for program in "${programs[@]}"; do run "$(basename "$program")" "$program"; done
run ptx bash "$root/tests/cuda/ptx.sh" "$nvcc" "$root/tests/cuda/ptx/statements.cu" -std=c++20 -O2 -arch=native \
  "-I$root/include" -isystem "$eigen" -Xcompiler=-march=native

# Error codes of other programs are 0 or 1: 99 is the sanitizer's own.
if command -v compute-sanitizer >/dev/null; then
  for program in "${programs[@]}"; do
    run "memcheck $(basename "$program")" compute-sanitizer --tool memcheck --leak-check no --error-exitcode 99 \
      --print-limit 10 "$program"
  done
  # Races can be in what shares memory of a block: long rows, and sums over many of them.
  for program in "${programs[@]}"; do
    "$program" --list-tests 2>/dev/null | grep -q 'long sums' || continue
    run "racecheck $(basename "$program")" compute-sanitizer --tool racecheck --error-exitcode 99 --print-limit 10 \
      "$program" 'device: long sums*'
  done
else
  echo "compute-sanitizer is not installed: its checks are left out"
fi

for benchmark in ${benchmarks[@]+"${benchmarks[@]}"}; do run "$(basename "$benchmark")" "$benchmark"; done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
echo "all CUDA checks passed"
