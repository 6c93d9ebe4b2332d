// SPDX-License-Identifier: Apache-2.0
// Functions by name: each is the operation of that name, at a static, a mixed and a dynamic shape.
#include <tenon/expr/functions.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace {
template <class S>
void check() {
  const auto x = spread<double, S>(1, {2, 3}, 0.1, 2), y = spread<double, S>(2, {2, 3}, 0.1, 2);
  const auto a = values(x), b = values(y);
  const auto each = [&](auto f) {
    std::vector<double> r;
    for (std::size_t i = 0; i < a.size(); ++i) r.push_back(f(a[i], b[i]));
    return r;
  };
  CHECK(distance(values(log1p(x)), each([](double p, double) { return std::log1p(p); })) <= 1e-14);
  CHECK(distance(values(erf(x)), each([](double p, double) { return std::erf(p); })) <= 1e-14);
  CHECK(distance(values(pow(x, y)), each([](double p, double q) { return std::pow(p, q); })) <=
        1e-13);
  CHECK(distance(values(maximum(x, y)), each([](double p, double q) { return std::max(p, q); })) ==
        0);
  CHECK(distance(values(where(x > y, x, 0.5)),
                 each([](double p, double q) { return p > q ? p : 0.5; })) == 0);
  CHECK(distance(values(clamp(x, 0.5, 1)),
                 each([](double p, double) { return std::min(std::max(p, 0.5), 1.0); })) == 0);
  CHECK(distance(values(lerp(x, y, 0.25)),
                 each([](double p, double q) { return p + 0.25 * (q - p); })) <= 1e-15);
  CHECK(distance(values(leaky_relu(x - 1, 0.1)),
                 each([](double p, double) { return p > 1 ? p - 1 : 0.1 * (p - 1); })) <= 1e-15);
  CHECK(distance(values(logaddexp(x, y)), each([](double p, double q) {
                   return std::log(std::exp(p) + std::exp(q));
                 })) <= 1e-14);
}
}  // namespace

TEST_CASE("functions at static, mixed and dynamic shapes") {
  check<Shape<2, 3>>();
  check<Shape<dyn, 3>>();
  check<Shape<dyn, dyn>>();
}

TEST_CASE("comparisons give bool, which masks and negates") {
  const auto x = spread<float, 40>(1);
  const auto m = x > 0.f;
  static_assert(std::is_same_v<decltype(m)::element, bool>);
  for (double v : values(isnan(x) | (x != x))) CHECK(v == 0);
  std::vector<double> flipped = values(!m), plain = values(m);
  for (std::size_t i = 0; i < plain.size(); ++i) CHECK(flipped[i] == 1 - plain[i]);
}
