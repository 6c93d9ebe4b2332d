// SPDX-License-Identifier: Apache-2.0
// Early updates: a parameter moves as soon as its gradient is there, while that is in the cache,
// and the gradient's memory is free for the next.
#pragma once
#include <tenon/graph/ir.hpp>

#include <algorithm>

namespace tenon::inline TENON_ISA::graph {

/// Moves every update up to behind the last node that makes what it reads or reads what it changes.
inline void move_updates_up(Graph& g) {
  for (std::size_t n = 0; n < g.nodes.size(); ++n) {
    if (g.nodes[n].way != Way::update) continue;
    const std::vector<int>& mine = g.nodes[n].in;
    auto touches = [&](const Node& other) {
      auto listed = [&](int v) {
        return v >= 0 && std::find(mine.begin(), mine.end(), v) != mine.end();
      };
      return std::any_of(other.in.begin(), other.in.end(), listed) ||
             std::any_of(other.out.begin(), other.out.end(), listed);
    };
    std::size_t to = n;
    while (to > 0 && !touches(g.nodes[to - 1])) --to;
    std::rotate(g.nodes.begin() + static_cast<std::ptrdiff_t>(to),
                g.nodes.begin() + static_cast<std::ptrdiff_t>(n),
                g.nodes.begin() + static_cast<std::ptrdiff_t>(n) + 1);
  }
}

}  // namespace tenon::graph
