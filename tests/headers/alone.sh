#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone.sh JOBS COMPILER FLAG...: every header compiles when it is included first, and included twice. Those that
# include MPI's header are left out where it is not found.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
jobs=$1
shift
export compiler_and_flags="$*"
check() {
  local out
  out=$(printf '#include <%s>\n#include <%s>\n' "$1" "$1" | $compiler_and_flags -fsyntax-only -x c++ - 2>&1) && return 0
  echo "does not compile alone: $1"
  grep -m 3 -A 2 'error:' <<<"$out" || head -n 10 <<<"$out"
  return 1
}
export -f check
cd "$root/include"
without='^$'
printf '#include <mpi.h>\n' | $compiler_and_flags -fsyntax-only -x c++ - 2>/dev/null || without='^tenon/(dist/)?mpi\.hpp$'
find tenon -name '*.hpp' | grep -vE "$without" | LC_ALL=C sort | xargs -P "$jobs" -I{} bash -c 'check {}'
echo "$(find tenon -name '*.hpp' | grep -cvE "$without") headers compile alone and twice"
