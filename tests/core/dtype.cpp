// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/dtype.hpp>

#include "support/catch.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#if defined(__F16C__)
#include <immintrin.h>
#endif

using namespace tenon;

namespace {
// The formats by their definition: sign, exponent e, fraction m of `bits` bits. NaN is left to the
// caller.
double decode_by_definition(std::uint32_t code, int exponent_bits, int fraction_bits) {
  int bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;
  int e = static_cast<int>(code >> fraction_bits) & top;
  double m = std::ldexp(static_cast<double>(code & ((1u << fraction_bits) - 1u)), -fraction_bits);
  double sign = code >> (exponent_bits + fraction_bits) ? -1 : 1;
  if (e == top) return sign * std::numeric_limits<double>::infinity();
  return sign * (e == 0 ? std::ldexp(m, 1 - bias) : std::ldexp(1 + m, e - bias));
}

template <class T>
void check_all_patterns(int exponent_bits, int fraction_bits) {
  std::uint32_t infinity = ((1u << exponent_bits) - 1u) << fraction_bits;
  std::uint32_t quiet = 1u << (fraction_bits - 1);
  int wrong = 0;
  for (std::uint32_t code = 0; code < 65536; ++code) {
    float x = static_cast<float>(T::from_bits(static_cast<std::uint16_t>(code)));
    std::uint16_t back = T(x).bits;
    if ((code & 0x7fffu) > infinity) {
      wrong += !std::isnan(x) || back != (code | quiet);
    } else {
      double expected = decode_by_definition(code, exponent_bits, fraction_bits);
      wrong += x != expected || std::signbit(x) != std::signbit(expected) || back != code;
    }
  }
  CHECK(wrong == 0);
}

// Between neighbours a < b: the middle goes to the even one, everything else to the nearer one.
template <class T>
void check_rounding(int infinity) {
  int wrong = 0;
  for (int code = 0; code + 1 < infinity; ++code) {
    auto low = static_cast<std::uint16_t>(code), high = static_cast<std::uint16_t>(code + 1);
    float a = static_cast<float>(T::from_bits(low)), b = static_cast<float>(T::from_bits(high));
    float middle = static_cast<float>((static_cast<double>(a) + b) / 2);  // has one bit more: exact
    wrong += T(middle).bits != (code % 2 == 0 ? low : high);
    wrong += T(std::nextafter(middle, a)).bits != low || T(std::nextafter(middle, b)).bits != high;
    wrong += T(-middle).bits != (0x8000u | (code % 2 == 0 ? low : high));
  }
  CHECK(wrong == 0);
}
}  // namespace

TEST_CASE("dtype: every pattern of bf16 and f16 decodes by its definition and comes back",
          "[core]") {
  check_all_patterns<bf16>(8, 7);
  check_all_patterns<f16>(5, 10);
}

TEST_CASE("dtype: floats round to the nearest bf16 and f16, ties to even", "[core]") {
  check_rounding<bf16>(0x7f80);
  check_rounding<f16>(0x7c00);
}

TEST_CASE("dtype: what lies half a unit beyond the largest f16 or bf16 is infinite", "[core]") {
  CHECK(f16(65504.0f).bits == 0x7bff);
  CHECK(f16(std::nextafter(65520.0f, 0.0f)).bits == 0x7bff);
  CHECK(f16(65520.0f).bits == 0x7c00);
  CHECK(f16(-1e30f).bits == 0xfc00);
  CHECK(bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(f16(0x1p-25f).bits == 0);
  CHECK(f16(std::nextafter(0x1p-25f, 1.0f)).bits == 1);
}

#if defined(__F16C__)
TEST_CASE("dtype: f16 agrees with the processor's own conversion", "[core]") {
  int wrong = 0;
  std::uint32_t x = 1;
  for (int i = 0; i < 4000000; ++i) {
    x = x * 1664525u + 1013904223u;
    // Half of them in the range where f16 has something to round.
    std::uint32_t b = i % 2 ? x : (x & 0x8fffffffu) | 0x30000000u | (x >> 3 & 0x0f000000u);
    float v = std::bit_cast<float>(b);
    wrong += f16(v).bits != static_cast<std::uint16_t>(_cvtss_sh(v, _MM_FROUND_TO_NEAREST_INT));
  }
  for (std::uint32_t code = 0; code < 65536; ++code) {
    float mine = static_cast<float>(f16::from_bits(static_cast<std::uint16_t>(code)));
    float theirs = _cvtsh_ss(static_cast<unsigned short>(code));
    wrong += std::memcmp(&mine, &theirs, sizeof mine) != 0;
  }
  CHECK(wrong == 0);
}
#endif

TEST_CASE("dtype: number, name, size and type belong together", "[core]") {
  const char* names[] = {"f32", "f64", "i64", "i32", "u8", "bool", "bf16", "f16"};
  const std::size_t sizes[] = {4, 8, 8, 4, 1, 1, 2, 2};
  for (int i = 0; i < dtype_count; ++i) {
    Dtype d = static_cast<Dtype>(i);
    CHECK(name_of(d) == std::string(names[i]));
    CHECK(size_of(d) == sizes[i]);
    CHECK(visit(d, [](auto tag) { return sizeof(typename decltype(tag)::type); }) == sizes[i]);
    CHECK(visit(d, [](auto tag) { return dtype_of<typename decltype(tag)::type>; }) == d);
    CHECK(visit(d, [](auto tag) { return dtype_of<compute_t<typename decltype(tag)::type>>; }) ==
          compute_dtype(d));
    CHECK(is_floating(d) == (i == 0 || i == 1 || i >= 6));
  }
  STATIC_REQUIRE(dtype_of<long long> == Dtype::i64);
  STATIC_REQUIRE(dtype_of<std::int64_t> == Dtype::i64);
  STATIC_REQUIRE(!Element<char>);
  STATIC_REQUIRE(!Element<const float>);
}
