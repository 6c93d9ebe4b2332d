#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# snippets.sh BUILD: every C++ block of README.md and docs/*.md (design.md apart) is a region of a file that is compiled
# and run: `<!-- FILE NAME -->` before the block names the lines of FILE between `// example-begin NAME` and
# `// example-end NAME`. What README.md says that its first program prints is what it prints.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:?the build folder}
cd "$root"
bad=0 blocks=0
wrong() { echo "$*"; bad=1; }

# block PAGE LINE: the lines of the fenced block that begins at LINE.
block() { awk -v from="$2" 'NR > from && /^```/ {exit} NR > from' "$1"; }
# region FILE NAME: the lines of a region, without the indentation that all of them share.
region() {
  awk -v name="$2" '
    $0 ~ "^ *// example-end " name "$" {inside = 0; ended++}
    inside {line[++n] = $0; match($0, /^ */); if (length($0) && (n == 1 || RLENGTH < least)) least = RLENGTH}
    $0 ~ "^ *// example-begin " name "$" {inside = 1; begun++}
    END {if (begun != 1 || ended != 1) exit 1; for (i = 1; i <= n; i++) print substr(line[i], least + 1)}' "$1"
}

for page in README.md docs/*.md; do
  [ "$page" = docs/design.md ] && continue
  while IFS=: read -r line _; do
    blocks=$((blocks + 1))
    mark=$(sed -n "$((line - 1))p" "$page")
    if [[ ! $mark =~ ^\<!--\ ([^ ]+)\ ([a-z_0-9]+)\ --\>$ ]]; then
      wrong "$page:$line: no line <!-- FILE NAME --> before the block"
      continue
    fi
    file=${BASH_REMATCH[1]} name=${BASH_REMATCH[2]}
    if [ ! -f "$file" ] || ! expected=$(region "$file" "$name"); then
      wrong "$page:$line: $file has no region $name"
    elif ! change=$(diff <(block "$page" "$line") <(echo "$expected")); then
      wrong "$page:$line: not what is in $file, $name (< the page, > the file):"
      echo "$change"
    fi
  done < <(grep -n '^```cpp$' "$page" || true)
done
[ "$blocks" -ge 10 ] || wrong "only $blocks blocks were found"

# The links between pages lead somewhere.
for page in README.md docs/*.md; do
  while read -r link; do
    [ -e "$(dirname "$page")/$link" ] || wrong "$page: the link $link leads nowhere"
  done < <(sed -e '/^```/,/^```$/d' -e 's/`[^`]*`//g' "$page" | grep -oE '\]\([^):# ]+' | sed 's/^](//' | sort -u || true)
done

# layout.md names every header in its folder's rows.
while read -r header; do
  folder=${header%%/*} rest=${header#*/}
  [ "$folder" = "$rest" ] && continue
  awk -v folder="$folder" -v name="${rest%.hpp}" -F'|' '
    $2 ~ /[a-z]/ {n = split($2, part, " "); current = part[n]}
    current == folder {gsub(/,/, " ", $3); m = split($3, names, " "); for (i = 1; i <= m; i++) if (names[i] == name) found = 1}
    END {exit !found}' docs/layout.md || wrong "docs/layout.md: no $header"
done < <(cd include/tenon && find . -name '*.hpp' ! -name all.hpp | sed 's/^..//' | LC_ALL=C sort)

program=$build/tests/run_first_program
line=$(grep -n '^```text$' README.md | head -n 1 | cut -d: -f1 || true)
if [ ! -x "$program" ]; then wrong "$program is not built"
elif [ -z "$line" ]; then wrong "README.md does not say what the first program prints"
elif ! diff <(block README.md "$line") <("$program"); then wrong "README.md: the first program prints something else"
fi
[ $bad = 0 ] && echo "$blocks blocks are what is compiled"
exit $bad
