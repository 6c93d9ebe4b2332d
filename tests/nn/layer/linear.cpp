// SPDX-License-Identifier: Apache-2.0
// The fully connected layer against its formula, and its gradients.
#include <tenon/nn/layer/linear.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {
template <class X, class W, class B>
std::vector<double> by_hand(const X& x, const W& w, const B& b) {
  const auto a = values(x), c = values(w), d = values(b);
  const std::size_t out = d.size(), in = c.size() / out, rows = a.size() / in;
  std::vector<double> y;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t o = 0; o < out; ++o) {
      long double sum = d[o];
      for (std::size_t i = 0; i < in; ++i)
        sum += static_cast<long double>(a[r * in + i]) * c[o * in + i];
      y.push_back(static_cast<double>(sum));
    }
  return y;
}
}  // namespace

TEST_CASE("linear: y = x W^T + b for any leading axes") {
  const auto layer = nn::init<nn::Linear<7, 5, double>>(Rng{1});
  const auto x = spread<double, 6, 7>(1);
  CHECK(distance(values(layer(x)), by_hand(x, layer.weight, layer.bias)) <= 1e-14);
  const auto batch = spread<double, 2, 3, 7>(2);
  Tensor y = layer(batch);
  CHECK(y.extents() == extents({2, 3, 5}));
  CHECK(distance(values(y), by_hand(batch, layer.weight, layer.bias)) <= 1e-14);
}

TEST_CASE("linear: dyn widths give the bits of known ones") {
  auto closed = nn::init<nn::Linear<33, 17>>(Rng{2});
  nn::Linear<dyn, dyn> open{.in = {33}, .out = {17}};
  nn::init(open, Rng{2});
  const auto x = spread<float, Shape<dyn, dyn>>(3, {40, 33});
  const Tensor<float, Shape<40, 33>> same = x;
  CHECK(same_bits(Tensor(open(x)).any(), Tensor(closed(same)).any()));
}

TEST_CASE("linear: gradients of x, weight and bias") {
  const auto f = [](const auto& x, const auto& w, const auto& b) {
    return nn::Linear<4, 3, double>{w, b}(x);
  };
  check_statement(f, spread<double, 5, 4>(1), spread<double, 3, 4>(2), spread<double, 3>(3));
  const auto g = [](const auto& x, const auto& w, const auto& b) {
    return tanh(nn::Linear<4, 3, double>{w, b}(x));
  };
  check_statement(g, spread<double, 5, 4>(1), spread<double, 3, 4>(2), spread<double, 3>(3));
}

TEST_CASE("linear: a width that does not fit and weights without a value are named") {
  nn::Linear<dyn, 3> layer{.in = {4}};
  const auto x = spread<float, Shape<dyn, dyn>>(1, {2, 5});
  CHECK_THROWS_AS(Tensor(layer(x)), Error);
  try {
    Tensor y = layer(x);
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Error::uninitialised);
  }
  nn::init(layer, Rng{1});
  try {
    Tensor y = layer(x);
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Error::shape);
    CHECK_THAT(e.what(), ContainsSubstring("matmul") && ContainsSubstring("5 vs 4"));
  }
}
