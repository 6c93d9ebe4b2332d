// SPDX-License-Identifier: Apache-2.0
// The kernels behind registry/table.hpp. Dear to compile: once in a program, ten operations a file.
#pragma once
#include <tenon/kernel/epilogue.hpp>
#include <tenon/registry/table.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

template <class Op, class T>
const OpInfo* info_for() {
  if constexpr (std::is_floating_point_v<T>) return &op_info<Op, T>;
  else if constexpr (requires { Op::domain; }) {
    if constexpr (Op::domain == op::Domain::any) return &op_info<Op, T>;
    else return nullptr;
  } else if constexpr (std::is_same_v<Op, op::Sum> || std::is_same_v<Op, op::Max> ||
                       std::is_same_v<Op, op::Min>)
    return &op_info<Op, T>;
  else return nullptr;
}
template <int First, class T, int... I>
const OpInfo* pick_elementwise(int i, std::integer_sequence<int, I...>) {
  const OpInfo* const all[] = {info_for<op::At<First + I>, T>()...};
  return all[i];
}
template <class T, int... I>
const OpInfo* pick_reduction(int i, std::integer_sequence<int, I...>) {
  const OpInfo* const all[] = {info_for<expr::OpAt<expr::first_reduction + I>, T>()...};
  return all[i];
}

using expr::word;
template <class Op>
inline constexpr int number_of = [] {
  if constexpr (requires { Op::differentiable; }) return op::number<Op>;
  else return expr::reduction_number<Op>;
}();

// Leaves x and m; 2: x - m, 3: e, 4: sum(e), 5: e / sum(e).
using Softmax =
    expr::Group<2, 0, 2, word(number_of<op::Subtract>, 0, 1), word(number_of<op::Exp>, 2),
                word(number_of<op::Sum>, 3), word(number_of<op::Divide>, 3, 4)>;
// ... 5: log(sum(e)), 6: x - m - that.
using LogSoftmax = expr::Group<2, 0, 2, word(number_of<op::Subtract>, 0, 1),
                               word(number_of<op::Exp>, 2), word(number_of<op::Sum>, 3),
                               word(number_of<op::Log>, 4), word(number_of<op::Subtract>, 2, 5)>;
// Leaf x, scalar epsilon; 2: mean(x), 3: d, 4: d d, 5: mean(d d), 6: + epsilon, 7: rsqrt, 8: d
// times that.
using Normalise =
    expr::Group<1, 1, 0, word(number_of<op::Mean>, 0), word(number_of<op::Subtract>, 0, 2),
                word(number_of<op::Multiply>, 3, 3), word(number_of<op::Mean>, 4),
                word(number_of<op::Add>, 5, 1), word(number_of<op::Rsqrt>, 6),
                word(number_of<op::Multiply>, 3, 7)>;
using Matmul = expr::Group<1, 0, 0>;
using Linear = expr::Group<2, 0, 0, word(number_of<op::Add>, 0, 1)>;

}  // namespace detail

template <int Part, class T>
const OpInfo* elementwise_part(int i) {
  constexpr int first = Part * 10, count = std::min(10, op::Elementwise::size - first);
  return detail::pick_elementwise<first, T>(i, std::make_integer_sequence<int, count>{});
}
template <class T>
const OpInfo* reduction_part(int i) {
  return detail::pick_reduction<T>(i, std::make_integer_sequence<int, expr::Reductions::size>{});
}
template <class T>
const StatementInfo* fused_part(Fused which) {
  using namespace tenon::detail;
  switch (which) {
    case Fused::matmul: return &InfoOf<detail::Matmul, T, kernel::Products>::info;
    case Fused::linear: return &InfoOf<detail::Linear, T, kernel::Products>::info;
    case Fused::softmax: return &InfoOf<detail::Softmax, T>::info;
    case Fused::log_softmax: return &InfoOf<detail::LogSoftmax, T>::info;
    case Fused::normalise: return &InfoOf<detail::Normalise, T>::info;
  }
  return nullptr;
}

}  // namespace tenon::inline TENON_ISA::registry
