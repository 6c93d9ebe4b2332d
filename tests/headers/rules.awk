# Reads headers (paths relative to include/, given as tenon/...), prints `path:line: what is wrong`.
# Variables: tests = file listing test paths relative to tests/, untested = file of exceptions `path  reason`.

function wrong(where, what) { print where ": " what; bad = 1 }

function folder(path, part, n) {
  n = split(path, part, "/")
  return n == 2 ? "" : part[2]
}

# Umbrellas of the top level see everything.
function level(path, f) {
  f = folder(path)
  if (f == "") return 99
  return f in levels ? levels[f] : -1
}

# Depth first: a header met again while it is open closes a cycle.
function visit(path, i, n, next_path, list) {
  state[path] = 1
  trail[++depth] = path
  n = split(edges[path], list, " ")
  for (i = 1; i <= n; i++) {
    next_path = list[i]
    if (!(next_path in state)) visit(next_path)
    else if (state[next_path] == 1) wrong(path ":1", "include cycle: " trail_from(next_path))
  }
  depth--
  state[path] = 2
}

function trail_from(path, i, text) {
  for (i = depth; i > 1 && trail[i] != path; i--) text = " -> " trail[i] text
  return path text " -> " path
}

function reach(path, i, n, list) {
  if (path in reached) return
  reached[path] = 1
  n = split(edges[path], list, " ")
  for (i = 1; i <= n; i++) reach(list[i])
}

BEGIN {
  names = "core:0 shape:1 op:1 memory:2 tensor:3 expr:4 io:4 kernel:5 function:6 tape:7 registry:7 graph:8 " \
          "nn:9 optim:9 data:9 dist:10 train:11 deploy:11"
  n = split(names, pairs, " ")
  for (i = 1; i <= n; i++) { split(pairs[i], pair, ":"); levels[pair[1]] = pair[2] }
  heavy = "^(iostream|regex|ranges|format|map|unordered_map|set|unordered_set|fstream|sstream|iomanip|filesystem|" \
          "nlohmann/.*|zlib\\.h)$"
  device = "^(cuda|cub/|cute/|cutlass|thrust/|nvrtc|curand|cublas|cusolver|cufft|cusparse|cooperative_groups)"
  while ((getline line < tests) > 0) has_test[line] = 1
  while ((getline line < untested) > 0) {
    if (line ~ /^#/ || line ~ /^[ \t]*$/) continue
    n = split(line, part, " ")
    excused["tenon/" part[1]] = 1
    if (n < 4) wrong(untested ":1", part[1] " is listed without a reason")
  }
}

FNR == 1 {
  path = FILENAME
  paths[++count] = path
  seen_pragma[path] = 0
  if ($0 != "// SPDX-License-Identifier: Apache-2.0") wrong(path ":1", "the first line is not the SPDX line")
  if (level(path) == -1) wrong(path ":1", "folder " folder(path) " has no level: name it in tests/headers/rules.awk")
}
FNR == 2 && !/^\/\/ ./ { wrong(path ":2", "the second line does not say what the header is") }
/^#pragma once$/ { seen_pragma[path] = 1 }
# A table, one row a line, may be wider: it stands between clang-format off and on.
/clang-format off/ { table = 1 }
/clang-format on/ || FNR == 1 { table = 0 }
length($0) > 100 && !table { wrong(path ":" FNR, "longer than 100 columns") }
/^using namespace/ && !(folder(path) == "op" && /using namespace scalar;/) {
  wrong(path ":" FNR, "using namespace in a header")
}
/^[ \t]*#[ \t]*define/ && path != "tenon/core/config.hpp" { wrong(path ":" FNR, "a macro outside core/config.hpp") }
/^[ \t]*#[ \t]*define/ && path == "tenon/core/config.hpp" && !/define TENON_/ { wrong(path ":" FNR, "a macro not named TENON_*") }
/^[ \t]*#[ \t]*include/ {
  target = $0
  sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
  if (target ~ /^"/) { wrong(path ":" FNR, "quoted include: write <tenon/...>"); next }
  sub(/^</, "", target)
  sub(/>.*/, "", target)
  if (target ~ /^tenon\//) {
    edges[path] = edges[path] " " target
    from = level(path); to = level(target)
    if (to == 99) wrong(path ":" FNR, "includes the umbrella " target)
    else if (to == -1) wrong(path ":" FNR, "includes " target ", whose folder has no level")
    else if (folder(path) != folder(target) && to >= from)
      wrong(path ":" FNR, "level " from " includes " target " of level " to)
    included[path, target] = 1
    where[path, target] = FNR
  } else {
    if (target ~ device && path !~ /^tenon\/kernel\/cuda\/.*\.cuh$/ && path !~ /^tenon\/memory\/.*cuda/)
      wrong(path ":" FNR, "CUDA header <" target "> outside kernel/cuda/*.cuh and memory/*cuda*")
    if (target == "mpi.h" && path != "tenon/dist/mpi.hpp") wrong(path ":" FNR, "MPI header outside dist/mpi.hpp")
    if (target ~ heavy) weight[path] = weight[path] " <" target ">"
  }
}
{ lines[path] = FNR; last = $0 }

END {
  for (i = 1; i <= count; i++) known[paths[i]] = 1
  for (i = 1; i <= count; i++) {
    path = paths[i]
    if (!seen_pragma[path]) wrong(path ":1", "no #pragma once")
    if (lines[path] > 500) wrong(path ":" lines[path], lines[path] " lines: the cap is 500")
    n = split(edges[path], list, " ")
    for (j = 1; j <= n; j++)
      if (!(list[j] in known)) wrong(path ":" where[path, list[j]], "includes " list[j] ", which does not exist")
    if (!(path in state)) visit(path)
  }
  if ("tenon/tenon.hpp" in known) reach("tenon/tenon.hpp")
  for (path in reached)
    if (path in weight) wrong(path ":1", "reached from tenon.hpp, but includes" weight[path])

  # Each folder's all.hpp names every header of the folder.
  for (i = 1; i <= count; i++) {
    path = paths[i]
    f = folder(path)
    all = "tenon/" f "/all.hpp"
    if (f == "" || path !~ /\.hpp$/ || path == all || !(all in known)) continue
    if (path ~ /^tenon\/kernel\/device\//) continue  # what cuda.hpp includes, and tests of devices
    if (!((all, path) in included)) wrong(all ":1", "does not include " path)
  }

  # Each header has its test, except op/ (the list test covers it), umbrellas, device code and what is excused.
  for (i = 1; i <= count; i++) {
    path = paths[i]
    f = folder(path)
    stem = path
    sub(/^tenon\//, "", stem)
    sub(/\.hpp$/, "", stem)
    found = (stem ".cpp") in has_test || (stem ".cu") in has_test
    for (t in has_test) if (!found && index(t, stem "_") == 1 && t ~ /\.cpp$/) found = 1
    if (path in excused) {
      used[path] = 1
      if (found) wrong(path ":1", "has a test and is listed in untested_headers.txt")
    } else if (!found && f != "" && f != "op" && path !~ /\/all\.hpp$/ && path ~ /\.hpp$/) {
      wrong(path ":1", "no test tests/" stem ".cpp, and no reason in tests/support/untested_headers.txt")
    }
  }
  for (path in excused) if (!(path in used)) wrong(untested ":1", path " is listed and does not exist")
  exit bad
}
