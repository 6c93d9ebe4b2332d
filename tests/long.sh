#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# long.sh [ctest's arguments]: what takes long. All tests, and those of tests/long, three times: built with g++, with
# clang++ (16 or later), and with the address and undefined behaviour sanitizers. Builds in build-long/.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/tests/support/install.sh"
install_missing g++ cmake make ninja-build pkg-config libeigen3-dev catch2 zlib1g-dev nlohmann-json3-dev libcli11-dev \
  '?clang-16' '?clang-tidy-16' '?clang-format-14' '?libomp-16-dev' '?dataset-fashion-mnist' '?libopenmpi-dev' '?openmpi-bin'

failed=()
way() {  # way NAME CTEST_ARGUMENTS... -- CMAKE_ARGUMENTS...
  local name=$1 build=$root/build-long/$1 arguments=()
  shift
  while [ "$1" != -- ]; do arguments+=("$1"); shift; done
  shift
  echo "== $name"
  cmake -S "$root" -B "$build" -G Ninja -DTENON_LONG=ON -DTENON_BENCHMARKS=OFF -DTENON_WERROR=ON "$@" &&
    cmake --build "$build" -j "$(nproc)" &&
    (cd "$build" && ctest --output-on-failure -j "$(nproc)" ${arguments[@]+"${arguments[@]}"}) || failed+=("$name")
}

# What does not depend on the compiler of the tests is checked once, by run.sh.
once='^(headers|compile_fail|consumer|variant|format|clang-tidy|nvcc)'
way g++ "$@" --
for version in 16 17 18 19 20; do
  if command -v clang++-$version >/dev/null; then
    way clang++ -E "$once" "$@" -- -DCMAKE_CXX_COMPILER=clang++-$version -DTENON_CUDA=OFF
    break
  fi
done
way sanitizers -E "$once" "$@" -- -DCMAKE_BUILD_TYPE=Debug -DTENON_EXAMPLES=OFF -DTENON_CUDA=OFF \
  -DCMAKE_CXX_FLAGS="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all"
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
