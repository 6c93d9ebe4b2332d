// SPDX-License-Identifier: Apache-2.0
// Which values of a group its backward needs: what the operations name, and what those are computed
// from.
#pragma once
#include <tenon/expr/group.hpp>
#include <tenon/op/op.hpp>

namespace tenon::inline TENON_ISA::detail {

template <class Op>
constexpr std::uint32_t reads_of() {
  if constexpr (requires { Op::differentiable; }) return op::backward_reads<Op>;
  else if constexpr (std::is_same_v<Op, op::Sum> || std::is_same_v<Op, op::Mean> ||
                     std::is_same_v<Op, op::Peak>)
    return 0;
  else return op::Probe::a | op::Probe::b | op::Probe::y;
}

/// Values that a forward kernel may leave for backward: results of exp, tanh and the like.
template <int N>
struct KeptValues {
  int count = 0;
  int node[N] = {};
  std::int8_t place[N] = {};  // by node: its number + 1
};

#if defined(TENON_NO_BACKWARD)
inline constexpr bool has_backward = false;
#else
inline constexpr bool has_backward = true;
#endif

template <class G>
struct Needs {
  static constexpr auto& plan = G::plan;
  static constexpr int first_op = G::leaves + G::scalars;
  struct Nodes {
    bool need[G::nodes] = {};
  };

  /// Bit i: leaf i. With the result at hand (`from_result`) its own value costs nothing.
  static constexpr std::uint32_t leaves(bool from_result) {
    Nodes n = named();
    if (from_result) n.need[G::nodes - 1] = false;
    for (int i = G::nodes - 1; i >= first_op; --i)
      if (n.need[i]) add_operands(n, i);
    std::uint32_t mask = 0;
    for (int i = 0; i < G::leaves; ++i) mask |= n.need[i] ? 1u << i : 0u;
    return mask;
  }
  /// Of element-wise groups: with these at hand backward calls none of what makes them.
  static constexpr KeptValues<G::nodes> kept() {
    KeptValues<G::nodes> k;
    constexpr bool rows = [] {
      for (int i = 0; i < G::leaves; ++i)
        if (plan.row[i]) return true;
      return plan.reductions > 0 || plan.row[G::nodes - 1];
    }();
    if constexpr (has_backward && !plan.cheap && !rows) {
      Nodes n = named();
      for (int i = G::nodes - 1; i >= first_op; --i) {
        if (!n.need[i]) continue;
        if (plan.row[i] || G::traits[i - first_op].cheap) add_operands(n, i);
        else k.node[k.count] = i, k.place[i] = static_cast<std::int8_t>(++k.count);
      }
    }
    return k;
  }

 private:
  static constexpr void add_operands(Nodes& n, int i) {
    for (int s = 0; s < plan.arity[i]; ++s) n.need[plan.operand[i][s]] = true;
  }
  static constexpr Nodes named() {
    Nodes n;
    name(n, std::make_integer_sequence<int, G::nodes - first_op>{});
    return n;
  }
  template <int... K>
  static constexpr void name([[maybe_unused]] Nodes& n, std::integer_sequence<int, K...>) {
    (name_one<expr::OpAt<(G::words[K] & 255)>>(n, first_op + K), ...);
  }
  template <class Op>
  static constexpr void name_one([[maybe_unused]] Nodes& n, int i) {
    if (!plan.grad[i]) return;
    constexpr std::uint32_t r = reads_of<Op>();
    for (int s = 0; s < Op::arity; ++s)
      if (r >> s & 1) n.need[plan.operand[i][s]] = true;
    if (r & op::Probe::y) n.need[i] = true;
  }
};

}  // namespace tenon::inline TENON_ISA::detail
