// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/scalar.hpp>

#include <cmath>
#include <cstdint>
#include <limits>

#include "support/catch.hpp"

using namespace tenon;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
const double nan_value = std::nan("");

TEST_CASE("scalar: max and min give NaN if either operand is NaN", "[core][scalar]") {
  CHECK(scalar::max(1.0, 2.0) == 2.0);
  CHECK(scalar::min(1.0, 2.0) == 1.0);
  CHECK(scalar::max(-infinity, infinity) == infinity);
  for (double x : {-infinity, -1.0, 0.0, 1.0, infinity}) {
    CHECK(std::isnan(scalar::max(x, nan_value)));
    CHECK(std::isnan(scalar::max(nan_value, x)));
    CHECK(std::isnan(scalar::min(x, nan_value)));
    CHECK(std::isnan(scalar::min(nan_value, x)));
  }
}

TEST_CASE("scalar: round takes halves to the even neighbour", "[core][scalar]") {
  const double in[] = {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994, 4503599627370497.0};
  const double out[] = {-2, -2, -0.0, 0, 2, 2, 0, 4503599627370497.0};
  for (int i = 0; i < 8; ++i) {
    CHECK(scalar::round(in[i]) == out[i]);
    CHECK(std::signbit(scalar::round(in[i])) == std::signbit(out[i]));
  }
  CHECK(scalar::floor(-1.5) == -2.0);
  CHECK(scalar::ceil(-1.5) == -1.0);
  CHECK(scalar::trunc(-1.5) == -1.0);
  CHECK(scalar::floor(std::int64_t{9007199254740993}) == 9007199254740993);
  CHECK(scalar::round(std::int32_t{-7}) == -7);
}

TEST_CASE("scalar: powers of integers wrap, and negative powers round towards 0",
          "[core][scalar]") {
  CHECK(scalar::pow(std::int64_t{3}, std::int64_t{39}) == 4052555153018976267);
  CHECK(scalar::pow(-2, 31) == std::numeric_limits<std::int32_t>::min());
  CHECK(scalar::pow(2, 32) == 0);
  CHECK(scalar::pow(7, 0) == 1);
  CHECK(scalar::pow(0, 0) == 1);
  CHECK(scalar::pow(5, -1) == 0);
  CHECK(scalar::pow(1, -3) == 1);
  CHECK(scalar::pow(-1, -3) == -1);
  CHECK(scalar::pow(-1, -4) == 1);
  CHECK(scalar::pow(0, -1) == 0);
}

TEST_CASE("scalar: abs of the smallest integer is itself", "[core][scalar]") {
  CHECK(scalar::abs(-3) == 3);
  CHECK(scalar::abs(std::numeric_limits<std::int32_t>::min()) ==
        std::numeric_limits<std::int32_t>::min());
  CHECK_FALSE(std::signbit(scalar::abs(-0.0)));
}

TEST_CASE("scalar: functions are the C library's at known points", "[core][scalar]") {
  CHECK_THAT(scalar::exp(1.0), WithinRel(2.718281828459045235, 1e-15));
  CHECK_THAT(scalar::exp2(0.5), WithinRel(1.414213562373095049, 1e-15));
  CHECK_THAT(scalar::expm1(1e-10), WithinRel(1.00000000005e-10, 1e-15));
  CHECK_THAT(scalar::log(10.0), WithinRel(2.302585092994045684, 1e-15));
  CHECK_THAT(scalar::log2(10.0), WithinRel(3.321928094887362348, 1e-15));
  CHECK(scalar::log10(1000.0) == 3.0);
  CHECK_THAT(scalar::log1p(1e-10), WithinRel(9.9999999995e-11, 1e-15));
  CHECK_THAT(scalar::sin(1.0), WithinRel(0.8414709848078965067, 1e-15));
  CHECK_THAT(scalar::cos(1.0), WithinRel(0.5403023058681397174, 1e-15));
  CHECK_THAT(scalar::tanh(1.0), WithinRel(0.7615941559557648881, 1e-15));
  CHECK_THAT(scalar::erf(1.0), WithinRel(0.8427007929497148693, 1e-15));
  CHECK(scalar::sqrt(2.25) == 1.5);
  CHECK(scalar::rsqrt(0.25f) == 2.0f);
  CHECK(scalar::pow(2.0, 0.5) == scalar::sqrt(2.0));
  CHECK(scalar::select(true, 1, 2) == 1);
  CHECK(scalar::any(true));
  CHECK_FALSE(scalar::all(false));
}

}  // namespace
