// SPDX-License-Identifier: Apache-2.0
// Tile: element-wise operations of equal extents become one node, which runs over tiles. Every
// value keeps its bits.
#pragma once
#include <tenon/graph/ir.hpp>
#include <tenon/graph/tiles.hpp>
#include <tenon/graph/verify.hpp>
#include <tenon/kernel/interpret.hpp>

#include <algorithm>

namespace tenon::inline TENON_ISA::graph {

namespace detail {

/// The operation of a node that computes every element of its result from the elements of its
/// operands at the same place: one operation alone, whose result has the dtype that it computes in,
/// a sum of gradients, or a number spread over axes. Else null.
inline const StatementInfo* element_wise(const Graph& g, const Node& n) {
  if (n.way != Way::forward || n.out[1] >= 0) return nullptr;
  for (int v : n.in)
    if (v < 0) return nullptr;
  const Value& y = g.value(n.out[0]);
  const StatementInfo* info = n.info;
  if (info == &kernel::detail::fill_info)
    return y.rank() > 0 && n.number.size() == 1 ? info : nullptr;
  if (info == &kernel::detail::add_info)
    info = y.dtype == Dtype::f64 ? op_info<op::Add, double>.single : op_info<op::Add, float>.single;
  const bool alone = n.group() && info->node_count == 1 && info->nodes[0].op->single == info &&
                     !info->nodes[0].op->reduction && n.how.total == Total::none &&
                     !n.how.dropped_leaves;
  return (alone || info != n.info) && y.dtype == info->compute ? info : nullptr;
}

/// One list of operations is open at a time. Nodes that do not touch it pass by; any other ends it.
class Tiling {
 public:
  explicit Tiling(Graph& g) : g_(g), reads_(g.values.size(), 0) {}

  void run() {
    for (const Node& n : g_.nodes) count(n.in);
    count(g_.outputs), count(g_.states);
    for (Node& n : g_.nodes) {
      const StatementInfo* info = element_wise(g_, n);
      if (info ? !fits(n) : touches(n)) close();
      if (info) open(std::move(n), *info);
      else kept_.push_back(std::move(n));
    }
    close();
    g_.nodes = std::move(kept_);
  }

 private:
  int& reads(int v) { return reads_[static_cast<std::size_t>(v)]; }
  void count(const std::vector<int>& read) {
    for (int v : read)
      if (v >= 0) ++reads(v);
  }
  static bool listed(const std::vector<int>& list, int v) {
    return std::find(list.begin(), list.end(), v) != list.end();
  }
  /// Whether a node reads what the list makes, or changes what it reads.
  bool touches(const Node& n) const {
    return std::any_of(n.in.begin(), n.in.end(), [&](int v) {
      return listed(made_, v) || (n.way != Way::forward && listed(inputs_, v));
    });
  }
  bool fits(const Node& n) const {
    return list_.empty() || (g_.value(n.out[0]).dtype == g_.value(made_[0]).dtype &&
                             g_.value(n.out[0]).extents == g_.value(made_[0]).extents &&
                             list_.size() < Together::most &&
                             inputs_.size() + n.in.size() <= std::size_t{max_leaves});
  }
  void open(Node n, const StatementInfo& info) {
    for (int v : n.in)
      if (!listed(made_, v) && !listed(inputs_, v)) inputs_.push_back(v);
    made_.push_back(n.out[0]), info_.push_back(&info);
    list_.push_back(std::move(n));
  }
  void close() {
    if (list_.size() == 1) kept_.push_back(std::move(list_[0]));
    if (list_.size() > 1) kept_.push_back(joined());
    list_.clear(), inputs_.clear(), made_.clear(), info_.clear();
  }
  Node joined() {
    Node n;
    n.way = Way::together, n.info = &together_info;
    n.in = inputs_, n.operands = static_cast<int>(inputs_.size());
    auto t = std::make_shared<Tiles>(g_.value(made_[0]).dtype, n.operands);
    std::vector<int> number = inputs_, results;  // the graph's, of each value of the tiles
    for (std::size_t k = 0; k < list_.size(); ++k) {
      int operand[3];
      for (std::size_t i = 0; i < list_[k].in.size(); ++i) {
        const int v = list_[k].in[i];
        operand[i] = static_cast<int>(std::find(number.begin(), number.end(), v) - number.begin());
        --reads(v);
      }
      if (list_[k].in.empty()) t->fill(list_[k].number[0]);
      else t->apply(*info_[k], operand);
      number.push_back(made_[k]);
    }
    for (std::size_t k = 0; k < made_.size(); ++k)
      if (reads(made_[k]) > 0 || k + 1 == made_.size()) {
        n.out.push_back(made_[k]);
        results.push_back(n.operands + static_cast<int>(k));
      }
    t->settle(results);
    t->nodes = std::move(list_);
    n.together = std::move(t);
    return n;
  }

  Graph& g_;
  std::vector<int> reads_;  // of each value: how often it is read, outputs and states included
  std::vector<Node> kept_, list_;
  std::vector<int> inputs_, made_;  // values that the list reads, and one an operation
  std::vector<const StatementInfo*> info_;
};

}  // namespace detail

/// Gathers the element-wise operations of an expanded graph. Operands broadcast and may have any
/// dtype; casts, reductions, products and functions end a list that they touch. Nodes that pass by
/// run before it.
/// The result runs; it is neither saved nor changed by other passes.
inline Graph tile(Graph g) {
  detail::Tiling(g).run();
  verify(g);
  return g;
}

}  // namespace tenon::graph
