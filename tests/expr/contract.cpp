// SPDX-License-Identifier: Apache-2.0
// Products with what follows them: right against a plain loop, one kernel, one pass and two
// products backward.
#include <tenon/expr/contract.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {
std::vector<double> product(const AnyTensor& a, const AnyTensor& b) {  // matrices
  const Index m = a.extent(0), k = a.extent(1), n = b.extent(1);
  const auto x = values(a), y = values(b);
  std::vector<double> z(static_cast<std::size_t>(m * n), 0);
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j)
      for (Index l = 0; l < k; ++l)
        z[static_cast<std::size_t>(i * n + j)] +=
            x[static_cast<std::size_t>(i * k + l)] * y[static_cast<std::size_t>(l * n + j)];
  return z;
}
}  // namespace

TEST_CASE("a product of matrices is the sum of products, for any extents and transposes") {
  using M = Tensor<double, Shape<dyn, dyn>>;
  for (Index m : {0, 1, 5, 33})
    for (Index k : {0, 1, 7, 40})
      for (Index n : {1, 9, 32}) {
        const M a(spread(Dtype::f64, extents({m, k}), 1)),
            b(spread(Dtype::f64, extents({k, n}), 2));
        const auto want = product(a, b);
        CAPTURE(m, k, n);
        CHECK(distance(values(matmul(a, b)), want) <= 1e-13);
        const M at(swapped(a, 0, 1).to_contiguous()), bt(swapped(b, 0, 1).to_contiguous());
        CHECK(distance(values(matmul(transpose(at), b)), want) <= 1e-13);
        CHECK(distance(values(matmul(a, transpose(bt))), want) <= 1e-13);
        CHECK(distance(values(matmul(transpose(at), transpose(bt))), want) <= 1e-13);
      }
}

TEST_CASE("relu(x w + b) is one kernel forward; backward one pass and two products") {
  const auto x = spread<float, 9, 20>(1);
  const auto w = spread<float, 20, 30>(2);
  const auto b = spread<float, 30>(3);
  const auto n = counted([&] {
    value_and_gradients([](auto& x, auto& w, auto& b) { return relu(matmul(x, w) + b); }, x, w, b);
  });
  CHECK(n.forward == 1);
  CHECK(n.backward == 1);
  CHECK(n.products == 3);
  CHECK(n.single == 0);
  const auto half = counted(
      [&] { value_and_gradients([&](auto& w, auto& b) { return relu(matmul(x, w) + b); }, w, b); });
  CHECK(half.products == 2);
}

TEST_CASE("epilogues of a product: bias, residual, rows and columns, product on either side") {
  const auto x = spread<double, 4, 5>(1);
  const auto w = spread<double, 5, 6>(2);
  const auto b = spread<double, 6>(3);
  const auto c = spread<double, 4, 1>(4);
  const auto r = spread<double, 4, 6>(5);
  check_statement(
      [](const auto& x, const auto& w, const auto& b) { return tanh(matmul(x, w) + b); }, x, w, b);
  check_statement(
      [](const auto& x, const auto& w, const auto& b) { return gelu(b + matmul(x, w)); }, x, w, b);
  check_statement(
      [](const auto& x, const auto& w, const auto& r) { return r - 2 * silu(matmul(x, w)) * r; }, x,
      w, r);
  check_statement([](const auto& x, const auto& w, const auto& c) { return c * matmul(x, w); }, x,
                  w, c);
  check_statement(
      [](const auto& x, const auto& w, const auto& b) { return matmul(x, w) * matmul(x, w) + b; },
      x, w, b);
  check_statement([](const auto& x, const auto& w, const auto& q) { return matmul(x, w) + q; }, x,
                  w, spread<double, 3, 4, 6>(6));
  check_statement([](const auto& x, const auto& w) { return logsumexp(matmul(x, w), axis<-1>); }, x,
                  w);
  check_statement([](const auto& x, const auto& w) { return matmul(tanh(x), w * w); }, x, w);
  CHECK_NOTHROW(gradcheck_second(
      [](const auto& x, const auto& w, const auto& b) { return tanh(matmul(x, w) + b); }, x, w, b));
  CHECK_NOTHROW(gradcheck_second(
      [](const auto& x, const auto& w, const auto& b) { return gelu(matmul(x, w) + b); }, x, w, b));
}

TEST_CASE("inner extents known at run time are compared by the statement") {
  const auto x = spread<float, Shape<2, dyn>>(1, {2, 7});
  const auto w = spread<float, Shape<dyn, 3>>(2, {8, 3});
  CHECK_THROWS_WITH(
      matmul(x, w),
      ContainsSubstring("matmul: inner extents differ on axis 1: [2, 7] and [8, 3] (7 vs 8)"));
}
