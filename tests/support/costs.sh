#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# costs.sh LOG: the ten dearest compilation units that measure.sh saw, and whether one is to be split.
set -euo pipefail
[ -s "$1" ] || exit 0
echo "dearest compilation units (one over 40 s or 2000 MB is to be split):"
# The last figure of a unit counts: LOG grows with each build.
awk '{cost[$3] = $0} END {for (unit in cost) print cost[unit]}' "$1" | LC_ALL=C sort -rn |
  awk 'NR <= 10 {name = $3; sub(/^.*CMakeFiles\//, "", name)
        printf "  %6.1f s %6d MB  %s%s\n", $1, $2, name, ($1 > 40 || $2 > 2000) ? "  <- over" : ""}'
awk '{cost[$3] = $1} END {for (unit in cost) {n++; sum += cost[unit]} printf "  %6.1f s in all, %d units\n", sum, n}' "$1"
