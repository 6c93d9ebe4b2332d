// SPDX-License-Identifier: Apache-2.0
// The placeholders inside `fuse`: one type, whose operators write nodes into a list at compile
// time.
#pragma once
#include <tenon/expr/decide.hpp>

namespace tenon::inline TENON_ISA::expr {

/// Why a fused function is not one group, or which rule it breaks; read back at compile time.
enum class Fault : std::uint8_t {
  none,
  broadcast,  // axis, left, right
  axis,       // axis, left = rank
  cut,        // reductions over different axes or rows
  rank,       // left, right
  extents,    // axis, left, right: must be equal, broadcasting does not help
  size        // too many nodes
};

/// A dyn extent inside `fuse` has a name, so that equal ones are known to be equal: argument and
/// axis.
constexpr Index dyn_name(int argument, int axis) { return -2 - (argument * max_rank + axis); }
constexpr bool is_dyn(Index e) { return e < 0; }

/// Two named extents, or one and a number, that must agree when the function is called.
struct Agree {
  Index left = 0, right = 0;
  std::uint8_t op = 0, axis = 0;
};

/// The list that a fused function writes when it runs on Symbols.
struct Graph {
  static constexpr int limit = 120;
  int nodes = 0, literals = 0, agreements = 0;
  int op[limit] = {}, operand[limit][3] = {};  // op: -1 argument, -2 literal, -3 scalar argument
  int argument[limit] = {};                    // of arguments: which; of literals: which
  bool row[limit] = {}, dropped[limit] = {}, kept[limit] = {};
  Extents extents[limit] = {};
  double literal[limit] = {};
  Agree agree[limit] = {};
  std::uint8_t axes = 0;
  Extents rows;
  std::uint8_t total = 0;
  int total_node = -1;
  Fault fault = Fault::none;
  int fault_op = 0, fault_axis = 0;
  Index fault_left = 0, fault_right = 0;

  constexpr int fail(Fault f, int op_number, int axis = 0, Index left = 0, Index right = 0) {
    if (fault == Fault::none)
      fault = f, fault_op = op_number, fault_axis = axis, fault_left = left, fault_right = right;
    return 0;
  }
  /// The node with these operands: an equal one that exists already, or a new one.
  constexpr int add(int code, int a, int b, int c, const Extents& e, bool is_row, bool is_dropped) {
    for (int i = 0; i < nodes; ++i)
      if (op[i] == code && operand[i][0] == a && operand[i][1] == b && operand[i][2] == c &&
          dropped[i] == is_dropped && row[i] == is_row && extents[i] == e)
        return i;
    if (nodes == limit) return fail(Fault::size, code);
    op[nodes] = code, operand[nodes][0] = a, operand[nodes][1] = b, operand[nodes][2] = c;
    row[nodes] = is_row, dropped[nodes] = is_dropped, extents[nodes] = e;
    return nodes++;
  }
  constexpr int add_literal(double x) {
    int k = 0;
    while (k < literals &&
           __builtin_bit_cast(std::uint64_t, literal[k]) != __builtin_bit_cast(std::uint64_t, x))
      ++k;
    if (k == literals) literal[literals++] = x;
    return add(-2, k, 0, 0, Extents{}, true, false);
  }
  constexpr Index same(int code, int axis, Index a, Index b, Fault fault_kind = Fault::broadcast) {
    if (a == b) return a;
    if (!is_dyn(a) && !is_dyn(b)) {
      fail(fault_kind, code, axis, a, b);
      return a;
    }
    int k = 0;
    while (k < agreements && (agree[k].left != a || agree[k].right != b)) ++k;
    if (k == limit) fail(Fault::size, code);
    else if (k == agreements)
      agree[agreements++] = {a, b, static_cast<std::uint8_t>(code),
                             static_cast<std::uint8_t>(axis)};
    return is_dyn(a) ? b : a;
  }
  /// Whether what is computed along whole rows of extents e has the rows of the reductions: extents
  /// that are known at run time must turn out equal.
  constexpr bool along_rows(int code, const Extents& e) {
    int r = 0;
    for (int i = 0; i < e.rank; ++i) {
      if (!(axes >> (e.rank - 1 - i) & 1)) continue;
      const Index row_extent = rows.extent[r++], extent = e.extent[i];
      if (row_extent == extent) continue;
      if ((!is_dyn(row_extent) && !is_dyn(extent)) || row_extent == 1 || extent == 1) return false;
      same(code, i, row_extent, extent);
    }
    return true;
  }
  constexpr Extents broadcast_all(int code, const int* o, int n) {
    Extents e = extents[o[0]];
    for (int k = 1; k < n; ++k) {
      const Extents a = e, b = extents[o[k]];
      e.rank = a.rank > b.rank ? a.rank : b.rank;
      for (int i = 0; i < e.rank; ++i) {
        const int ia = i - (e.rank - a.rank), ib = i - (e.rank - b.rank);
        const Index ea = ia < 0 ? 1 : a.extent[ia], eb = ib < 0 ? 1 : b.extent[ib];
        e.extent[i] = ea == 1 ? eb : eb == 1 ? ea : same(code, i, ea, eb);
      }
    }
    return e;
  }
  /// Whether node i depends on a reduction.
  constexpr bool reduces(int i) const {
    if (op[i] < 0) return false;
    if (op[i] >= first_reduction) return true;
    for (int s = 0; s < 3; ++s)
      if (operand[i][s] >= 0 && reduces(operand[i][s])) return true;
    return false;
  }
  /// A copy of what node i is computed from in which the leaves have one value a row.
  constexpr int as_row(int i, bool is_dropped) {
    if (op[i] == -2 || op[i] == -3 || row[i]) return i;
    int o[3] = {operand[i][0], operand[i][1], operand[i][2]};
    if (op[i] >= 0)
      for (int s = 0; s < 3; ++s)
        if (o[s] >= 0) o[s] = as_row(o[s], is_dropped);
    return add(op[i], o[0], o[1], o[2], extents[i], true, is_dropped);
  }
  constexpr bool flat(const Extents& e) const {  // extent 1 at all reduced axes
    for (int k = 0; k < max_rank; ++k)
      if ((axes >> k & 1) && k < e.rank && e.extent[e.rank - 1 - k] != 1) return false;
    return true;
  }

  constexpr int map(int code, int n, int a, int b = -1, int c = -1) {
    int o[3] = {a, b, c};
    if (total) return fail(Fault::cut, code);
    bool any_dropped = false, any_kept = false, any_full = false;
    for (int k = 0; k < n; ++k) {
      const bool reduced = row[o[k]] && op[o[k]] > -2 && reduces(o[k]);
      any_dropped |= reduced && dropped[o[k]];
      any_kept |= reduced && !dropped[o[k]];
      any_full |= !row[o[k]] && reduces(o[k]);
    }
    if (any_dropped && (any_kept || any_full)) return fail(Fault::cut, code);
    const Extents e = broadcast_all(code, o, n);
    if (any_dropped || (any_kept && flat(e)))
      for (int k = 0; k < n; ++k) o[k] = as_row(o[k], any_dropped);
    bool is_row = true, is_dropped = false;
    for (int k = 0; k < n; ++k) is_row = is_row && row[o[k]], is_dropped |= dropped[o[k]];
    if (!is_row && (any_kept || any_full) && !along_rows(code, e)) return fail(Fault::cut, code);
    return add(code, o[0], o[1], o[2], e, is_row, is_row && is_dropped);
  }
  constexpr int reduce(int code, int x, std::uint8_t from_end, bool keep, int extra = -1) {
    const Extents e = extents[x];
    if (total || row[x]) return fail(Fault::cut, code);
    Extents r, reduced;
    for (int i = 0; i < e.rank; ++i) {
      const bool gone = from_end >> (e.rank - 1 - i) & 1;
      if (gone) r.extent[r.rank++] = e.extent[i];
      if (!gone || keep) reduced.extent[reduced.rank++] = gone ? 1 : e.extent[i];
    }
    if (axes && (axes != from_end || !along_rows(code, e))) return fail(Fault::cut, code);
    if (!axes) axes = from_end, rows = r;
    if (extra >= 0) extra = as_row(extra, !keep);
    return add(code, x, extra, -1, reduced, true, !keep);
  }
};

/// A tensor inside `fuse`. Its operators and the functions of the library append to the graph.
class Symbol {
 public:
  using element = float;  // stands for the group's compute type
  constexpr Symbol(Graph* graph, int node) : graph_(graph), node_(node) {}
  constexpr Graph& graph() const { return *graph_; }
  constexpr int node() const { return node_; }
  constexpr int rank() const { return graph_->extents[node_].rank; }

 private:
  Graph* graph_;
  int node_;
};

template <class X>
constexpr Graph* graph_of(const X& x) {
  if constexpr (std::is_same_v<X, Symbol>) return &x.graph();
  else return nullptr;
}
template <class X>
constexpr int node_of(Graph& g, const X& x) {
  if constexpr (std::is_same_v<X, Symbol>) {
    return x.node();
  } else {
    static_assert(std::is_arithmetic_v<X>,
                  "tenon: inside fuse a tensor must be an argument of the function");
    return g.add_literal(static_cast<double>(x));
  }
}

/// R over axes of x (all without axes). Everything summed or averaged leaves a total of all rows.
template <class R, bool Keep, int... Axes>
constexpr Symbol reduce_symbol(Symbol x) {
  Graph& g = x.graph();
  const int rank = x.rank(), number = reduction_number<R>;
  constexpr int axes[] = {Axes..., 0};
  constexpr int count = static_cast<int>(sizeof...(Axes));
  int mask = count ? 0 : (1 << rank) - 1;
  for (int k = 0; k < count; ++k) {
    const int a = axes[k] < 0 ? axes[k] + rank : axes[k];
    if (a < 0 || a >= rank) return Symbol(&g, g.fail(Fault::axis, number, axes[k], rank));
    mask |= 1 << (rank - 1 - a);
  }
  constexpr bool sum = std::is_same_v<R, op::Sum>, mean = std::is_same_v<R, op::Mean>;
  const bool all = mask == (1 << rank) - 1;
  int node = x.node();
  if (rank == 0) return x;
  if ((sum || mean) && all && !Keep) {
    const bool rows = g.row[node];
    if (!rows) node = g.reduce(reduction_number<op::Sum>, node, 1, false);
    if (g.fault == Fault::none) {
      g.total = sum ? 1 : rows ? 2 : 3;
      g.extents[node] = Extents{};
      g.total_node = node;
    }
    return Symbol(&g, node);
  }
  const auto from_end = static_cast<std::uint8_t>(mask);
  int extra = -1;
  if constexpr (std::is_same_v<R, op::LogSumExp>)
    extra = g.reduce(reduction_number<op::Peak>, node, from_end, Keep);
  return Symbol(&g, g.reduce(number, node, from_end, Keep, extra));
}

template <class Op, class... Xs>
constexpr Symbol map_symbols(const Xs&... x) {
  Graph* g = nullptr;
  ((g = g ? g : graph_of(x)), ...);
  return Symbol(g, g->map(op::number<Op>, static_cast<int>(sizeof...(Xs)), node_of(*g, x)...));
}

}  // namespace tenon::expr
