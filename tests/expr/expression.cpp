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
