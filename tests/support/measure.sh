#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# measure.sh LOG COMPILER ARGUMENT...: a compiler launcher; adds to LOG a line `seconds MB unit`.
log=$1
shift
unit= previous=
for argument in "$@"; do
  [ "$previous" = -o ] && unit=$argument
  previous=$argument
done
figures=$(mktemp)
if [ -x /usr/bin/time ]; then
  /usr/bin/time -q -o "$figures" -f '%e %M' "$@"
  rc=$?
else
  start=$(date +%s.%N)
  "$@"
  rc=$?
  echo "$start $(date +%s.%N)" | awk '{printf "%.2f 0\n", $2 - $1}' >"$figures"
fi
if [ $rc = 0 ] && [ -n "$unit" ]; then
  awk -v unit="$unit" '{printf "%.2f %.0f %s\n", $1, $2 / 1024, unit}' "$figures" >>"$log"
fi
rm -f "$figures"
exit $rc
