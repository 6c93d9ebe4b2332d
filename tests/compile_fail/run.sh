#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh JOBS FOLDER COMPILER FLAG...: every case beside this script, with one compiler.
# run.sh --planted COMPILER FLAG...: cases that are wrong themselves must be reported.
#
# A case is a file name.cpp that wraps itself in `namespace name { ... }`. As it stands it compiles; with EXPECT_ERROR
# defined it must not, and the compiler's first error line must match the line
#   // expect: <extended regular expression>
# or, for clang++, `// expect-clang: <...>` where there is one. Headers are included before the namespace opens.
#   #include <tenon/tenon.hpp>
#   namespace inner_extents {
#   inline void f() {
#     tenon::Tensor<float, tenon::Shape<2, 784>> x;
#   #ifdef EXPECT_ERROR
#     tenon::Tensor<float, tenon::Shape<512, 10>> w;
#   #else
#     tenon::Tensor<float, tenon::Shape<784, 10>> w;
#   #endif
#     auto y = matmul(x, w);
#   }
#   }  // namespace inner_extents
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# prepare HEADER COMPILER FLAG...: in $dir, with HEADER compiled beforehand; sets compile (a command line) and kind.
prepare() {
  local header=$1
  shift
  compile=("$@" -fsyntax-only -fdiagnostics-color=never -Wall -Wextra -Wno-unused)
  if "$1" --version | grep clang >/dev/null; then
    kind=clang
    compile+=(-ferror-limit=1 -fno-caret-diagnostics)
    "$@" -Wall -Wextra -x c++-header "$header" -o pch.hpp.pch
    compile+=(-include-pch pch.hpp.pch)
  else
    kind=gcc
    compile+=(-fmax-errors=1 -fno-diagnostics-show-caret)
    # The copy is what -include finds, and beside it the compiled one.
    cp "$header" pch.hpp
    "$@" -Wall -Wextra -x c++-header pch.hpp -o pch.hpp.gch
    compile+=(-include pch.hpp)
  fi
}

expectation() {
  local pattern
  [ "$kind" = clang ] && pattern=$(sed -n 's#^// expect-clang: ##p;' "$1") && [ -n "$pattern" ] && { printf '%s\n' "$pattern"; return; }
  sed -n 's#^// expect: ##p' "$1"
}

check_case() {
  local file=$1 name pattern out line
  name=$(basename "$file" .cpp)
  pattern=$(expectation "$file")
  if [ -z "$pattern" ] || [ "$(wc -l <<<"$pattern")" != 1 ]; then
    echo "$name: needs exactly one line // expect:"; return 1
  fi
  if out=$("${compile[@]}" -DEXPECT_ERROR "$file" 2>&1); then
    echo "$name: compiles, though EXPECT_ERROR is defined"; return 1
  fi
  line=$(grep -m1 -E '(^|[: ])(fatal )?error: ' <<<"$out" || true)
  if ! grep -qE -- "$pattern" <<<"$line"; then
    echo "$name: expected  $pattern"; echo "$name: first error  $line"; return 1
  fi
}

# check_all FILE...: 0 when every case is as it should be.
check_all() {
  local file running=0 rc=0
  printf '#include "%s"\n' "$@" >twins.cpp
  if ! "${compile[@]}" twins.cpp 2>twins.log; then
    rc=1
    for file in "$@"; do
      "${compile[@]}" "$file" 2>one.log || { echo "$(basename "$file" .cpp): must compile without EXPECT_ERROR"; head -n 5 one.log; }
    done
    grep -m3 error: twins.log || true
  fi
  rm -f failed
  for file in "$@"; do
    [ $running -lt "$jobs" ] || { wait -n || true; running=$((running - 1)); }
    { check_case "$file" || : >failed; } &
    running=$((running + 1))
  done
  wait
  [ ! -e failed ] || rc=1
  return $rc
}

if [ "$1" = --planted ]; then
  shift
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  cd "$dir"
  jobs=2
  echo '#pragma once' >nothing.hpp
  prepare nothing.hpp "$@"
  plant() { printf '%s\n' "${@:2}" >"$1.cpp"; }
  plant right '// expect: static assertion failed.*two is not three|two is not three' 'namespace right {' \
    '#ifdef EXPECT_ERROR' 'static_assert(2 == 3, "two is not three");' '#endif' '}'
  plant other_words '// expect: two is not four' 'namespace other_words {' \
    '#ifdef EXPECT_ERROR' 'static_assert(2 == 3, "two is not three");' '#endif' '}'
  plant second_error '// expect: two is not three' 'namespace second_error {' \
    '#ifdef EXPECT_ERROR' 'int x = undeclared;' 'static_assert(2 == 3, "two is not three");' '#endif' '}'
  plant compiles '// expect: two is not three' 'namespace compiles {' '}'
  plant twin_fails '// expect: two is not three' 'namespace twin_fails {' 'static_assert(2 == 3, "two is not three");' '}'
  plant silent 'namespace silent {' '#ifdef EXPECT_ERROR' 'static_assert(false);' '#endif' '}'
  rc=0
  check_all "$dir/right.cpp" || { echo "a case in order is reported"; rc=1; }
  for name in other_words second_error compiles twin_fails silent; do
    if check_all "$dir/right.cpp" "$dir/$name.cpp" >out.log 2>&1; then echo "not reported: $name"; rc=1; fi
    grep -q "^$name: " out.log || { echo "reported without its name: $name"; cat out.log; rc=1; }
  done
  [ $rc != 0 ] || echo "five planted cases are reported, one in order is not"
  exit $rc
fi

jobs=$1
dir=$2
shift 2
mkdir -p "$dir"
cd "$dir"
shopt -s nullglob
cases=("$here"/*.cpp)
[ ${#cases[@]} -gt 0 ] || { echo "skipped: no cases"; exit 77; }
prepare "$here/pch.hpp" "$@"
check_all "${cases[@]}" || exit 1
echo "${#cases[@]} cases with $(basename "$1"): each compiles, and fails with the words expected"
