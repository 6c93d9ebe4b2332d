#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [ctest's arguments]: everything that CI checks. Installs what is missing (Debian: through apt-get), builds in
# build/, and ends with ctest's closing lines. Safe to run twice. What takes long is in long.sh.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/tests/support/install.sh"
install_missing g++ cmake make ninja-build pkg-config libeigen3-dev catch2 zlib1g-dev nlohmann-json3-dev libcli11-dev \
  '?clang-16' '?clang-tidy-16' '?clang-format-14' '?libbenchmark-dev' '?time' '?dataset-fashion-mnist' '?libopenmpi-dev' '?openmpi-bin'

build=$root/build
jobs=$(nproc)
# A folder that was configured before keeps its generator.
[ -f "$build/CMakeCache.txt" ] || generator=(-G Ninja)
mkdir -p "$build"
cmake -S "$root" -B "$build" ${generator[@]+"${generator[@]}"} -DTENON_TESTS=ON -DTENON_EXAMPLES=ON -DTENON_BENCHMARKS=ON \
  -DTENON_WERROR=ON "-DCMAKE_CXX_COMPILER_LAUNCHER=bash;$root/tests/support/measure.sh;$build/costs.log"
started=$SECONDS
cmake --build "$build" -j "$jobs"
echo "built in $((SECONDS - started)) s with $jobs jobs"
bash "$root/tests/support/costs.sh" "$build/costs.log"
cd "$build"
# One more than there are processors: tests with deadlines sleep most of their time.
exec ctest --output-on-failure -j "$((jobs + 1))" "$@"
