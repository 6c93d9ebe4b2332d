#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone.sh JOBS COMPILER FLAG...: every header compiles when it is included first, and included twice. One that another
# header includes before anything else is compiled first there, so it needs no run of its own; nor does one that only
# includes headers of ours: each of them compiles alone, and tidy.sh's file includes all. Those that include MPI's header
# are left out where it is not found.
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
headers=$(find tenon -name '*.hpp' | grep -vE "$without" | LC_ALL=C sort)
# Those with a line of code beside `#include <tenon/...>`.
own=$(grep -lvE '^ *(//.*)?$|^#pragma once|^#include <tenon/[^>]*>( *//.*)?$' $headers | LC_ALL=C sort)
# What stands in the first line of code of a header that includes something of ours there.
first=$(awk '/^ *(\/\/|$)|^#pragma once/ {next} {if (/^#include <tenon/) {gsub(/^#include <|>.*/, ""); print} nextfile}' $own | LC_ALL=C sort -u)
run=$(LC_ALL=C comm -23 - <(echo "$first") <<<"$own")
xargs -P "$jobs" -I{} bash -c 'check {}' <<<"$run"
echo "$(wc -l <<<"$headers") headers compile alone and twice, in $(wc -l <<<"$run") files"
