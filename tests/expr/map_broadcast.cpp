// SPDX-License-Identifier: Apache-2.0
// Broadcasting inside statements: every subset of axes, both ways.
#include <tenon/expr/map.hpp>

#include "support/statements.hpp"

using namespace tests;

TEST_CASE("a leaf may lack any subset of the axes") {
  const auto f = [](const auto& x, const auto& y) { return tanh(x * y + 1) - y; };
  const auto x = spread<double, Shape<dyn, dyn, dyn>>(1, {2, 3, 4});
  check_statement(f, x, spread<double, 2, 3, 4>(2));
  check_statement(f, x, spread<double, 1, 3, 4>(2));
  check_statement(f, x, spread<double, 2, 1, 4>(2));
  check_statement(f, x, spread<double, 2, 3, 1>(2));
  check_statement(f, x, spread<double, 2, 1, 1>(2));
  check_statement(f, x, spread<double, 1, 3, 1>(2));
  check_statement(f, x, spread<double, 1, 1, 4>(2));
  check_statement(f, x, spread<double, 1, 1, 1>(2));
  check_statement(f, x, spread<double>(2));
}

TEST_CASE("two operands may stretch each other") {
  const auto f = [](const auto& x, const auto& y) { return exp(x) * y; };
  check_statement(f, spread<double, 5, 1>(1), spread<double, 1, 7>(2));
  check_statement(f, spread<double, 3, 1, 2>(1), spread<double, 4, 1>(2));
}
