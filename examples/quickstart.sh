#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# quickstart.sh [options of the program]: builds examples/03_fashion_mnist.cpp and runs it, after installing what is
# missing (Debian: through apt-get, as root or with sudo). Safe to run twice. `--help` lists the program's options.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/tests/support/install.sh"
install_missing g++ cmake make libeigen3-dev zlib1g-dev nlohmann-json3-dev libcli11-dev '?dataset-fashion-mnist'

build=$root/build
log=$build/quickstart.log
mkdir -p "$build" && : >"$log" || { echo "error: cannot write to $build" >&2; exit 1; }
echo "building $build/examples/03_fashion_mnist"
if ! { cmake -S "$root" -B "$build" -DTENON_TESTS=OFF -DTENON_BENCHMARKS=OFF -DTENON_EXAMPLES=ON &&
  cmake --build "$build" -j "$(nproc)" --target 03_fashion_mnist; } >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "error: the build failed; its output is in $log" >&2
  exit 1
fi
grep -E '^-- tenon:' "$log" | sed 's/^-- //' || true
exec "$build/examples/03_fashion_mnist" "$@"
