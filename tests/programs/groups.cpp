// SPDX-License-Identifier: Apache-2.0
// Programs whose groups are counted: recurrent cell, softmax of a layer, layer norm with names
// outside fuse and inside.
#include "support/statements.hpp"

using namespace tests;

namespace {
template <class F, class... Xs>
kernel::Counters groups(const F& f, const Xs&... x) {
  return counted([&] { value_and_gradients(f, x...); });
}
}  // namespace

TEST_CASE("matmul(x, W) + matmul(h, U) + b: two products, two groups, right") {
  const auto x = spread<double, 3, 4>(1), h = spread<double, 3, 4>(2);
  const auto W = spread<double, 4, 5>(3), U = spread<double, 4, 5>(4);
  const auto b = spread<double, 5>(5);
  const auto f = [](const auto& x, const auto& h, const auto& W, const auto& U, const auto& b) {
    return tanh(matmul(x, W) + matmul(h, U) + b);
  };
  check_statement(f, x, h, W, U, b);
  const auto n = groups(f, x, h, W, U, b);
  CHECK(n.forward == 1);   // the second product with all that follows; the first is a product alone
  CHECK(n.products == 6);  // two forward, four backward
  CHECK(n.backward == 1);
  CHECK(n.single == 0);
}

TEST_CASE("softmax of a layer's output: the product, then one group") {
  const auto x = spread<double, 3, 4>(1);
  const auto W = spread<double, 4, 5>(3);
  const auto f = [](const auto& x, const auto& W) {
    auto z = matmul(x, W);
    return exp(z - logsumexp(z, axis<-1>, keepdims));
  };
  check_statement(f, x, W);
  const auto n = groups(f, x, W);
  CHECK(n.forward == 1);
  CHECK(n.backward == 1);
  CHECK(n.products == 3);
}

TEST_CASE("layer norm: with names outside fuse it is right, inside it is one group") {
  const auto x = spread<double, 3, 8>(1);
  const auto g = spread<double, 8>(2), b = spread<double, 8>(3);
  const auto outside = [](const auto& x, const auto& g, const auto& b) {
    auto d = x - mean(x, axis<-1>, keepdims);
    return d * rsqrt(mean(d * d, axis<-1>, keepdims) + 1e-5) * g + b;
  };
  const auto inside = [](const auto& x, const auto& g, const auto& b) {
    return fuse(
        [](auto x, auto g, auto b) {
          auto d = x - mean(x, axis<-1>, keepdims);
          return d * rsqrt(mean(d * d, axis<-1>, keepdims) + 1e-5) * g + b;
        },
        x, g, b);
  };
  check_statement(outside, x, g, b);
  check_statement(inside, x, g, b);
  const auto a = value_and_gradients(outside, x, g, b), c = value_and_gradients(inside, x, g, b);
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(distance(a[i], c[i]) <= 1e-12);
  CHECK(groups(outside, x, g, b).forward == 2);
  CHECK(groups(inside, x, g, b).forward == 1);
  CHECK(groups(inside, x, g, b).backward == 1);
}
