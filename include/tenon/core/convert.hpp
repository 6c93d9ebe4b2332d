// SPDX-License-Identifier: Apache-2.0
// Conversion of n elements between any two element types.
#pragma once
#include <tenon/core/config.hpp>
#include <tenon/core/dtype.hpp>

#include <cstring>

namespace tenon::inline TENON_ISA {

namespace detail {

/// x rounded to float with sticky last bit ("round to odd"): rounding that to 16 bits gives what
/// rounding x once would give. Source: Boldo, Melquiond, Emulation of FMA and correctly rounded
/// sums, 2008, theorem 3.
TENON_FN constexpr float round_to_odd(double x) {
  float nearest = static_cast<float>(x);
  double size = x < 0 ? -x : x, reached = nearest < 0 ? -static_cast<double>(nearest) : nearest;
  std::uint32_t b = bits_as<std::uint32_t>(nearest);
  b -= reached > size ? 1u : 0u;
  b |= reached != size && x == x ? 1u : 0u;
  return bits_as<float>(b);
}
TENON_FN constexpr float round_to_odd(std::int64_t x) {
  // From 2^53 on, the low 11 bits are far below the precision of float: "not zero" is all that
  // matters of them.
  bool exact = x > -(std::int64_t{1} << 53) && x < std::int64_t{1} << 53;
  std::int64_t folded = x >> 11 | ((x & 2047) != 0 ? 1 : 0);
  return round_to_odd(exact ? static_cast<double>(x) : static_cast<double>(folded) * 2048);
}

template <class T>
TENON_FN constexpr T saturate(double x) {
  constexpr bool has_sign = std::is_signed_v<T>;
  constexpr T most = static_cast<T>((std::uint64_t{1} << (8 * sizeof(T) - (has_sign ? 1 : 0))) - 1);
  constexpr T least = static_cast<T>(has_sign ? -most - 1 : 0);
  constexpr double end = 2 * static_cast<double>(most / 2 + 1);  // most + 1 need not fit into T
  if (!(x == x)) return 0;
  if (x >= end) return most;
  return x <= static_cast<double>(least) ? least : static_cast<T>(x);
}

/// One element. V is double (from the floating types) or std::int64_t (from the others), or float
/// for a pair that has a loop of its own.
template <class T, class V>
TENON_FN constexpr T convert_one(V x) {
  constexpr bool half = std::is_same_v<T, bf16> || std::is_same_v<T, f16>;
  if constexpr (std::is_same_v<T, bool>) {
    return x != 0;
  } else if constexpr (half && (std::is_same_v<V, double> || std::is_same_v<V, std::int64_t>)) {
    return T(round_to_odd(x));
  } else if constexpr (std::is_same_v<V, double> && std::is_integral_v<T>) {
    return saturate<T>(x);
  } else {
    return static_cast<T>(x);
  }
}

// Eight types to eight would be 64 loops. Instead elements pass through double or std::int64_t,
// which hold every value of their sources exactly, so that the result is rounded once. All loops
// have one fixed length, which compilers turn into vector code without a scalar tail, and one
// signature.
inline constexpr int convert_block = 256;
using ConvertBlock = void (*)(const void* source, void* target);

template <class From, class Via, class To>
TENON_INLINE void convert_one_block(const char* s, char* t) {
  // Any byte may stand for a bool.
  using Stored = std::conditional_t<std::is_same_v<From, bool>, std::uint8_t, From>;
  for (int i = 0; i < convert_block; ++i) {
    Stored x;
    std::memcpy(&x, s + static_cast<std::size_t>(i) * sizeof(Stored), sizeof(Stored));
    Via via;
    if constexpr (std::is_same_v<From, bool>) via = static_cast<Via>(x != 0);
    else if constexpr (sizeof(From) == 2) via = static_cast<Via>(static_cast<float>(x));
    else via = static_cast<Via>(x);
    To y = convert_one<To>(via);
    std::memcpy(t + static_cast<std::size_t>(i) * sizeof(To), &y, sizeof(To));
  }
}
// Vector code for every pair would cost every file 0.1 s of compilation.
template <class From, class Via, class To>
TENON_SCALAR_LOOP void convert_block_of(const void* source, void* target) {
  convert_one_block<From, Via, To>(static_cast<const char*>(source), static_cast<char*>(target));
}
// g++ at -O2 makes vector code only of what cannot overlap, and knows that of parameters alone.
template <class From, class To>
void convert_apart(const char* __restrict source, char* __restrict target) {
  convert_one_block<From, float, To>(source, target);
}
template <class From, class To>
void convert_fast(const void* source, void* target) {
  convert_apart<From, To>(static_cast<const char*>(source), static_cast<char*>(target));
}

constexpr bool convert_via_double(Dtype from) { return is_floating(from); }

/// To and from the exact types, by Dtype; null for those themselves.
struct ConvertTable {
  ConvertBlock of[8] = {};
  constexpr ConvertBlock& operator[](Dtype d) { return of[static_cast<int>(d)]; }
  constexpr ConvertBlock operator[](Dtype d) const { return of[static_cast<int>(d)]; }
};
constexpr ConvertTable convert_in_table() {
  ConvertTable t;
  t[Dtype::f32] = convert_block_of<float, double, double>;
  t[Dtype::bf16] = convert_block_of<bf16, double, double>;
  t[Dtype::f16] = convert_block_of<f16, double, double>;
  t[Dtype::i32] = convert_block_of<std::int32_t, std::int64_t, std::int64_t>;
  t[Dtype::u8] = convert_block_of<std::uint8_t, std::int64_t, std::int64_t>;
  t[Dtype::boolean] = convert_block_of<bool, std::int64_t, std::int64_t>;
  return t;
}
template <class Via>
constexpr ConvertTable convert_out_table() {
  ConvertTable t;
  t[Dtype::f32] = convert_block_of<Via, Via, float>;
  t[Dtype::bf16] = convert_block_of<Via, Via, bf16>;
  t[Dtype::f16] = convert_block_of<Via, Via, f16>;
  t[Dtype::i32] = convert_block_of<Via, Via, std::int32_t>;
  t[Dtype::u8] = convert_block_of<Via, Via, std::uint8_t>;
  t[Dtype::boolean] = convert_block_of<Via, Via, bool>;
  if constexpr (std::is_same_v<Via, double>)
    t[Dtype::i64] = convert_block_of<Via, Via, std::int64_t>;
  else t[Dtype::f64] = convert_block_of<Via, Via, double>;
  return t;
}
inline constexpr ConvertTable convert_in = convert_in_table(),
                              convert_out[2] = {convert_out_table<std::int64_t>(),
                                                convert_out_table<double>()};

/// The pairs that training and reading of images use.
inline ConvertBlock convert_direct(Dtype from, Dtype to) {
  if (from == Dtype::f32 && to == Dtype::bf16) return convert_fast<float, bf16>;
  if (from == Dtype::f32 && to == Dtype::f16) return convert_fast<float, f16>;
  if (to != Dtype::f32) return nullptr;
  if (from == Dtype::bf16) return convert_fast<bf16, float>;
  if (from == Dtype::f16) return convert_fast<f16, float>;
  return from == Dtype::u8 ? convert_fast<std::uint8_t, float> : nullptr;
}

template <int Bytes>
void copy_strided(const char* s, Index s_bytes, char* t, Index t_bytes, Index n) {
  for (Index i = 0; i < n; ++i) std::memcpy(t + i * t_bytes, s + i * s_bytes, Bytes);
}
/// n elements of 1, 2, 4 or 8 bytes, bit for bit; strides in bytes.
inline __attribute__((noinline)) void copy_elements(std::size_t size, const char* s, Index s_bytes,
                                                    char* t, Index t_bytes, Index n) {
  Index step = static_cast<Index>(size);
  if (s_bytes == step && t_bytes == step) {
    if (n > 0) std::memcpy(t, s, static_cast<std::size_t>(n) * size);
  } else if (size == 8) {
    copy_strided<8>(s, s_bytes, t, t_bytes, n);
  } else if (size == 4) {
    copy_strided<4>(s, s_bytes, t, t_bytes, n);
  } else if (size == 2) {
    copy_strided<2>(s, s_bytes, t, t_bytes, n);
  } else {
    copy_strided<1>(s, s_bytes, t, t_bytes, n);
  }
}

}  // namespace detail

/// target[i * target_stride] = source[i * source_stride] in the other type, for i = 0 .. n - 1.
/// Strides are in elements and may be 0 or negative; the memory may be unaligned but must not
/// overlap.
/// Rounding is to nearest even, once, whatever the pair. Floating to integer: towards zero; what
/// does not fit becomes the nearest end of the range, NaN becomes 0. Integer to integer: modulo
/// 2^bits, as in C++.
/// To bool: x != 0, so NaN is true. Same type: bit for bit.
inline void convert(Dtype from, const void* source, Index source_stride, Dtype to, void* target,
                    Index target_stride, Index n) {
  const Index s_size = static_cast<Index>(size_of(from)), t_size = static_cast<Index>(size_of(to));
  const Index s_bytes = source_stride * s_size, t_bytes = target_stride * t_size;
  const char* s = static_cast<const char*>(source);
  char* t = static_cast<char*>(target);
  if (from == to) return detail::copy_elements(size_of(from), s, s_bytes, t, t_bytes, n);

  const bool floating = detail::convert_via_double(from);
  detail::ConvertBlock only = detail::convert_direct(from, to);
  const detail::ConvertBlock in = detail::convert_in[from], out = detail::convert_out[floating][to];
  if (only == nullptr && in == nullptr) only = out;
  if (only == nullptr && out == nullptr) only = in;

  constexpr Index block = detail::convert_block;
  alignas(64) char packed[block * 8] = {}, exact[block * 8], result[block * 8];
  for (Index i = 0; i < n; i += block, s += block * s_bytes, t += block * t_bytes) {
    const Index m = n - i < block ? n - i : block;
    const bool s_packed = m == block && source_stride == 1,
               t_packed = m == block && target_stride == 1;
    if (!s_packed) detail::copy_elements(size_of(from), s, s_bytes, packed, s_size, m);
    const void* a = s_packed ? s : packed;
    void* b = t_packed ? t : result;
    if (only != nullptr) {
      only(a, b);
    } else {
      in(a, exact);
      out(exact, b);
    }
    if (!t_packed) detail::copy_elements(size_of(to), result, t_size, t, t_bytes, m);
  }
}

}  // namespace tenon
