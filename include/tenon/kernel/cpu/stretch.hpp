// SPDX-License-Identifier: Apache-2.0
// A row as a loop of whole registers sees it: in stretches. Where operands and results lie one
// element behind the other, one stretch is the whole row but its rest. What must not be read or
// written in place lies aside: operands that are constant along the row, gradients that are summed
// up, the rest of a row that does not fill a register. Nothing behind a row is ever touched.
#pragma once
#include <tenon/kernel/cpu/lanes.hpp>

#include <cstring>

namespace tenon::inline TENON_ISA::kernel::detail {

/// Registers of an operand or gradient that lie aside together.
inline constexpr Index aside_steps = 8;
struct alignas(64) Aside {
  char bytes[aside_steps * TENON_REGISTER_BYTES];
};

// Of rows that do not fit into a second-level cache, operands are asked for some steps ahead: 1 M
// elements of tanh(a * x + b) * sigmoid(c) + d in 0.37 ms instead of 0.48, 64 K no faster (Zen 5).
inline constexpr Index long_row = 512 * 1024, fetched_ahead = 2048;  // bytes

// x, which no compiler puts into a vector register together with others: clang does so with
// addresses that are used alike, and then takes them out again before every load.
TENON_INLINE std::uintptr_t apart(std::uintptr_t x) {
  asm("" : "+r"(x));
  return x;
}

/// A row of operands, `count` of them.
struct Operands {
  const std::uintptr_t* row;  ///< where each begins; a constant one: its copies aside
  Aside* aside;
  int count;
  unsigned constant;  ///< bit i: operand i
  unsigned unread;    ///< bit i: operand i is not read along the row
};
/// Makes operand i, which is constant along a row of n elements, one to be read as the others are.
template <class T>
__attribute__((noinline)) void repeat(Operands& x, int i, T value, Index n) {
  constexpr Index N = scalar::lanes<T>;
  x.constant |= 1u << i;
  for (Index k = 0; k < aside_steps * N && k < n; k += N)
    scalar::Pack<T, N>(value).store(reinterpret_cast<T*>(x.aside + i) + k);
}
/// The stretch that begins at j of a row of n elements: its end, and in `base` the addresses that,
/// j elements on, are those of the operands.
template <class T>
__attribute__((noinline)) Index place_stretch(const Operands& x, std::uintptr_t* base, Index j,
                                              Index n) {
  constexpr Index N = scalar::lanes<T>, size = sizeof(T);
  const bool rest = n - j < N;
  const auto position = static_cast<std::uintptr_t>(j * size);
  for (int i = 0; i < x.count; ++i) {
    base[i] = x.row[i];
    const auto aside = reinterpret_cast<std::uintptr_t>(x.aside + i) - position;
    if (x.constant >> i & 1) base[i] = aside;
    else if (x.unread >> i & 1) continue;
    else if (rest) {
      std::memcpy(x.aside + i, reinterpret_cast<const char*>(x.row[i] + position),
                  static_cast<std::size_t>((n - j) * size));
      base[i] = aside;
    }
  }
  if (rest) return n;
  const Index whole = n & -N, end = j + aside_steps * N;
  return end < whole ? end : whole;
}

/// Gradients `moved` of the stretch that begins at j lie aside: `to` becomes the addresses that,
/// j elements on, are theirs. Where something is added to them they are -0, to which -0 may be
/// added too.
template <class T>
__attribute__((noinline)) void move_gradients(std::uintptr_t* to, Aside* aside, unsigned moved,
                                              unsigned added, Index j) {
  constexpr Index N = scalar::lanes<T>;
  for (; moved; moved &= moved - 1) {
    const int i = __builtin_ctz(moved);
    if (added >> i & 1)
      for (Index k = 0; k < aside_steps; ++k)
        scalar::Pack<T, N>(-T(0)).store(reinterpret_cast<T*>(aside + i) + k * N);
    to[i] =
        reinterpret_cast<std::uintptr_t>(aside + i) - static_cast<std::uintptr_t>(j) * sizeof(T);
  }
}
/// Takes them, elements [j, j + count), to where they belong: into sums, a register each, or
/// `to`; those of `added` are added. What lies behind the row's end counts as nothing.
template <class T>
__attribute__((noinline)) void leave_moved(const Aside* aside, unsigned moved, unsigned summed,
                                           unsigned added, T* sum, const std::uintptr_t* to,
                                           Index j, Index count) {
  constexpr int N = scalar::lanes<T>;
  using V = scalar::Pack<T, N>;
  for (; moved; moved &= moved - 1) {
    const int i = __builtin_ctz(moved);
    const bool sums = summed >> i & 1, adds = sums || (added >> i & 1);
    const T* from = reinterpret_cast<const T*>(aside + i);
    T* target = sums ? sum + i * N : reinterpret_cast<T*>(to[i]) + j;
    Index left = count;
    for (; left >= N; left -= N, from += N, target += sums ? 0 : N) {
      const V g = V::load(from);
      (adds ? g + V::load(target) : g).store(target);
    }
    for (Index k = 0; k < left; ++k) target[k] = adds ? from[k] + target[k] : from[k];
  }
}
/// Gradients `summed` of leaves with one element a row. Bit i of `row`: g[i] is the gradient in
/// every lane, else a sum lane by lane.
template <class T, int N>
__attribute__((noinline)) void leave_row_gradients(const scalar::Pack<T, N>* g, unsigned row,
                                                   unsigned summed, unsigned added,
                                                   const std::uintptr_t* to) {
  for (; summed; summed &= summed - 1) {
    const int i = __builtin_ctz(summed);
    const T x = (row >> i & 1 ? g[i] : sum_lanes(g[i]))[0];
    T* p = reinterpret_cast<T*>(to[i]);
    *p = added >> i & 1 ? *p + x : x;
  }
}

}  // namespace tenon::kernel::detail
