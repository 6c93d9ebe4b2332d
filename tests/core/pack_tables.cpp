// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/pack_tables.hpp>

#include <cmath>
#include <cstddef>
#include <limits>

#include "support/catch.hpp"

using namespace tenon;
using namespace tenon::scalar::detail;

namespace {

template <std::size_t K>
long double evaluate(const double (&c)[K], long double x) {
  long double y = 0;
  for (std::size_t i = K; i > 0; --i) y = y * x + c[i - 1];
  return y;
}

/// Largest error of the four functions rebuilt from the tables, in units of epsilon of the result.
template <class T>
void check_tables() {
  using F = Format<T>;
  const long double epsilon = std::numeric_limits<T>::epsilon();
  for (int k = -1000; k <= 1000; ++k) {
    long double r = 0.34657359027997265471L * k / 1000;
    CAPTURE(k);
    CHECK(std::fabs(1 + r + r * r * evaluate(F::exp_tail, r) - std::exp(r)) < 0.05L * epsilon);
    long double s = 0.17157287525380990239L * k / 1000, z = s * s;
    long double artanh = 2 * s + s * z * evaluate(F::log_tail, z),
                exact = std::log1p(s) - std::log1p(-s);
    CHECK(std::fabs(artanh - exact) <= 0.05L * epsilon * std::fabs(exact));
    long double x = 0.78539816339744830962L * k / 1000;
    z = x * x;
    CHECK(std::fabs(x + x * z * evaluate(F::sin_tail, z) - std::sin(x)) <=
          0.2L * epsilon * std::fabs(std::sin(x)));
    CHECK(std::fabs(1 - z / 2 + z * z * evaluate(F::cos_tail, z) - std::cos(x)) < 0.05L * epsilon);
  }
}

TEST_CASE("pack tables: each polynomial is closer than a rounding to its function",
          "[core][pack]") {
  check_tables<float>();
  check_tables<double>();
}

TEST_CASE("pack tables: tanh and erf of float are closer than a rounding", "[core][pack]") {
  using F = Format<float>;
  const long double epsilon = std::numeric_limits<float>::epsilon();
  for (int k = 1; k <= 2000; ++k) {
    long double t = k / 2000.0L, x = F::tanh_one * t;
    CAPTURE(k);
    long double quotient = x * evaluate(F::tanh_above, x * x) / evaluate(F::tanh_below, x * x);
    CHECK(std::fabs(quotient - std::tanh(x)) <= 0.2L * epsilon * std::tanh(x));
    CHECK(std::fabs(t + t * evaluate(F::erf_near, t * t) - std::erf(t)) <=
          0.02L * epsilon * std::erf(t));
    x = 1 + 3 * t;
    CHECK(std::fabs(1 - std::exp(evaluate(F::erf_far, x)) - std::erf(x)) <= 0.05L * epsilon);
  }
}

TEST_CASE("pack tables: the parts of ln 2 and pi / 2 add up", "[core][pack]") {
  const long double ln2 = 0.693147180559945309417232121458L,
                    half_pi = 1.57079632679489661923132169164L;
  CHECK(std::fabs(Format<float>::ln2_high + static_cast<long double>(Format<float>::ln2_low) -
                  ln2) < 1e-11L);
  CHECK(std::fabs(Format<double>::ln2_high + static_cast<long double>(Format<double>::ln2_low) -
                  ln2) < 1e-19L);
  long double rest = half_pi;
  for (float part : Format<float>::half_pi) rest -= part;
  CHECK(std::fabs(rest) < 1e-18L);
  rest = half_pi;
  for (double part : Format<double>::half_pi) rest -= part;
  CHECK(std::fabs(rest) < 2e-19L);
}

TEST_CASE("pack tables: the parts of pi / 2 times a count are exact, but for the last",
          "[core][pack]") {
  for (int part = 0; part < 3; ++part) {
    float n = std::ceil(Format<float>::turn_limit);
    double product = static_cast<double>(n - 1) * Format<float>::half_pi[part];
    CHECK(static_cast<double>(static_cast<float>(product)) == product);
    long double wide =
        static_cast<long double>(Format<double>::turn_limit - 1) * Format<double>::half_pi[part];
    CHECK(static_cast<long double>(static_cast<double>(wide)) == wide);
  }
}

TEST_CASE("pack tables: beyond the ends of exp there is only 0 and infinity", "[core][pack]") {
  CHECK(static_cast<float>(std::exp(double{Format<float>::exp_low})) == 0);
  CHECK(std::isinf(static_cast<float>(std::exp(double{Format<float>::exp_high}))));
  CHECK(std::exp(Format<double>::exp_low) == 0);
  CHECK(std::isinf(std::exp(Format<double>::exp_high)));
}

}  // namespace
