#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# vectors.sh BUILD: run_vectors prints for the vectors of this repository what vectors.txt expects, and answers wrong
# usage and unreadable files with exit code 2.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$1/tests/run_vectors
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
rc=0

"$program" "$here/data" >"$dir/out" 2>&1
code=$?
diff "$here/vectors.txt" "$dir/out" || { echo "vectors.txt (<) is not what was printed (>)"; rc=1; }
[ $code = 0 ] || { echo "exit code $code, not 0"; rc=1; }

expect_2() {  # expect_2 WORDS ARGUMENT...
  local words=$1 out code
  out=$("$program" "${@:2}" 2>&1)
  code=$?
  [ $code = 2 ] && grep -qF -- "$words" <<<"$out" || { echo "run_vectors ${*:2}: code $code, not 2 with: $words"; echo "$out" | head -3; rc=1; }
}
expect_2 "usage:"
expect_2 "usage:" "$here/data" --dtype f16
expect_2 "usage:" "$here/data" --areas reduce
expect_2 "error:" "$dir/none"
expect_2 "error:" "$dir"
expect_2 "none.safetensors" "$here/data" --area none
cp "$here/data/reduce.json" "$dir/reduce.json"
head -c 1000 "$here/data/reduce.safetensors" >"$dir/reduce.safetensors"
expect_2 "reduce.safetensors" "$dir"
cp "$here/data/reduce.safetensors" "$dir/reduce.safetensors"
head -c 1000 "$here/data/reduce.json" >"$dir/reduce.json"
expect_2 "reduce.json" "$dir"
echo '{"cases": [{"name": "a", "op": "sum"}]}' >"$dir/reduce.json"
expect_2 "reduce.json" "$dir"
echo '{"cases": [{"name": "a", "op": "sum", "attrs": {}, "inputs": ["gone"], "outputs": [], "special": false, "tol": {"f32": 1, "f64": 1}}]}' >"$dir/reduce.json"
expect_2 "gone" "$dir"
exit $rc
