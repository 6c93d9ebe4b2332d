// SPDX-License-Identifier: Apache-2.0
// What joins a reduction afterwards, and what is cut.
#include <tenon/expr/reduce.hpp>

#include "support/statements.hpp"

using namespace tests;

TEST_CASE("what follows a reduction joins it: by rows, by whole rows, of any rank") {
  const auto x = spread<double, 2, 3, 4>(1);
  check_statement([](const auto& x, const auto& b) { return sum(x * x, axis<-1>) * b; }, x,
                  spread<double, 3>(2));
  check_statement([](const auto& x, const auto& b) { return sum(x * x, axis<-1>) * b; }, x,
                  spread<double>(2));
  check_statement([](const auto& x, const auto& b) { return sum(x * x, axis<-1>) + b; }, x,
                  spread<double, 5, 2, 3>(2));
  check_statement([](const auto& x, const auto& b) { return sum(x * x, axis<0>) * b; }, x,
                  spread<double, 5, 1, 4>(2));
  check_statement([](const auto& x, const auto& b) { return sum(x, axis<1>) * b; }, x,
                  spread<double, 4>(2));
  check_statement([](const auto& x, const auto& b) { return mean(x * b, axis<-1>, keepdims) * x; },
                  x, spread<double, 4>(2));
  check_statement([](const auto& x) { return x - mean(x * x, axis<-1>, keepdims); }, x);
  check_statement([](const auto& x) { return exp(x - logsumexp(x, axis<0>, keepdims)); }, x);
  check_statement([](const auto& x) { return max(x, axis<-1>) - min(x, axis<-1>); }, x);
  check_statement([](const auto& x, const auto& c) { return sum(c, axis<-1>, keepdims) + x; }, x,
                  spread<double, 2, 3, 1>(3));
}

TEST_CASE("statements of two reductions over different axes are cut, not wrong") {
  const auto x = spread<double, 3, 4>(1);
  check_statement(
      [](const auto& x) { return (x - mean(x, axis<0>, keepdims)) * mean(x, axis<1>, keepdims); },
      x);
  check_statement([](const auto& x) { return sum(sum(square(x), axis<0>) * 2, axis<0>); }, x);
  check_statement(
      [](const auto& x) { return square(x - mean(x)) / (1 + mean(square(x - mean(x)))); }, x);
}
