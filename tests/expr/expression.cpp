// SPDX-License-Identifier: Apache-2.0
// An expression: unevaluated or a value, copied, moved, evaluated once.
#include <tenon/expr/expression.hpp>

#include "support/statements.hpp"

using namespace tests;

TEST_CASE("an expression computes once, on first use") {
  const auto x = spread<double, 3>(1);
  const auto n = counted([&] {
    auto h = tanh(x) + 1;
    CHECK_FALSE(h.evaluated());
    CHECK(h.value().id() == h.value().id());
    CHECK(h.evaluated());
  });
  CHECK(n.forward == 1);
}

TEST_CASE("a copy shares the value of the original, a move takes what it holds") {
  const auto x = spread<double, 3>(1);
  auto h = tanh(x);
  auto copy = h;
  CHECK(h.evaluated());
  CHECK(copy.value().id() == h.value().id());
  auto fresh = tanh(x);
  auto moved = std::move(fresh);
  CHECK_FALSE(moved.evaluated());
  CHECK(values(moved) == values(h));
}

TEST_CASE("a later write to an operand is not seen") {
  auto x = spread<double, 3>(1);
  const std::vector<double> before = values(tanh(x));
  auto h = tanh(x);
  x.write()[0] = 100;
  CHECK(values(h) == before);
}

TEST_CASE("an expression that is moved into a statement twice is an error") {
  const auto x = spread<double, 3>(1);
  auto e = x * x;
  CHECK_THROWS_AS(Tensor(std::move(e) + std::move(e)), Error);
  CHECK(x.any().get()->references.load(Order::relaxed) == 1);
}

TEST_CASE("a tensor of other extents behind a static type is an error where it joins") {
  const auto x = spread<float, 1000>(1);
  auto y = spread<float, 1000>(2);
  y.any() = spread(Dtype::f32, extents({2}), 3);
  CHECK_THROWS_WITH(Tensor(x + y), ContainsSubstring("1000 vs 2"));
}

TEST_CASE("gradients of many leaves: along the row, constant, one a row, rests of rows") {
  using Matrix = Shape<dyn, dyn>;
  for (Index n : {1, 2, 7, 8, 21, 64}) {
    const auto a = spread<double, Matrix>(1, {3, n}), b = spread<double, Matrix>(2, {3, n});
    const auto c = spread<double, Shape<dyn, 1>>(3, {3, 1});
    const auto d = spread<double, Shape<1, dyn>>(4, {1, n});
    const auto s = spread<double, Shape<>>(5, {});
    const auto f = [](const auto& a, const auto& b, const auto& c, const auto& d, const auto& s) {
      return tanh(a * b + c) * d - s * a + exp(b * c) * (d + s);
    };
    CHECK(fused_against_single(1e-12, f, a, b, c, d, s) <= 1);
  }
}

TEST_CASE("long rows, which are fetched ahead, with and without constants and a rest") {
  const auto s = spread<double, Shape<>>(5, {});
  for (Index n : {70000, 70001}) {
    const auto x = spread<double, Shape<dyn>>(1, {n}), y = spread<double, Shape<dyn>>(2, {n});
    const auto f = [](const auto& x, const auto& y) { return tanh(x * y) + x; };
    const auto g = [&](const auto& x, const auto& y) { return tanh(x * s) * y + s; };
    CHECK(fused_against_single(1e-12, f, x, y) <= 1);
    CHECK(fused_against_single(1e-12, g, x, y) <= 1);
  }
}
