#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tidy.sh FLAG...: clang-tidy (16 or later; 14 does not know all of C++20) on one file that includes every header.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
for version in 16 17 18 19 20; do
  tool=$(command -v clang-tidy-$version) && break
done
[ -n "${tool:-}" ] || { echo "skipped: clang-tidy 16 or later is not installed"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
without='^$'  # MPI's own where it is not found
printf '#include <mpi.h>\n' | "${tool/clang-tidy/clang}" "$@" -fsyntax-only -x c++ - 2>/dev/null || without='^tenon/(dist/)?mpi\.hpp$'
(cd "$root/include" && find tenon -name '*.hpp' | grep -vE "$without" | LC_ALL=C sort | sed 's/.*/#include <&>/') >"$dir/all.cpp"
"$tool" --quiet --config-file="$root/.clang-tidy" "$dir/all.cpp" -- "$@" 2>"$dir/log" || { cat "$dir/log"; exit 1; }
