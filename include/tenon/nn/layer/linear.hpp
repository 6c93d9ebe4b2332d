// SPDX-License-Identifier: Apache-2.0
// The fully connected layer.
#pragma once
#include <tenon/expr/contract.hpp>
#include <tenon/nn/init.hpp>

namespace tenon::inline TENON_ISA::nn {

/// y = x W^T + b.   x: [..., In]   W: [Out, In]   b: [Out]   y: [..., Out]
/// Widths may be dyn: Linear<dyn, 10>{.in = {784}}.
/// Errors: last extent of x is not In -> compile error, or Error::shape where it is dyn.
template <Index In, Index Out, class T = float>
struct Linear {
  Tensor<T, Shape<Out, In>> weight{};
  Tensor<T, Shape<Out>> bias{};
  [[no_unique_address]] Width<In> in{};
  [[no_unique_address]] Width<Out> out{};

  /// W, b ~ U(-k, k), k = 1 / sqrt(In).   Source: He et al., Delving deep into rectifiers, 2015,
  /// with PyTorch's gain.
  void init(Rng rng) {
    check_width("Linear: in", in.value), check_width("Linear: out", out.value);
    const double k = 1 / std::sqrt(static_cast<double>(in.value));
    fill_uniform(weight, Extents{2, {out.value, in.value}}, rng.stream("weight"), -k, k);
    fill_uniform(bias, Extents{1, {out.value}}, rng.stream("bias"), -k, k);
  }
  template <TensorExpr X>
  auto operator()(X&& x) const {
    return matmul(std::forward<X>(x), transpose(weight)) + bias;
  }
};

}  // namespace tenon::nn
