// SPDX-License-Identifier: Apache-2.0
// Reductions inside statements: what is fused with them, axes in any place, what joins them
// afterwards.
#include <tenon/expr/reduce.hpp>

#include "support/statements.hpp"

using namespace tests;

TEST_CASE("reductions over any axes inside a statement") {
  const auto x = spread<double, 2, 3, 4>(1);
  const auto y = spread<double, 3, 1>(2);
  check_statement([](const auto& x, const auto& y) { return sum(tanh(x * y), axis<-1>); }, x, y);
  check_statement([](const auto& x, const auto& y) { return mean(tanh(x * y), axis<0>); }, x, y);
  check_statement([](const auto& x, const auto& y) { return max(x * y, axis<1>, keepdims); }, x, y);
  check_statement([](const auto& x, const auto& y) { return min(x * y, axis<0, 2>); }, x, y);
  check_statement(
      [](const auto& x, const auto& y) { return logsumexp(x * y, axis<1, 2>, keepdims); }, x, y);
  check_statement([](const auto& x, const auto& y) { return logsumexp(x * y); }, x, y);
}

TEST_CASE("sums and means of everything, also of results of reductions") {
  const auto x = spread<double, 2, 3, 4>(1);
  check_statement([](const auto& x) { return sum(x * x); }, x);
  check_statement([](const auto& x) { return mean(exp(x)); }, x);
  check_statement([](const auto& x) { return sum(max(x, axis<-1>)); }, x);
  check_statement([](const auto& x) { return mean(square(mean(x, axis<-1>))); }, x);
  check_statement([](const auto& x) { return mean(logsumexp(x, axis<-1>)); }, x);
  check_statement([](const auto& x) { return sum(x, axis<0, 1, 2>, keepdims); }, x);
}

TEST_CASE("rows of any length with extents known at run time") {
  const Index n = GENERATE(1, 7, 8, 15, 16, 17, 1000, 5000);
  const auto x = spread<double, Shape<dyn, dyn>>(1, {3, n});
  CAPTURE(n);
  CHECK(fused_against_single(
            1e-11, [](const auto& x) { return x - mean(x * x, axis<-1>, keepdims); }, x) <= 1);
  CHECK(fused_against_single(
            1e-11, [](const auto& x) { return logsumexp(2 * x, axis<-1>); }, x) <= 1);
  CHECK(fused_against_single(
            1e-11, [](const auto& x) { return sum(tanh(x), axis<0>); }, x) <= 1);
}

TEST_CASE("equal largest elements share the gradient evenly") {
  const Tensor<double, Shape<2, 3>> x(of(Dtype::f64, extents({2, 3}), {5, 1, 5, 2, 2, 2}));
  Tape tape;
  Tensor loss = sum(max(x, axis<-1>));
  CHECK(distance(values(tape.gradient(loss, x)), {0.5, 0, 0.5, 1.0 / 3, 1.0 / 3, 1.0 / 3}) <=
        1e-15);
}
