// SPDX-License-Identifier: Apache-2.0
// An element-wise operation alone: what the interpreter runs. The loop over rows, steps and tails
// is compiled once a type; an operation adds a few instructions.
#pragma once
#include <tenon/core/pack.hpp>
#include <tenon/kernel/block.hpp>
#include <tenon/op/op.hpp>

#include <algorithm>
#include <cstring>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {

/// The chunk of Op computing in T.
template <class Op, class T>
void chunk(const void* const* x, void* result, abi::Count n) {
  constexpr int N = scalar::lanes<T>;
  using V = scalar::Pack<T, N>;
  const T *a = static_cast<const T*>(x[0]), *b = static_cast<const T*>(x[Op::arity > 1 ? 1 : 0]),
          *c = static_cast<const T*>(x[Op::arity > 2 ? 2 : 0]);
  T* y = static_cast<T*>(result);
  for (abi::Count i = 0; i < n; i += N) {
    if constexpr (Op::arity == 1) V(Op::forward(V::load(a + i))).store(y + i);
    else if constexpr (Op::arity == 2) V(Op::forward(V::load(a + i), V::load(b + i))).store(y + i);
    else V(Op::forward(V::load(a + i), V::load(b + i), V::load(c + i))).store(y + i);
  }
}

/// A block by chunks. Operands that are constant along the row are copied out once a row; so is the
/// end of a row that does not fill a register, its last element repeated.
template <class T>
TENON_COLD void run_chunks(const abi::Block& b, int arity, abi::Chunk f) {
  constexpr abi::Count N = scalar::lanes<T>, room = 256;
  alignas(64) T copy[3][room], rest[3][N], end[N];
  for (abi::Count r = 0; r < b.rows; ++r) {
    const T* row[3];
    const void* x[3];
    T* y = static_cast<T*>(b.out) + r * b.out_row;
    bool copied = false;
    for (int s = 0; s < arity; ++s) {
      row[s] = static_cast<const T*>(b.leaf[s]) + r * b.leaf_row[s];
      if (!(b.constant >> s & 1)) continue;
      copied = true;
      for (abi::Count k = 0; k < room && k < b.n + N; ++k) copy[s][k] = *row[s];
    }
    const abi::Count whole = b.n / N * N, most = copied ? room : whole;
    for (abi::Count i = 0; i < whole; i += most) {
      for (int s = 0; s < arity; ++s) x[s] = b.constant >> s & 1 ? copy[s] : row[s] + i;
      f(x, y + i, whole - i < most ? whole - i : most);
    }
    if (whole == b.n) continue;
    for (int s = 0; s < arity; ++s) {
      for (abi::Count k = 0; k < N; ++k)
        rest[s][k] = row[s][b.constant >> s & 1 ? 0 : std::min(whole + k, b.n - 1)];
      x[s] = rest[s];
    }
    f(x, end, N);
    std::memcpy(y + whole, end, static_cast<std::size_t>(b.n - whole) * sizeof(T));
  }
}

}  // namespace detail

/// The kernel of Op computing in T.
template <class Op, class T>
void run_single(const abi::Block& b) {
  detail::run_chunks<T>(b, Op::arity, detail::chunk<Op, T>);
}

}  // namespace tenon::kernel
