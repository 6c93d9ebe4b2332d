// SPDX-License-Identifier: Apache-2.0
// Chains of element-wise operations: one group, broadcast on every subset of axes, right for every
// length.
#include <tenon/expr/map.hpp>

#include "support/statements.hpp"

using namespace tests;

TEST_CASE("a chain of operations is one kernel forward and one backward") {
  const auto a = spread<float, 3, 40>(1), x = spread<float, 3, 40>(2), b = spread<float, 3, 40>(3),
             d = spread<float, 3, 40>(4);
  const auto c = spread<float, 40>(5);
  const auto n = counted([&] {
    value_and_gradients([](auto& a, auto& x, auto& b, auto& c,
                           auto& d) { return tanh(a * x + b) * sigmoid(c) + d; },
                        a, x, b, c, d);
  });
  CHECK(n.forward == 1);
  CHECK(n.backward == 1);
  CHECK(n.single == 0);
}

TEST_CASE("rows of any length and any number of rows") {
  const Index n = GENERATE(0, 1, 7, 8, 15, 16, 17, 1000, 5000);
  const auto f = [](const auto& x, const auto& b, const auto& c) { return tanh(x + b) * c; };
  for (Index rows : {1, 3}) {
    const auto x = spread<double, Shape<dyn, dyn>>(1, {rows, n});
    const auto b = spread<double, Shape<dyn>>(2, {n});
    const auto c = spread<double, Shape<dyn, 1>>(3, {rows, 1});
    CAPTURE(n, rows);
    CHECK(fused_against_single(1e-11, f, x, b, c) <= 1);
  }
}

TEST_CASE("a leaf that occurs twice gets both gradients") {
  check_statement([](const auto& x) { return x * x + x; }, spread<double, 3, 5>(1));
  check_statement([](const auto& x, const auto& y) { return (x - y) * (x + y) / (2 + x * x); },
                  spread<double, 3, 5>(1), spread<double, 5>(2));
}

TEST_CASE("views as leaves: transposed, strided, reversed") {
  const auto f = [](const auto& x, const auto& y) { return x * tanh(y); };
  using M = Tensor<double, Shape<dyn, dyn>>;
  const AnyTensor x = spread(Dtype::f64, extents({6, 5}), 1),
                  y = spread(Dtype::f64, extents({5, 6}), 2);
  const M t(swapped(y, 0, 1)), s(strided(x));
  CHECK(fused_against_single(1e-12, f, M(x), t) <= 1);
  CHECK(fused_against_single(1e-12, f, s, t) <= 1);
  CHECK(distance(value_and_gradients(f, s, t)[1],
                 value_and_gradients(f, M(x), M(t.any().to_contiguous()))[1]) <= 1e-14);
}

TEST_CASE("bf16 and f16 are converted at the leaf and computed in f32") {
  const auto half = [](auto tag) {
    using T = typename decltype(tag)::type;
    const auto x = spread<T, 3, 33>(1);
    const auto w = spread<float, 33>(2);
    const Tensor<float, Shape<3, 33>> wide(x.any().to(Dtype::f32));
    const auto f = [](const auto& w, const auto& x) { return tanh(w * x); };
    const auto narrow = value_and_gradients(f, w, x), full = value_and_gradients(f, w, wide);
    CHECK(distance(narrow[1], full[1]) <= 1e-6);
    CHECK(distance(narrow[2], full[2]) <= 1e-6);
    CHECK(narrow[0].dtype() == Dtype::f32);
  };
  half(Type<bf16>{});
  half(Type<f16>{});
}

TEST_CASE("a number takes the tensor's dtype, and a large integer in a double keeps its value") {
  const auto x = spread<double, 4>(1);
  CHECK(values(x + 16777217) == values(x + 16777217.0));
  CHECK(values(x * 0 + 16777217)[0] == 16777217.0);
}

TEST_CASE(
    "extents known at run time are compared by the statement, and a run-time 1 does not stretch") {
  const auto x = spread<float, Shape<dyn, 4>>(1, {3, 4});
  const auto y = spread<float, Shape<dyn, 4>>(2, {5, 4});
  const auto one = spread<float, Shape<dyn, 4>>(3, {1, 4});
  CHECK_THROWS_WITH(
      x + y,
      ContainsSubstring("add: operands do not broadcast on axis 0: [3, 4] and [5, 4] (3 vs 5)"));
  CHECK_THROWS_WITH(x * one, ContainsSubstring("(3 vs 1)"));
  CHECK_THROWS_WITH(one - x, ContainsSubstring("(1 vs 3)"));
}
