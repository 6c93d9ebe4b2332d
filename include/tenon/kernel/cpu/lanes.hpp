// SPDX-License-Identifier: Apache-2.0
// What the kernels of rows do with the lanes of a register: join them, leave gradients, and the end
// of a row that fills only some of them.
#pragma once
#include <tenon/core/pack.hpp>
#include <tenon/expr/group.hpp>
#include <tenon/kernel/block.hpp>

#include <cstring>

namespace tenon::inline TENON_ISA::kernel::detail {

// Of rows that do not fit into a second-level cache, operands are asked for some steps ahead: 1 M
// elements of tanh(a * x + b) * sigmoid(c) + d in 0.37 ms instead of 0.48, 64 K no faster (Zen 5).
inline constexpr Index long_row = 512 * 1024, fetched_ahead = 2048;  // bytes
inline constexpr unsigned far_row = 1u << 31;
constexpr unsigned far(Index bytes) { return bytes >= long_row ? far_row : 0; }

// x, which no compiler puts into a vector register together with others: clang does so with
// addresses that are changed alike, and then takes them out again before every load.
TENON_INLINE std::uintptr_t apart(std::uintptr_t x) {
  asm("" : "+r"(x));
  return x;
}

// The rest of a row that is shorter than a register moves to `copies`, so nothing behind a row is
// ever touched: base[i] becomes the address that, `position` bytes on, is that of operand i there.
inline __attribute__((noinline)) void load_rest(char (*copies)[TENON_REGISTER_BYTES],
                                                std::uintptr_t* base, int count, unsigned constant,
                                                std::uintptr_t position, std::size_t bytes) {
  for (int i = 0; i < count; ++i) {
    if (constant >> i & 1) continue;
    std::memcpy(copies[i], reinterpret_cast<const char*>(base[i] + position), bytes);
    base[i] = reinterpret_cast<std::uintptr_t>(copies[i]) - position;
  }
}

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

/// What becomes of the gradient of a leaf along a row. That of a constant one is summed up.
enum class Kind : int { summed, written, added };

/// fresh: no pass before this one left a part of the gradient.
template <class T, int N>
TENON_INLINE void leave_gradient(scalar::Pack<T, N> g, scalar::Pack<T, N>& sum, T* to, Kind kind,
                                 bool fresh, scalar::Pack<T, N> numbers, Index j, Index left) {
  using V = scalar::Pack<T, N>;
  if (kind == Kind::summed) {
    sum = sum + (left < N ? select(inside<T>(numbers, left), g, V(0)) : g);
  } else if (left >= N) [[likely]] {
    if (!fresh || kind == Kind::added) g = g + V::load(to + j);
    g.store(to + j);
  } else {
    const int count = static_cast<int>(left);
    if (!fresh || kind == Kind::added) g = g + V::load_partial(to + j, count);
    g.store_partial(to + j, count);
  }
}
template <class T, int N>
__attribute__((noinline)) void leave_gradients(const scalar::Pack<T, N>* g,
                                               const std::uint8_t* leaf, const std::uint8_t* fresh,
                                               int count, scalar::Pack<T, N>* sum, T* const* to,
                                               const Kind* kind, const scalar::Pack<T, N>* numbers,
                                               Index j, Index left) {
  for (int k = 0; k < count; ++k)
    leave_gradient(g[k], sum[leaf[k]], to[leaf[k]], kind[leaf[k]], fresh[k] != 0, *numbers, j,
                   left);
}
/// The gradient of a leaf with one value a row, or constant along it.
template <class T, int N>
TENON_INLINE void leave_row_gradient(scalar::Pack<T, N> g, T* to, bool mine, std::uint8_t mode) {
  if (!mine || mode == abi::gradient_none) return;
  *to = mode == abi::gradient_add ? *to + g[0] : g[0];
}
/// whole: bit i: g[i] is the gradient in every lane, else a sum lane by lane.
template <class T, int N>
__attribute__((noinline)) void leave_row_gradients(const scalar::Pack<T, N>* g, unsigned whole,
                                                   T* const* to, const Kind* kind,
                                                   const std::uint8_t* mode, int count) {
  for (int i = 0; i < count; ++i) {
    const bool row = whole >> i & 1;
    if (row || kind[i] == Kind::summed)
      leave_row_gradient(row ? g[i] : sum_lanes(g[i]), to[i], true, mode[i]);
  }
}

}  // namespace tenon::kernel::detail
