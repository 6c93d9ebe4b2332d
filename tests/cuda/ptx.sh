#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ptx.sh NVCC SOURCE FLAG...: compiles SOURCE to PTX and reads it: each fused kernel (DeviceRows in its name) loads and
# stores 16 bytes at a time somewhere, and ptxas spills nothing.
# A group with one result a row stores single numbers forward: nothing lies beside them. SOURCE says how many kernels are
# like that in a line `// one result a row: N`; their number must be that, so that none hides among them.
# ptx.sh --planted: kernels that break each rule are found.
set -euo pipefail

# check PTX N: prints what is wrong.
check() {
  awk -v rows="$2" '
    function leave() {
      if (!fused) return
      kernels++
      if (!loads) { print "no 16-byte load: " name; bad = 1 }
      if (!stores && name ~ /ForwardBody/) alone = alone "\n  " name
      if (!stores && name ~ /ForwardBody/) singles++
      else if (!stores) { print "no 16-byte store: " name; bad = 1 }
    }
    /^\.(visible|weak) \.entry|^\.entry/ {
      leave()
      name = $0; sub(/.*\.entry[ \t]+/, "", name); sub(/\(.*/, "", name)
      fused = name ~ /DeviceRows/; loads = stores = 0
    }
    /ld\.global(\.nc)?\.v(4\.[fbus]32|2\.[fbus]64)/ { loads++ }
    /st\.global\.v(4\.[fbus]32|2\.[fbus]64)/ { stores++ }
    END {
      leave()
      if (!kernels) { print "no fused kernel at all"; bad = 1 }
      if (singles != rows + 0) {
        printf "%d forward kernels store no 16 bytes, %d have one result a row:%s\n", singles, rows, alone; bad = 1
      }
      if (!bad) printf "%d fused kernels, %d of them with one result a row: 16 bytes at a time\n", kernels, singles
      exit bad
    }' "$1"
}
# spills LOG: ptxas -v of a file, prints kernels that spill.
spills() {
  awk '/Function properties for/ { name = $NF }
       /bytes spill stores/ {
         seen++
         if ($0 !~ /[^0-9]0 bytes spill stores, 0 bytes spill loads/) { print "spills: " name ": " $0; bad = 1 }
       }
       END { if (!seen) { print "ptxas said nothing"; bad = 1 } else if (!bad) print seen " functions, none spills"; exit bad }' "$1"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "${1:-}" = --planted ]; then
  missed=0
  entry() { printf '.visible .entry _Z%s(\n\t.param .u64 a\n)\n{\n%s\n\tret;\n}\n' "$1" "$2"; }
  load=$'\tld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1];' store=$'\tst.global.v4.f32 [%rd1], {%f1, %f2, %f3, %f4};'
  expect() {  # expect GOOD ROWS
    local good=yes
    check "$work/p" "$2" >"$work/out" || good=no
    [ $good = "$1" ] || { echo "not seen ($1 expected):"; cat "$work/p" "$work/out"; missed=1; }
  }
  entry DeviceRows11ForwardBody "$load
$store" >"$work/p"; expect yes 0
  entry DeviceRows11ForwardBody "" >"$work/p"; expect no 0
  entry DeviceRows11ForwardBody "$load" >"$work/p"; expect no 0
  entry DeviceRows11ForwardBody "$load" >"$work/p"; expect yes 1
  entry DeviceRows11ForwardBody "$store" >"$work/p"; expect no 0
  entry DeviceRowsBackward12BackwardBody "$load" >"$work/p"; expect no 1
  entry other "" >"$work/p"; expect no 0
  { entry DeviceRows11ForwardBody "$load
$store"; entry DeviceRows11ForwardBody2 ""; } >"$work/p"; expect no 1
  echo "ptxas info : Function properties for f
    8 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads" >"$work/log"
  ! spills "$work/log" >/dev/null || { echo "a spill was not seen"; missed=1; }
  echo "planted kernels, each found: $([ $missed = 0 ] && echo yes || echo no)"
  exit $missed
fi

nvcc=$1 source=$2
shift 2
rows=$(sed -n 's,^// one result a row: \([0-9]*\).*,\1,p' "$source")
"$nvcc" --expt-relaxed-constexpr "$@" -cubin -Xptxas -v --keep --keep-dir "$work" "$source" -o "$work/kernels.cubin" \
  2>"$work/log" || { cat "$work/log"; exit 1; }
rc=0
check "$work/$(basename "$source" .cu).ptx" "${rows:-0}" || rc=1
spills "$work/log" || rc=1
exit $rc
