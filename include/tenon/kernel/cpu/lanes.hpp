// SPDX-License-Identifier: Apache-2.0
// What the kernels of rows do with the lanes of a register.
#pragma once
#include <tenon/core/pack.hpp>
#include <tenon/op/reduction.hpp>

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

}  // namespace tenon::kernel::detail
