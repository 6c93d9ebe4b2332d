// SPDX-License-Identifier: Apache-2.0
// Gradients of products: transposed operands, batches.
#include <tenon/expr/contract.hpp>

#include "support/statements.hpp"

using namespace tests;

TEST_CASE("gradients of transposed operands, and of one tensor on both sides") {
  const auto x = spread<double, 4, 5>(1);
  const auto w = spread<double, 6, 5>(2);
  check_statement([](const auto& x, const auto& w) { return sigmoid(matmul(x, transpose(w))); }, x,
                  w);
  check_statement(
      [](const auto& x, const auto& w) { return matmul(transpose(x), transpose(w)) * 2; },
      spread<double, 5, 4>(3), w);
  check_statement([](const auto& x) { return matmul(x, transpose(x)); }, x);
  check_statement([](const auto& x) { return tanh(matmul(transpose(x), x)); }, x);
}

TEST_CASE("batches broadcast, forward and backward") {
  const auto f = [](const auto& a, const auto& b) { return tanh(matmul(a, b)); };
  check_statement(f, spread<double, 3, 4, 5>(1), spread<double, 3, 5, 2>(2));
  check_statement(f, spread<double, 3, 4, 5>(1), spread<double, 5, 2>(2));
  check_statement(f, spread<double, 4, 5>(1), spread<double, 3, 5, 2>(2));
  check_statement(f, spread<double, 3, 1, 4, 5>(1), spread<double, 2, 5, 2>(2));
  check_statement([](const auto& a, const auto& b) { return matmul(a, transpose(b)) + 1; },
                  spread<double, 2, 3, 5>(1), spread<double, 2, 4, 5>(2));
}

TEST_CASE("a step after a product passes nothing back through it") {
  const auto x = spread<float, 4, 5>(1);
  const auto w = spread<float, 5, 6>(2);
  const auto g = value_and_gradients([](auto& x, auto& w) { return floor(matmul(x, w)); }, x, w);
  CHECK(values(g[1]) == std::vector<double>(20, 0));
  CHECK(values(g[2]) == std::vector<double>(30, 0));
}
