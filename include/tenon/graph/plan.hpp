// SPDX-License-Identifier: Apache-2.0
// Where the values of a graph lie: offsets into one block, reused as soon as nobody reads them any
// more.
#pragma once
#include <tenon/graph/ir.hpp>

#include <algorithm>

namespace tenon::inline TENON_ISA::graph {

struct Plan {
  std::vector<Index> offset;  ///< bytes, by value; -1: not in the block
  Index bytes = 0;            ///< of the block
  Index outside = 0;          ///< bytes of results that leave the graph
  Index all = 0;              ///< bytes of all values that groups and functions produce
};

namespace detail {

inline Index rounded(Index bytes) { return (bytes + 63) / 64 * 64; }

/// The value whose memory a result may take over: an operand of the same extents that nobody reads
/// afterwards, of an element-wise group, whose kernels read an element before they write it.
inline int taken_over(const Graph& g, const Node& n, std::size_t out, std::size_t at,
                      const std::vector<int>& last) {
  const StatementInfo& i = *n.info;
  // A product's backward reads its first operand before it writes that one's gradient.
  if (i.product && n.way == Way::backward && out == i.leaves && !n.how.transpose_a) {
    const int a = n.in[out], b = n.in[out + 1];
    const bool once = std::count(n.in.begin(), n.in.end(), a) == 1;
    return once && g.value(b).rank() == 2 && g.value(a).origin == Origin::node &&
                   !g.value(a).generated && g.value(a).dtype == i.compute &&
                   last[static_cast<std::size_t>(a)] == static_cast<int>(at)
               ? a
               : -1;
  }
  if (!n.group() || i.product || i.depth || i.row_root || n.how.total != Total::none) return -1;
  const Value& result = g.value(n.out[out]);
  for (std::size_t k = 0; k < n.in.size(); ++k) {
    const int v = n.in[k];
    if (v < 0 || !n.reads(static_cast<int>(k)) || g.value(v).origin != Origin::node) continue;
    const Value& from = g.value(v);
    if (last[static_cast<std::size_t>(v)] != static_cast<int>(at) || from.generated) continue;
    if (from.dtype == result.dtype && from.extents == result.extents) return v;
  }
  return -1;
}

}  // namespace detail

/// Places every value that a node produces, the largest first, at the lowest offset where nothing
/// alive at the same time lies (greedy by size: Pisarchyk and Lee, Efficient Memory Management for
/// Deep Neural Net Inference, 2020). Outputs and what functions may return views of lie outside.
/// in_place: results take over operands where kernels allow.
inline Plan plan(const Graph& g, Index rows, bool in_place = true) {
  const std::size_t count = g.values.size();
  Plan p;
  p.offset.assign(count, -1);
  std::vector<int> first(count, -1), last = last_reads(g, false), over(count, -1);
  std::vector<bool> outside(count, false), taken(count, false), updated(count, false);
  for (const auto* list : {&g.outputs, &g.states})
    for (int v : *list)
      if (v >= 0) outside[static_cast<std::size_t>(v)] = true;
  for (std::size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    for (int v : node.out)
      if (v >= 0) {
        first[static_cast<std::size_t>(v)] = static_cast<int>(n);
        updated[static_cast<std::size_t>(v)] = node.way == Way::update;
      }
    // Gradients that are added to move from value to value; so does what an update works on.
    for (std::size_t k = 0; k < node.in.size(); ++k)
      if (node.in[k] >= 0 && node.way == Way::backward &&
          k >= static_cast<std::size_t>(node.operands) + 3) {
        outside[static_cast<std::size_t>(node.in[k])] = true;
        outside[static_cast<std::size_t>(
            node.out[k - static_cast<std::size_t>(node.operands) - 3])] = true;
      }
    if (node.way == Way::together)
      for (const Node& o : node.together->nodes)
        if (first[static_cast<std::size_t>(o.out[0])] < 0) p.all += g.value(o.out[0]).bytes(rows);
    if (node.group()) continue;
    for (std::size_t k = 0; k < node.in.size(); ++k)
      if (const int v = node.in[k]; v >= 0 && !(node.way == Way::update && k == 1))
        outside[static_cast<std::size_t>(v)] = true;
    for (int v : node.out)
      if (v >= 0) outside[static_cast<std::size_t>(v)] = true;
  }
  std::vector<int> order;
  for (std::size_t v = 0; v < count; ++v) {
    const Value& value = g.values[v];
    if (value.origin != Origin::node || first[v] < 0 || updated[v]) continue;
    const Index bytes = value.bytes(rows);
    p.all += bytes;
    if (outside[v]) p.outside += bytes;
    else if (bytes > 0) order.push_back(static_cast<int>(v));
  }
  // A value that takes over another's memory lengthens its life.
  for (std::size_t n = 0; in_place && n < g.nodes.size(); ++n)
    for (std::size_t k = 0; k < g.nodes[n].out.size(); ++k) {
      const int v = g.nodes[n].out[k];
      if (v < 0 || outside[static_cast<std::size_t>(v)]) continue;
      const bool adds = g.nodes[n].accumulate >> k & 1 && g.nodes[n].way == Way::backward;
      const int from = adds ? -1 : detail::taken_over(g, g.nodes[n], k, n, last);
      if (from < 0 || outside[static_cast<std::size_t>(from)] ||
          taken[static_cast<std::size_t>(from)])
        continue;
      taken[static_cast<std::size_t>(from)] = true;
      over[static_cast<std::size_t>(v)] = from;
    }
  auto root = [&](int v) {
    while (over[static_cast<std::size_t>(v)] >= 0) v = over[static_cast<std::size_t>(v)];
    return v;
  };
  for (int v : order) {
    auto& end = last[static_cast<std::size_t>(root(v))];
    end = std::max(end, last[static_cast<std::size_t>(v)]);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return g.value(a).bytes(rows) > g.value(b).bytes(rows); });
  std::vector<int> placed;
  for (int v : order) {
    if (root(v) != v) continue;
    const auto i = static_cast<std::size_t>(v);
    const Index bytes = detail::rounded(g.value(v).bytes(rows));
    std::vector<std::pair<Index, Index>> busy;
    for (int o : placed) {
      const auto j = static_cast<std::size_t>(o);
      if (first[i] <= std::max(last[j], first[j]) && first[j] <= std::max(last[i], first[i]))
        busy.push_back({p.offset[j], p.offset[j] + detail::rounded(g.value(o).bytes(rows))});
    }
    std::sort(busy.begin(), busy.end());
    Index at = 0;
    for (auto [from, to] : busy) {
      if (from - at >= bytes) break;
      at = std::max(at, to);
    }
    p.offset[i] = at;
    p.bytes = std::max(p.bytes, at + bytes);
    placed.push_back(v);
  }
  for (int v : order)
    p.offset[static_cast<std::size_t>(v)] = p.offset[static_cast<std::size_t>(root(v))];
  return p;
}

}  // namespace tenon::graph
