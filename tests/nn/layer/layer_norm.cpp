// SPDX-License-Identifier: Apache-2.0
// Layer normalisation against its formula in long double, its gradients and its kernels.
#include <tenon/nn/layer/layer_norm.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {
std::vector<double> by_hand(const std::vector<double>& x, const std::vector<double>& w,
                            const std::vector<double>& b, double eps) {
  const std::size_t n = w.size();
  std::vector<double> y(x.size());
  for (std::size_t at = 0; at < x.size(); at += n) {
    long double mean = 0, square = 0;
    for (std::size_t i = 0; i < n; ++i) mean += x[at + i];
    mean /= static_cast<long double>(n);
    for (std::size_t i = 0; i < n; ++i) square += (x[at + i] - mean) * (x[at + i] - mean);
    square /= static_cast<long double>(n);
    for (std::size_t i = 0; i < n; ++i)
      y[at + i] = static_cast<double>((x[at + i] - mean) / std::sqrt(square + eps) * w[i] + b[i]);
  }
  return y;
}
}  // namespace

TEST_CASE("layer norm is its formula, for f64 and f32, static and dyn widths") {
  const auto x = spread<double, 6, 19>(1);
  const auto w = spread<double, 19>(2), b = spread<double, 19>(3);
  CHECK(distance(values(nn::layer_norm(x, w, b)),
                 by_hand(values(x), values(w), values(b), 1e-5f)) <= 1e-13);
  nn::LayerNorm<dyn> layer{.width = {300}};
  nn::init(layer, Rng{1});
  CHECK(values(layer.weight) == std::vector<double>(300, 1));
  CHECK(values(layer.bias) == std::vector<double>(300, 0));
  const auto f = spread<float, Shape<dyn, dyn>>(4, {5, 300});
  CHECK(distance(values(layer(f)),
                 by_hand(values(f), values(layer.weight), values(layer.bias), 1e-5f)) <= 2e-6);
}

TEST_CASE("layer norm of a constant row is the bias; one element far off leaves the rest finite") {
  nn::LayerNorm<8> layer;
  nn::init(layer, Rng{1});
  nn::fill_constant(layer.bias, extents({8}), 0.75);
  Tensor<float, Shape<2, 8>> x(
      of(Dtype::f32, extents({2, 8}), {3, 3, 3, 3, 3, 3, 3, 3, 1e15, 0, 0, 0, 0, 0, 0, 0}));
  const auto y = values(layer(x));
  for (std::size_t i = 0; i < 8; ++i) CHECK(y[i] == 0.75);
  CHECK(y[8] - 0.75 == Approx(std::sqrt(7.0)).epsilon(1e-6));
}

TEST_CASE("layer norm: gradients of x, weight and bias, one kernel forward and one backward") {
  const auto f = [](const auto& x, const auto& w, const auto& b) {
    return nn::layer_norm(x, w, b);
  };
  const auto x = spread<double, 4, 6>(1);
  const auto w = spread<double, 6>(2), b = spread<double, 6>(3);
  check_statement(f, x, w, b);
  const kernel::Counters c = counted([&] { value_and_gradients(f, x, w, b); });
  CHECK(c.forward == 1);
  CHECK(c.backward == 1);
  CHECK(c.single == 0);
}
