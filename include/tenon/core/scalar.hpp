// SPDX-License-Identifier: Apache-2.0
// The functions that operations are written with, for plain numbers on host and device.
#pragma once
#include <tenon/core/config.hpp>

#include <cmath>
#include <limits>
#include <type_traits>

/// Primitives of every kind of value: operations (op/) call only these, + - * / and comparisons.
/// Each kind (plain numbers here, Pack, Dual, Probe, ...) brings its own set, found by
/// argument-dependent lookup.
namespace tenon::inline TENON_ISA::scalar {

/// float and double.
template <class T>
concept Floating = std::is_floating_point_v<T>;

/// A plain number, bool included.
template <class T>
concept Number = std::is_arithmetic_v<T>;

// Precision of these is the C library's on the host and the CUDA math library's on the device.
template <Floating T>
TENON_FN T exp(T x) {
  return std::exp(x);
}
template <Floating T>
TENON_FN T exp2(T x) {
  return std::exp2(x);
}
template <Floating T>
TENON_FN T expm1(T x) {
  return std::expm1(x);
}
template <Floating T>
TENON_FN T log(T x) {
  return std::log(x);
}
template <Floating T>
TENON_FN T log2(T x) {
  return std::log2(x);
}
template <Floating T>
TENON_FN T log10(T x) {
  return std::log10(x);
}
template <Floating T>
TENON_FN T log1p(T x) {
  return std::log1p(x);
}
template <Floating T>
TENON_FN T sin(T x) {
  return std::sin(x);
}
template <Floating T>
TENON_FN T cos(T x) {
  return std::cos(x);
}
template <Floating T>
TENON_FN T tanh(T x) {
  return std::tanh(x);
}
template <Floating T>
TENON_FN T erf(T x) {
  return std::erf(x);
}
template <Floating T>
TENON_FN T sqrt(T x) {
  return std::sqrt(x);
}
template <Floating T>
TENON_FN T pow(T x, T y) {
  return std::pow(x, y);
}

/// 1 / sqrt(x), two roundings.
template <Floating T>
TENON_FN T rsqrt(T x) {
  return T(1) / std::sqrt(x);
}

/// x^y of integers, modulo 2^bits. A negative y gives what the exact quotient rounds to towards 0;
/// 0 to a negative power gives 0.
template <Number T>
  requires std::is_integral_v<T> TENON_FN T pow(T x, T y) {
    using U = std::make_unsigned_t<T>;
    if (y < 0) return x == 1 ? T(1) : x == T(-1) ? (y % 2 != 0 ? T(-1) : T(1)) : T(0);
    U result = 1, base = static_cast<U>(x);
    for (U n = static_cast<U>(y); n != 0; n >>= 1, base *= base)
      if ((n & 1u) != 0) result *= base;
    return static_cast<T>(result);
  }

/// |x|; of the smallest integer, itself.
template <Number T>
TENON_FN T abs(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::fabs(x);
  else
    return x < 0 ? static_cast<T>(std::make_unsigned_t<T>(0) -
                                  static_cast<std::make_unsigned_t<T>>(x))
                 : x;
}

/// Rounding to an integral value; integers stay what they are.
template <Number T>
TENON_FN T floor(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::floor(x);
  else return x;
}
template <Number T>
TENON_FN T ceil(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::ceil(x);
  else return x;
}
template <Number T>
TENON_FN T trunc(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::trunc(x);
  else return x;
}
/// Halves go to the even neighbour.
template <Number T>
TENON_FN T round(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::rint(x);
  else return x;
}

/// The larger and the smaller; NaN if either is NaN, as NumPy's maximum and minimum.
template <Number T>
TENON_FN constexpr T max(T a, T b) {
  return a > b || a != a ? a : b;
}
template <Number T>
TENON_FN constexpr T min(T a, T b) {
  return a < b || a != a ? a : b;
}

/// c ? a : b, both evaluated.
template <Number T>
TENON_FN constexpr T select(bool c, T a, T b) {
  return c ? a : b;
}
TENON_FN constexpr bool any(bool c) { return c; }
TENON_FN constexpr bool all(bool c) { return c; }

}  // namespace tenon::inline TENON_ISA::scalar
