// SPDX-License-Identifier: Apache-2.0
// Fold: what is the same number in every run is computed once, and operations that change nothing
// are left out. Every value keeps its bits.
#pragma once
#include <tenon/function/lookup.hpp>
#include <tenon/graph/ir.hpp>
#include <tenon/graph/pass/dead_code.hpp>
#include <tenon/kernel/door.hpp>
#include <tenon/kernel/interpret.hpp>

#include <cmath>
#include <optional>
#include <string_view>

namespace tenon::inline TENON_ISA::graph {

/// The graph for one number of rows: no integer depends on them any more.
inline Graph fixed(Graph g, Index rows) {
  for (Value& v : g.values)
    for (Affine& a : v.extents) a = {a.at(rows), 0};
  for (Node& n : g.nodes)
    for (Affine& a : n.integer) a = {a.at(rows), 0};
  return g;
}

/// The number that a `fill` makes, or an `inverse` that does not follow the rows; in the value's
/// dtype.
inline std::optional<double> constant_of(const Graph& g, const Node& n) {
  if (n.info != &kernel::detail::fill_info && n.info != &kernel::detail::inverse_info) return {};
  double x = 0;
  if (n.info == &kernel::detail::fill_info) x = n.number[0];
  else if (n.integer[1].rate == 0) x = 1 / static_cast<double>(n.integer[1].constant);
  else return {};
  const AnyTensor t = kernel::detail::fill(g.value(n.out[0]).dtype, Extents{}, x).to(Dtype::f64);
  return *static_cast<const double*>(t.raw());
}

namespace detail {

class Folding {
 public:
  explicit Folding(Graph& g) : g_(g), now_(g.values.size()), number_(g.values.size()) {
    for (std::size_t v = 0; v < now_.size(); ++v) now_[v] = static_cast<int>(v);
  }

  void run() {
    for (Node& n : g_.nodes) {
      rename(n.in);
      if (n.way != Way::forward || n.out[1] >= 0) continue;
      visit(n);
      if (auto x = constant_of(g_, n)) number(n.out[0]) = x;
    }
    for (int& v : g_.outputs) {
      std::string& name = g_.value(now(v)).name;
      if (now(v) != v && name.empty()) name = g_.value(v).name;
    }
    rename(g_.outputs), rename(g_.states);
    remove_dead_code(g_);
  }

 private:
  int& now(int v) { return now_[static_cast<std::size_t>(v)]; }
  std::optional<double>& number(int v) { return number_[static_cast<std::size_t>(v)]; }
  void rename(std::vector<int>& list) {
    for (int& v : list)
      if (v >= 0) v = now(v);
  }

  void visit(Node& n) {
    if (n.info == &tenon::detail::to_device_info) {
      now(n.out[0]) = n.in[0];
      return;
    }
    if (n.info == &kernel::detail::reshape_info && number(n.in[0]))
      return become(n, *number(n.in[0]));
    if (!n.group() || n.info->product || n.info->node_count != 1 || n.info->scalars ||
        n.how.total != Total::none || n.info->nodes[0].op->reduction)
      return;
    bool all = true;
    for (int v : n.in) all &= number(v).has_value();
    if (all) return become(n, compute(n));
    if (const int k = passed_on(n); k >= 0) {
      const int v = n.in[static_cast<std::size_t>(k)];
      if (number(v)) become(n, *number(v));
      else now(n.out[0]) = v;
    }
  }
  /// The operand whose value, bit for bit, is the result; -1: none.
  int passed_on(const Node& n) {
    const std::string_view op = n.info->nodes[0].op->name;
    auto is = [&](int k, double x) {
      const auto& c = number(n.in[static_cast<std::size_t>(k)]);
      return c && *c == x && std::signbit(*c) == std::signbit(x);
    };
    int k = -1;
    if (op == "where" && number(n.in[0])) k = *number(n.in[0]) != 0 ? 1 : 2;
    else if (op == "multiply") k = is(1, 1) ? 0 : is(0, 1) ? 1 : -1;
    else if (op == "add") k = is(1, -0.0) ? 0 : is(0, -0.0) ? 1 : -1;  // -0 + 0 is 0
    else if (op == "subtract") k = is(1, 0) ? 0 : -1;
    else if (op == "divide") k = is(1, 1) ? 0 : -1;
    if (k < 0) return k;
    const int v = n.in[static_cast<std::size_t>(k)];
    const Value &from = g_.value(v), &to = g_.value(n.out[0]);
    const bool alike = from.dtype == to.dtype && to.dtype == n.info->compute && !from.generated;
    return alike && (number(v) || from.extents == to.extents) ? k : -1;
  }
  double compute(const Node& n) {
    AnyTensor operand[3], result, kept;
    for (int i = 0; i < n.operands; ++i) {
      const int v = n.in[static_cast<std::size_t>(i)];
      operand[i] = kernel::detail::fill(g_.value(v).dtype, Extents{}, *number(v));
    }
    kernel::compute(*n.info, operand, nullptr, GroupCall{}, g_.value(n.out[0]).dtype, false, result,
                    kept);
    return *static_cast<const double*>(result.to(Dtype::f64).raw());
  }
  void become(Node& n, double x) {
    Node fill;
    fill.info = &kernel::detail::fill_info;
    fill.integer = {{static_cast<Index>(g_.value(n.out[0]).dtype), 0}};
    fill.number = {x}, fill.out = n.out;
    n = std::move(fill);
  }

  Graph& g_;
  std::vector<int> now_;
  std::vector<std::optional<double>> number_;
};

}  // namespace detail

/// Folds an expanded graph: element-wise operations of numbers alone become a `fill`; `where` with
/// a constant condition, x * 1, x / 1, x - 0 and x + -0 become their operand where extents and
/// dtype are the same. (x + 0 stays: it turns -0 into 0.) What nobody reads afterwards is removed.
/// Operations are known by name.
inline void fold(Graph& g) { detail::Folding(g).run(); }

}  // namespace tenon::inline TENON_ISA::graph
