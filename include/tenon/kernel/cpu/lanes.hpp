// SPDX-License-Identifier: Apache-2.0
// What the kernels of rows do with registers: one operation of a group, forward and backward, and
// joins of lanes.
#pragma once
#include <tenon/core/pack.hpp>
#include <tenon/expr/group.hpp>

namespace tenon::inline TENON_ISA::kernel::detail {

/// The lanes of v moved down by K, those that fall out coming in on top.
template <int K, class T, int N>
TENON_INLINE scalar::Pack<T, N> rotate(scalar::Pack<T, N> v) {
  using V = scalar::Pack<T, N>;
#if TENON_REGISTER_BYTES == 64
  if constexpr (sizeof(V) == 64) {  // in a register; elsewhere through memory
    const __m512i x = (__m512i)v.v;
    // Masked by nothing: g++ 12 warns about the undefined operand of the plain form.
    return V((typename V::Vector)_mm512_maskz_alignr_epi32(0xffff, x, x,
                                                           K * static_cast<int>(sizeof(T)) / 4));
  } else
#endif
  {
    T twice[2 * N];
    v.store(twice);
    v.store(twice + N);
    return V::load(twice + K);
  }
}
/// The join of all lanes, in every lane, always in the same order.
template <class R, int K, class T, int N>
TENON_INLINE op::State<scalar::Pack<T, N>> join_lanes(op::State<scalar::Pack<T, N>> s) {
  if constexpr (K == 0) return s;
  else
    return join_lanes<R, K / 2>(
        R::join(s, op::State<scalar::Pack<T, N>>{rotate<K>(s.a), rotate<K>(s.b)}));
}
template <class T, int N>
TENON_INLINE scalar::Pack<T, N> sum_lanes(scalar::Pack<T, N> v) {
  using V = scalar::Pack<T, N>;
  return join_lanes<op::Sum, N / 2>(op::State<V>{v, v}).a;
}

/// Which lanes of a step lie in the row, of which `left` elements are left.
template <class T, int N>
TENON_INLINE auto inside(scalar::Pack<T, N> numbers, Index left) {
  return numbers < scalar::Pack<T, N>(static_cast<T>(left < N ? left : N));
}

template <class Op, class V>
TENON_INLINE void apply(V* v, int i, int a, int b, int c) {
  if constexpr (Op::arity == 1) v[i] = Op::forward(v[a]);
  else if constexpr (Op::arity == 2) v[i] = Op::forward(v[a], v[b]);
  else v[i] = Op::forward(v[a], v[b], v[c]);
  (void)b, (void)c;
}

/// Adds x to an adjoint along the edge e: to d, or to the sums of what is constant along the row,
/// where what lies behind the row's end counts as nothing.
template <class V, class M>
TENON_INLINE void flow(V* d, V* sum, expr::Edge e, int to, V x, M inside) {
  if (e == expr::assign_edge) d[to] = x;
  else if (e == expr::add_edge) d[to] = d[to] + x;
  else if (e == expr::row_edge) sum[to] = sum[to] + select(inside, x, V(0));
}
template <class Op, class V, class M>
TENON_INLINE void adjoint(const V* v, V* d, V* sum, int i, const std::uint8_t* operand,
                          const expr::Edge* e, M inside) {
  if constexpr (Op::arity == 1) {
    flow(d, sum, e[0], operand[0], Op::backward(v[operand[0]], v[i], d[i]), inside);
  } else if constexpr (Op::arity == 2) {
    auto g = Op::backward(v[operand[0]], v[operand[1]], v[i], d[i]);
    flow(d, sum, e[0], operand[0], g.first, inside);
    flow(d, sum, e[1], operand[1], g.second, inside);
  } else {
    auto g = Op::backward(v[operand[0]], v[operand[1]], v[operand[2]], v[i], d[i]);
    flow(d, sum, e[0], operand[0], g.first, inside);
    flow(d, sum, e[1], operand[1], g.second, inside);
    flow(d, sum, e[2], operand[2], g.third, inside);
  }
}

}  // namespace tenon::kernel::detail
