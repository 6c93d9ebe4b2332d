#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# format.sh [-i]: every source file is as clang-format 14 (Debian 12's) writes it; other versions write other things.
# -i writes it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tool=
for name in clang-format-14 clang-format; do
  if command -v $name >/dev/null && $name --version | grep 'version 14\.' >/dev/null; then tool=$name; break; fi
done
[ -n "$tool" ] || { echo "skipped: clang-format 14 is not installed"; exit 77; }
mapfile -t files < <(find include tests benchmarks examples -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' | LC_ALL=C sort)
if [ "${1:-}" = -i ]; then exec "$tool" -i "${files[@]}"; fi
# All at once; file by file only where one differs, to say which and how.
if "$tool" --dry-run -Werror "${files[@]}" 2>/dev/null; then echo "${#files[@]} files are formatted"; exit 0; fi
rc=0
for file in "${files[@]}"; do
  changes=$("$tool" "$file" | diff "$file" -) && continue
  rc=1
  echo "$file: $(grep -c '^[<>]' <<<"$changes") lines differ; first:"
  sed -n '1,6s/^/    /p' <<<"$changes"
done
[ $rc = 0 ] && echo "clang-format finds something, but no file differs" || echo "bash tests/support/format.sh -i formats them"
exit 1
