// SPDX-License-Identifier: Apache-2.0
// Element types: their numbers, names and sizes, and the two 16-bit storage types bf16 and f16.
#pragma once
#include <tenon/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace tenon::inline TENON_ISA {

namespace detail {
/// std::bit_cast, which nvcc does not call from device code.
template <class To, class From>
TENON_FN constexpr To bits_as(From x) {
  return __builtin_bit_cast(To, x);
}
}  // namespace detail

/// Element types. The numbers are written into files: new ones are added at the end.
enum class Dtype : std::uint8_t {
  f32 = 0,
  f64 = 1,
  i64 = 2,
  i32 = 3,
  u8 = 4,
  boolean = 5,
  bf16 = 6,
  f16 = 7
};
/// How many there are: a number from a file is a Dtype if it is smaller.
inline constexpr int dtype_count = 8;

/// The upper half of a float: 8 bits of exponent, 8 of precision. A storage type: arithmetic is
/// done in float.
/// From float: round to nearest even; NaN stays NaN, made quiet. To float: exact.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  TENON_FN explicit constexpr bf16(float x) : bits(encode(detail::bits_as<std::uint32_t>(x))) {}
  TENON_FN explicit constexpr operator float() const {
    return detail::bits_as<float>(std::uint32_t{bits} << 16);
  }
  TENON_FN static constexpr bf16 from_bits(std::uint16_t b) {
    bf16 x{};
    x.bits = b;
    return x;
  }

 private:
  TENON_FN static constexpr std::uint16_t encode(std::uint32_t x) {
    std::uint32_t rounded = (x + 0x7fffu + (x >> 16 & 1u)) >> 16, quiet = x >> 16 | 0x40u;
    return static_cast<std::uint16_t>((x & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
  }
};

/// IEEE 754 binary16: 5 bits of exponent, 11 of precision, to 65,504. A storage type, as bf16.
/// From float: round to nearest even, denormals included; NaN stays NaN, made quiet. To float:
/// exact.
/// Source: IEEE Std 754-2019, 3.4 and 4.3.1.
struct f16 {
  std::uint16_t bits;

  f16() = default;
  TENON_FN explicit constexpr f16(float x) : bits(encode(detail::bits_as<std::uint32_t>(x))) {}
  TENON_FN explicit constexpr operator float() const { return decode(bits); }
  TENON_FN static constexpr f16 from_bits(std::uint16_t b) {
    f16 x{};
    x.bits = b;
    return x;
  }

 private:
  // Between the two exponents, in the place where float has its own.
  static constexpr std::uint32_t rebias = (127u - 15u) << 23;

  TENON_FN static constexpr std::uint16_t encode(std::uint32_t x) {
    std::uint32_t sign = x >> 16 & 0x8000u, a = x & 0x7fffffffu;
    // Below 2^-14 the unit is 2^-24 throughout, which is the unit of floats in [0.5, 1): the
    // addition rounds.
    std::uint32_t small =
        detail::bits_as<std::uint32_t>(detail::bits_as<float>(a) + 0.5f) - 0x3f000000u;
    std::uint32_t normal = (a - rebias + 0xfffu + (a >> 13 & 1u)) >> 13;
    std::uint32_t y = a < 0x38800000u ? small : normal;
    y = a >= 0x477ff000u ? 0x7c00u : y;
    y = a > 0x7f800000u ? 0x7e00u | (a >> 13 & 0x3ffu) : y;
    return static_cast<std::uint16_t>(sign | y);
  }
  TENON_FN static constexpr float decode(std::uint32_t h) {
    std::uint32_t sign = (h & 0x8000u) << 16, a = (h & 0x7fffu) << 13;
    constexpr std::uint32_t least = rebias + 0x800000u;  // 2^-14, the least normal number
    std::uint32_t small = detail::bits_as<std::uint32_t>(detail::bits_as<float>(a + least) -
                                                         detail::bits_as<float>(least));
    std::uint32_t y = a < 0x800000u ? small : a + rebias;
    y = a >= 0xf800000u ? a + 2 * rebias : y;
    y = a > 0xf800000u ? y | 0x400000u : y;
    return detail::bits_as<float>(sign | y);
  }
};

static_assert(sizeof(bf16) == 2 && std::is_trivial_v<bf16> && std::is_trivially_copyable_v<bf16>);
static_assert(sizeof(f16) == 2 && std::is_trivial_v<f16> && std::is_trivially_copyable_v<f16>);

/// A type as a value, for functions that are called once for each of several types.
template <class T>
struct Type {
  using type = T;
};

namespace detail {
template <class T>
constexpr int find_dtype() {
  if (std::is_same_v<T, float>) return 0;
  if (std::is_same_v<T, double>) return 1;
  if (std::is_same_v<T, long> || std::is_same_v<T, long long> || std::is_same_v<T, std::int64_t>)
    return sizeof(T) == 8 ? 2 : 3;
  if (std::is_same_v<T, std::int32_t>) return 3;
  if (std::is_same_v<T, std::uint8_t>) return 4;
  if (std::is_same_v<T, bool>) return 5;
  if (std::is_same_v<T, bf16>) return 6;
  if (std::is_same_v<T, f16>) return 7;
  return -1;
}
template <Dtype D, class T>
struct Compute {
  using type = T;
};
template <class T>
struct Compute<Dtype::bf16, T> {
  using type = float;
};
template <class T>
struct Compute<Dtype::f16, T> {
  using type = float;
};
template <class T>
struct Compute<Dtype::u8, T> {
  using type = std::int32_t;
};
template <class T>
struct Compute<Dtype::boolean, T> {
  using type = std::int32_t;
};
}  // namespace detail

/// A type that a tensor can hold: without const, without reference.
template <class T>
concept Element = detail::find_dtype<T>()
>= 0;

/// The number of an element type. `long` and `long long` are both i64 where they have 64 bits.
template <Element T>
inline constexpr Dtype dtype_of = static_cast<Dtype>(detail::find_dtype<T>());

namespace detail {
constexpr std::uint64_t size_at(Dtype d, std::uint64_t bytes) {
  return bytes << 8 * static_cast<int>(d);
}
inline constexpr std::uint64_t sizes = size_at(Dtype::f64, 8) | size_at(Dtype::i64, 8) |
                                       size_at(Dtype::f32, 4) | size_at(Dtype::i32, 4) |
                                       size_at(Dtype::bf16, 2) | size_at(Dtype::f16, 2) |
                                       size_at(Dtype::u8, 1) | size_at(Dtype::boolean, 1);
}  // namespace detail

/// Bytes of one element.
TENON_FN constexpr std::size_t size_of(Dtype d) {
  return detail::sizes >> 8 * static_cast<int>(d) & 255;
}

/// The name used in messages, files and attributes: "f32", ..., "bool".
constexpr const char* name_of(Dtype d) {
  switch (d) {
    case Dtype::f32: return "f32";
    case Dtype::f64: return "f64";
    case Dtype::i64: return "i64";
    case Dtype::i32: return "i32";
    case Dtype::u8: return "u8";
    case Dtype::boolean: return "bool";
    case Dtype::bf16: return "bf16";
    case Dtype::f16: return "f16";
  }
  return "unknown dtype";
}

/// f32, f64, bf16, f16: the types that have gradients.
TENON_FN constexpr bool is_floating(Dtype d) {
  return d == Dtype::f32 || d == Dtype::f64 || d == Dtype::bf16 || d == Dtype::f16;
}

/// The type in which arithmetic on T is done: float for bf16 and f16, std::int32_t for u8 and bool,
/// else T.
template <Element T>
using compute_t = typename detail::Compute<dtype_of<T>, T>::type;

/// The same for a number.
TENON_FN constexpr Dtype compute_dtype(Dtype d) {
  if (d == Dtype::bf16 || d == Dtype::f16) return Dtype::f32;
  return d == Dtype::u8 || d == Dtype::boolean ? Dtype::i32 : d;
}

/// f(Type<T>{}) for the T whose number is d. All eight calls return the same type. d is one of the
/// eight.
template <class F>
constexpr decltype(auto) visit(Dtype d, F&& f) {
  switch (d) {
    case Dtype::f64: return f(Type<double>{});
    case Dtype::i64: return f(Type<std::int64_t>{});
    case Dtype::i32: return f(Type<std::int32_t>{});
    case Dtype::u8: return f(Type<std::uint8_t>{});
    case Dtype::boolean: return f(Type<bool>{});
    case Dtype::bf16: return f(Type<bf16>{});
    case Dtype::f16: return f(Type<f16>{});
    default: return f(Type<float>{});
  }
}

}  // namespace tenon
