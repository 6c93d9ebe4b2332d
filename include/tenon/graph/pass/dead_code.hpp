// SPDX-License-Identifier: Apache-2.0
// Dead code: nodes whose results nobody reads are gone, gradients that nobody reads not computed.
#pragma once
#include <tenon/graph/ir.hpp>

namespace tenon::inline TENON_ISA::graph {

/// Removes what neither an output nor a state depends on. Values keep their numbers.
inline void remove_dead_code(Graph& g) {
  std::vector<bool> read(g.values.size(), false), live(g.nodes.size(), false);
  auto mark = [&](int v) {
    if (v >= 0) read[static_cast<std::size_t>(v)] = true;
  };
  for (int v : g.outputs) mark(v);
  for (int v : g.states) mark(v);
  for (std::size_t n = g.nodes.size(); n-- > 0;) {
    Node& node = g.nodes[n];
    for (std::size_t k = 0; k < node.out.size(); ++k) {
      int& v = node.out[k];
      if (v < 0) continue;
      if (read[static_cast<std::size_t>(v)]) {
        live[n] = true;
      } else if (node.way == Way::backward) {
        v = -1, node.wanted &= ~(1u << k), node.accumulate &= ~(1u << k);
        node.in[static_cast<std::size_t>(node.operands) + 3 + k] = -1;
      } else if (node.way == Way::forward && k == 1) {
        v = -1;  // numbers kept for a backward that is not there
      }
    }
    if (!live[n]) continue;
    for (int v : node.in) mark(v);
  }
  std::vector<Node> kept;
  for (std::size_t n = 0; n < g.nodes.size(); ++n)
    if (live[n]) kept.push_back(std::move(g.nodes[n]));
  g.nodes = std::move(kept);
}

}  // namespace tenon::graph
