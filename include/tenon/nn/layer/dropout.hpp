// SPDX-License-Identifier: Apache-2.0
// Dropout.
#pragma once
#include <tenon/expr/functions.hpp>
#include <tenon/kernel/generated.hpp>

namespace tenon::inline TENON_ISA::nn {

/// In training y = x / (1 - p) with probability 1 - p, else 0; otherwise y = x.   0 <= p < 1
/// The mask is made from a counter, forward and again in backward; it takes no memory.
/// Source: Srivastava et al., Dropout, 2014.
struct Dropout {
  float p = 0.5f;

  template <TensorExpr X>
  auto operator()(X&& x) const {
    using T = element_of<X>;
    using S = shape_of<X>;
    if (!(p >= 0 && p < 1)) fail(Error::value, {"dropout: p is ", p, ", not in [0, 1)"});
    const S shape = x.shape();
    const bool active = p > 0 && is_training();
    const float keep = active ? 1 - p : 1;
    // Without dropout the mask is the constant 0, which every `u < keep` passes.
    AnyTensor u = active ? kernel::uniform_leaf(dtype_of<compute_t<T>>, shape.extents())
                         : kernel::filled(dtype_of<compute_t<T>>, Extents{}, 0);
    auto mask = detail_leaf<compute_t<T>>(std::move(u), shape);
    return where(std::move(mask) < keep, std::forward<X>(x) * (1 / keep), 0.0f);
  }

 private:
  template <class C, class S>
  static auto detail_leaf(AnyTensor t, S shape) {
    return tenon::detail::leaf_expression<C, S>(std::move(t), shape.extents().extent);
  }
};

}  // namespace tenon::nn
