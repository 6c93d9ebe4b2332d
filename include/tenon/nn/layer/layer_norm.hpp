// SPDX-License-Identifier: Apache-2.0
// Layer normalisation.
#pragma once
#include <tenon/expr/functions.hpp>
#include <tenon/expr/fuse.hpp>
#include <tenon/expr/reduce.hpp>
#include <tenon/nn/init.hpp>

namespace tenon::inline TENON_ISA::nn {

/// y = (x - mean) / sqrt(var + eps) * weight + bias over the last axis; var is the mean of squares.
///   x, y: [..., N]   weight, bias: [N]   One group: one kernel forward, one backward.
/// Source: Ba, Kiros, Hinton, Layer normalization, 2016, eq. 4.
template <class X, class W, class B>
auto layer_norm(X&& x, const W& weight, const B& bias, float eps = 1e-5f) {
  return fuse(
      [](auto x, auto w, auto b, auto eps) {
        auto d = x - mean(x, axis<-1>, keepdims);
        return d * rsqrt(mean(d * d, axis<-1>, keepdims) + eps) * w + b;
      },
      std::forward<X>(x), weight, bias, eps);
}

/// The layer of that function. Widths may be dyn: LayerNorm<dyn>{.width = {512}}.
template <Index N, class T = float>
struct LayerNorm {
  Tensor<T, Shape<N>> weight{};
  Tensor<T, Shape<N>> bias{};
  float eps = 1e-5f;
  [[no_unique_address]] Width<N> width{};

  /// weight 1, bias 0.
  void init(Rng) {
    check_width("LayerNorm: width", width.value);
    fill_constant(weight, Extents{1, {width.value}}, 1);
    fill_constant(bias, Extents{1, {width.value}}, 0);
  }
  template <TensorExpr X>
  auto operator()(X&& x) const {
    return layer_norm(std::forward<X>(x), weight, bias, eps);
  }
};

}  // namespace tenon::nn
