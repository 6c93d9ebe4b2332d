// SPDX-License-Identifier: Apache-2.0
// Common subexpressions: of nodes that compute the same of the same, the first is left.
#pragma once
#include <tenon/graph/ir.hpp>

#include <map>
#include <string>

namespace tenon::inline TENON_ISA::graph {

/// Forward nodes alone; updates and backward groups stay as they are.
inline void remove_common(Graph& g) {
  std::map<std::string, std::vector<int>> seen;
  std::vector<int> now(g.values.size());
  for (std::size_t v = 0; v < now.size(); ++v) now[v] = static_cast<int>(v);
  auto rename = [&](std::vector<int>& list) {
    for (int& v : list)
      if (v >= 0) v = now[static_cast<std::size_t>(v)];
  };
  std::vector<Node> kept;
  for (Node& n : g.nodes) {
    rename(n.in);
    if (n.way == Way::forward) {
      std::string key;
      auto put = [&key](const void* data, std::size_t bytes) {
        key.append(static_cast<const char*>(data), bytes);
        key += '|';
      };
      auto list = [&put](const auto& x) { put(x.data(), x.size() * sizeof(x[0])); };
      put(&n.info, sizeof n.info);
      list(n.in), list(n.scalar), list(n.integer), list(n.number);
      const Attributes how = n.how.pack();
      put(how.integer, static_cast<std::size_t>(how.integers) * sizeof(Index));
      const Value& v = g.value(n.out[0]);
      put(&v.dtype, sizeof v.dtype), list(v.extents);
      auto [at, fresh] = seen.try_emplace(std::move(key), n.out);
      // One that keeps more than the first stays.
      if (!fresh && (n.out[1] < 0 || at->second[1] >= 0)) {
        for (std::size_t k = 0; k < n.out.size(); ++k)
          if (n.out[k] >= 0) now[static_cast<std::size_t>(n.out[k])] = at->second[k];
        continue;
      }
    }
    kept.push_back(std::move(n));
  }
  g.nodes = std::move(kept);
  rename(g.outputs), rename(g.states);
}

}  // namespace tenon::graph
