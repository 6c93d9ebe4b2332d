// SPDX-License-Identifier: Apache-2.0
// A group of operations as a type: what a fused kernel is instantiated on, and what a kernel must
// know of it, all found at compile time.
#pragma once
#include <tenon/op/list.hpp>
#include <tenon/op/reduction.hpp>

#include <array>
#include <utility>

namespace tenon::inline TENON_ISA::expr {

/// A node is one word: operation, then up to three operands (numbers of nodes). Element-wise
/// operations have their number in op::Elementwise, reductions follow from `first_reduction`.
using Word = std::uint32_t;
inline constexpr int first_reduction = 128;
constexpr Word word(int op, int a = 0, int b = 0, int c = 0) {
  return static_cast<Word>(op | a << 8 | b << 16 | c << 24);
}

/// The reductions, by number; append only.
using Reductions =
    op::TypeList<op::Sum, op::Mean, op::Max, op::Min, op::Peak, op::LogSumExp, op::Pick>;

namespace detail {
using ReductionTable =
    op::detail::Table<std::make_integer_sequence<int, Reductions::size>, Reductions>;
template <int Number>
struct OpAt {
  using type = op::At<Number>;
};
template <int Number>
  requires(Number >= first_reduction)
struct OpAt<Number> {
  using type = typename decltype(op::detail::entry_at<Number - first_reduction>(
      static_cast<const ReductionTable*>(nullptr)))::type;
};
}  // namespace detail

/// The number of a reduction, and the operation that has a number.
template <class R>
inline constexpr int reduction_number =
    first_reduction +
    decltype(op::detail::number_of<R>(static_cast<const detail::ReductionTable*>(nullptr)))::value;
template <int Number>
using OpAt = typename detail::OpAt<Number>::type;

/// What differs between operations as far as a plan is concerned.
struct OpTraits {
  int arity;
  bool differentiable, cheap;
};
template <class Op>
constexpr OpTraits op_traits() {
  if constexpr (requires { Op::differentiable; }) return {Op::arity, Op::differentiable, Op::cheap};
  else return {Op::arity, !std::is_same_v<Op, op::Peak>, !std::is_same_v<Op, op::LogSumExp>};
}

/// Where an adjoint goes: nowhere, as the first or a further contribution to a node of the same
/// pass, or into the sum kept for a value that is constant along the row.
enum Edge : std::uint8_t { no_edge, assign_edge, add_edge, row_edge };

inline constexpr int max_passes = 6;

/// Nodes 0 .. leaves - 1 are tensors, then come scalars, then operations, operands before users;
/// the last one is the root. `row`: constant along a row. `depth`: nested reductions below. Pass p
/// of a kernel walks along the row and computes the operands of the reductions of depth p + 1; the
/// last pass the root.
template <int N>
struct Plan {
  int leaves = 0, scalars = 0, depth_max = 0, reductions = 0;
  std::uint8_t op[N] = {}, arity[N] = {}, operand[N][3] = {};
  std::uint8_t depth[N] = {}, reduction[N] = {};  // reduction: its number + 1, or 0
  bool row[N] = {}, grad[N] = {}, cheap = true;
  std::uint8_t forward[N] = {};          // bit p: computed in pass p
  std::uint8_t backward[N] = {};         // bit p: its adjoint is propagated in pass p
  Edge edge[max_passes + 1][N][3] = {};  // by pass; for reductions, the pass that they seed
  std::uint8_t first_pass[N] = {};       // the pass in which backward meets a leaf first

  constexpr int root() const { return N - 1; }
  constexpr bool receives(int pass, int node) const {
    for (int i = 0; i < N; ++i)
      for (int k = 0; k < 3; ++k)
        if (edge[pass][i][k] == row_edge && operand[i][k] == node) return true;
    return false;
  }

  /// Leaves whose gradient is that of the result as it is: read once, and by sums and differences
  /// alone on the way up. A bit a leaf; 0 with reductions.
  constexpr unsigned passed() const {
    if (reductions || row[N - 1]) return 0;
    int uses[N] = {};
    for (int i = leaves + scalars; i < N; ++i)
      for (int s = 0; s < arity[i]; ++s) ++uses[operand[i][s]];
    bool pass[N] = {};
    pass[N - 1] = true;
    for (int i = N - 1; i >= leaves + scalars; --i) {
      const bool sum = op[i] == op::number<op::Add>;
      if (!pass[i] || !(sum || op[i] == op::number<op::Subtract>)) continue;
      for (int s = 0; s < (sum ? 2 : 1); ++s) pass[operand[i][s]] = uses[operand[i][s]] == 1;
    }
    unsigned mask = 0;
    for (int i = 0; i < leaves; ++i) mask |= pass[i] ? 1u << i : 0u;
    return mask;
  }

  constexpr void need(int p, int i,
                      bool adjoint) {  // marks i and what it is computed from along the row
    bool todo[N] = {};
    todo[i] = !row[i];
    for (int k = i; k >= 0; --k) {
      if (!todo[k] || (adjoint && !grad[k])) continue;
      (adjoint ? backward : forward)[k] |= static_cast<std::uint8_t>(1 << p);
      for (int s = 0; s < arity[k]; ++s)
        if (!row[operand[k][s]]) todo[operand[k][s]] = true;
    }
  }
  constexpr void connect(int p, int i, bool* seen) {  // the edges that leave node i in pass p
    int slots = reduction[i] ? 1 : arity[i];
    for (int s = 0; s < slots; ++s) {
      int to = operand[i][s];
      if (!grad[to]) continue;
      edge[p][i][s] = row[to] ? row_edge : seen[to] ? add_edge : assign_edge;
      if (!row[to]) seen[to] = true;
    }
  }
};

template <int N, int Leaves, int Scalars, unsigned RowLeaves>
constexpr Plan<N> make_plan(const Word* words, const OpTraits* traits) {
  Plan<N> p;
  p.leaves = Leaves, p.scalars = Scalars;
  for (int i = 0; i < Leaves; ++i) p.grad[i] = true, p.row[i] = RowLeaves >> i & 1;
  for (int i = Leaves; i < Leaves + Scalars; ++i) p.row[i] = true;
  for (int i = Leaves + Scalars; i < N; ++i) {
    Word w = words[i - Leaves - Scalars];
    const OpTraits& t = traits[i - Leaves - Scalars];
    p.op[i] = static_cast<std::uint8_t>(w & 255);
    p.arity[i] = static_cast<std::uint8_t>(t.arity);
    p.row[i] = true;
    p.cheap = p.cheap && t.cheap;
    for (int s = 0; s < t.arity; ++s) {
      int o = p.operand[i][s] = static_cast<std::uint8_t>(w >> (8 * (s + 1)) & 255);
      p.row[i] = p.row[i] && p.row[o];
      if (p.depth[o] > p.depth[i]) p.depth[i] = p.depth[o];
      p.grad[i] = p.grad[i] || (t.differentiable && p.grad[o]);
    }
    if (p.op[i] >= first_reduction) {
      p.reduction[i] = static_cast<std::uint8_t>(++p.reductions);
      p.row[i] = true;
      ++p.depth[i];
    }
    if (p.depth[i] > p.depth_max) p.depth_max = p.depth[i];
  }
  for (int pass = p.depth_max; pass >= 0; --pass) {
    bool seen[N] = {};
    if (pass == p.depth_max && !p.row[N - 1]) {
      p.need(pass, N - 1, false), p.need(pass, N - 1, true);
      seen[N - 1] = true;
    }
    for (int i = 0; i < N; ++i)
      if (p.reduction[i] && p.depth[i] == pass + 1) {
        p.need(pass, p.operand[i][0], false);
        if (p.grad[i]) p.need(pass, p.operand[i][0], true), p.connect(pass, i, seen);
      }
    for (int i = N - 1; i >= 0; --i)
      if (p.backward[i] >> pass & 1) {
        if (i >= Leaves + Scalars) p.connect(pass, i, seen);
        else if ((p.backward[i] >> pass) == 1) p.first_pass[i] = static_cast<std::uint8_t>(pass);
      }
  }
  return p;
}

/// The key of a kernel. RowLeaves: bit i is set when leaf i has one value a row.
template <int Leaves, int Scalars, unsigned RowLeaves, Word... Words>
struct Group {
  static constexpr int leaves = Leaves, scalars = Scalars;
  static constexpr int nodes = Leaves + Scalars + static_cast<int>(sizeof...(Words));
  static constexpr Word words[sizeof...(Words) + 1] = {Words..., 0};
  static constexpr OpTraits traits[sizeof...(Words) + 1] = {op_traits<OpAt<(Words & 255)>>()...,
                                                            {}};
  static constexpr Plan<nodes> plan = make_plan<nodes, Leaves, Scalars, RowLeaves>(words, traits);
  template <int I>
  using Op = OpAt<plan.op[I]>;
};

namespace detail {
template <int N>
struct Selected {
  int count = 0;
  int node[N + 1] = {};
};
template <auto& Chosen, std::size_t... I>
constexpr auto sequence(std::index_sequence<I...>) {
  return std::integer_sequence<int, Chosen.node[I]...>{};
}
}  // namespace detail

/// Which nodes a loop of a kernel visits.
enum class Visit {
  forward_leaves,
  forward_ops,
  row_ops,
  row_ops_down,
  reductions,
  backward_ops,
  backward_leaves,
  row_targets  // nodes constant along the row that a pass of backward adds to
};

template <class G, Visit What, int Pass>
struct Visited {
  static constexpr auto chosen = [] {
    constexpr auto& p = G::plan;
    constexpr int first_op = G::leaves + G::scalars;
    detail::Selected<G::nodes> s;
    auto take = [&s](bool yes, int i) {
      if (yes) s.node[s.count++] = i;
    };
    constexpr bool down = What == Visit::backward_ops || What == Visit::row_ops_down;
    for (int k = 0; k < G::nodes; ++k) {
      int i = down ? G::nodes - 1 - k : k;
      bool is_op = i >= first_op, leaf = i < G::leaves;
      bool f = p.forward[i] >> Pass & 1, b = p.backward[i] >> Pass & 1;
      if (What == Visit::forward_leaves) take(leaf && f, i);
      if (What == Visit::forward_ops) take(is_op && f, i);
      if (What == Visit::row_ops || What == Visit::row_ops_down)
        take(is_op && p.row[i] && !p.reduction[i] && p.depth[i] == Pass, i);
      if (What == Visit::reductions) take(p.reduction[i] && p.depth[i] == Pass + 1, i);
      if (What == Visit::backward_ops) take(is_op && b, i);
      if (What == Visit::backward_leaves) take(leaf && b, i);
      if (What == Visit::row_targets) take(p.receives(Pass, i), i);
    }
    return s;
  }();
  using type = decltype(detail::sequence<chosen>(std::make_index_sequence<chosen.count>{}));
};
template <class G, Visit What, int Pass>
using Nodes = typename Visited<G, What, Pass>::type;

}  // namespace tenon::expr
