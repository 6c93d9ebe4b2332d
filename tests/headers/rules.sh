#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# rules.sh [ROOT]: what holds for every header of ROOT/include/tenon (default: this repository). Levels, by folder:
# core 0; shape, op 1; memory 2; tensor 3; expr, io 4; kernel 5; function 6; tape, registry 7; graph 8; nn, optim,
# data 9; dist 10; train, deploy 11. A header includes its own folder or a lower level; equal levels never see each
# other; no cycles; CUDA and MPI headers only where design.md allows; at most 500 lines of 100 columns; macros only in
# core/config.hpp; nothing heavy behind tenon.hpp; all.hpp is complete; a test mirrors each header.
# rules.sh --planted: plants each violation in a copy and demands that it is found.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

check() {
  local root=$1 tests untested=$1/tests/support/untested_headers.txt rc=0
  tests=$(mktemp)
  (cd "$root/tests" && find . -name '*.cpp' -o -name '*.cu' | sed 's#^\./##') >"$tests"
  [ -f "$untested" ] || untested=/dev/null
  (cd "$root/include" && find tenon -name '*.hpp' -o -name '*.cuh' | LC_ALL=C sort |
    xargs awk -v tests="$tests" -v untested="$untested" -f "$here/rules.awk") || rc=1
  rm -f "$tests"
  return $rc
}

if [ "${1:-}" != --planted ]; then
  root=$(cd "${1:-$here/../..}" && pwd)
  check "$root" || { echo "the rules above are in tests/headers/rules.sh and docs/design.md, section 2"; exit 1; }
  echo "$(find "$root/include/tenon" -name '*.hpp' -o -name '*.cuh' | wc -l) headers keep the rules"
  exit 0
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
missed=0 planted=0

header() {  # header PATH LINE...: a header in order but for its LINEs, and its test
  mkdir -p "$dir/include/tenon/$(dirname "$1")" "$dir/tests/$(dirname "$1")" "$dir/tests/support"
  { echo "// SPDX-License-Identifier: Apache-2.0"; echo "// A header."; echo "#pragma once"; printf '%s\n' "${@:2}"; } \
    >"$dir/include/tenon/$1"
  : >"$dir/tests/${1%.hpp}.cpp"
}
clean() {
  rm -rf "$dir/include" "$dir/tests"
  header core/error.hpp ""
  header shape/shape.hpp "#include <tenon/core/error.hpp>"
  header op/add.hpp "#include <tenon/core/error.hpp>" "using namespace scalar;"
  header tensor/tensor.hpp "#include <tenon/shape/shape.hpp>" "#include <vector>"
  header tensor/all.hpp "#include <tenon/tensor/tensor.hpp>"
  header tenon.hpp "#include <tenon/tensor/all.hpp>"
}
expect() {  # expect WORDS: after a plant, exactly these words are reported
  local out
  planted=$((planted + 1))
  if out=$(check "$dir"); then
    echo "not found: $1"; missed=1
  elif ! grep -qF -- "$1" <<<"$out" || [ "$(wc -l <<<"$out")" != 1 ]; then
    echo "expected one line with: $1"; echo "$out"; missed=1
  fi
  clean
}

clean
check "$dir" || { echo "a tree in order is reported"; exit 1; }
header core/low.hpp "#include <tenon/shape/shape.hpp>"; expect "level 0 includes tenon/shape/shape.hpp of level 1"
header op/mul.hpp "#include <tenon/shape/shape.hpp>"; expect "level 1 includes tenon/shape/shape.hpp of level 1"
header core/error.hpp "#include <tenon/core/error.hpp>"; expect "include cycle"
header core/a.hpp "#include <tenon/core/b.hpp>"; header core/b.hpp "  #  include <tenon/core/a.hpp>"; expect "include cycle"
header nowhere/a.hpp ""; expect "folder nowhere has no level"
header core/a.hpp "#include <tenon/tenon.hpp>"; sed -i 's/all.hpp/tensor.hpp/' "$dir/include/tenon/tenon.hpp"; expect "includes the umbrella"
header core/a.hpp '#include "error.hpp"'; expect "quoted include"
header core/a.hpp "#include <tenon/core/gone.hpp>"; expect "which does not exist"
header core/a.hpp "#include <cuda_runtime.h>"; expect "CUDA header"
header core/a.hpp "#include <mpi.h>"; expect "MPI header"
header core/error.hpp "#include <map>"; expect "reached from tenon.hpp, but includes <map>"
header core/a.hpp "#define A 1"; expect "a macro outside"
header core/a.hpp "using namespace std;"; expect "using namespace"
header core/a.hpp "$(printf '//%0100d' 0)"; expect "longer than 100 columns"
header core/a.hpp "$(yes '//' | head -n 498)"; expect "501 lines"
header tensor/a.hpp ""; expect "does not include tenon/tensor/a.hpp"
header core/a.hpp ""; rm "$dir/tests/core/a.cpp"; expect "no test tests/core/a.cpp"
header core/a.hpp ""; echo "core/a.hpp" >"$dir/tests/support/untested_headers.txt"; rm "$dir/tests/core/a.cpp"; expect "without a reason"
echo "core/gone.hpp needs no test because" >"$dir/tests/support/untested_headers.txt"; expect "is listed and does not exist"
header core/a.hpp ""; sed -i 3d "$dir/include/tenon/core/a.hpp"; expect "no #pragma once"
header core/a.hpp ""; sed -i '1s/Apache-2.0/MIT/' "$dir/include/tenon/core/a.hpp"; expect "the first line is not the SPDX line"
echo "$planted planted violations, each found: $([ $missed = 0 ] && echo yes || echo no)"
exit $missed
