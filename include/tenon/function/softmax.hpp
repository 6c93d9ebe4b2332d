// SPDX-License-Identifier: Apache-2.0
// softmax and log_softmax along an axis, as one fused group.
#pragma once
#include <tenon/expr/functions.hpp>
#include <tenon/expr/fuse.hpp>
#include <tenon/expr/reduce.hpp>
#include <tenon/function/shape.hpp>

namespace tenon::inline TENON_ISA {

namespace op {
// The groups as functions with a name, which nvcc takes where it does not take a lambda.
template <int Axis>
struct SoftmaxGroup {
  constexpr auto operator()(auto x) const {
    auto e = exp(x - reduce<Peak>(x, axis<Axis>, keepdims));
    return e / sum(e, axis<Axis>, keepdims);
  }
};
template <int Axis>
struct LogSoftmaxGroup {
  constexpr auto operator()(auto x) const { return x - logsumexp(x, axis<Axis>, keepdims); }
};
}  // namespace op

/// y = exp(x - m) / sum(exp(x - m)), m the largest element along the axis: never overflows. f32,
/// f64. A row of -inf alone gives NaN.
template <TensorExpr X, int A>
constexpr auto softmax(X&& x, AxisTag<A>) {
  if constexpr (std::is_same_v<std::remove_cvref_t<X>, expr::Symbol>)
    return op::SoftmaxGroup<A>{}(x);
  else return fuse(op::SoftmaxGroup<A>{}, std::forward<X>(x));
}
/// y = x - log(sum(exp(x))) along the axis, without overflow.
template <TensorExpr X, int A>
constexpr auto log_softmax(X&& x, AxisTag<A>) {
  if constexpr (std::is_same_v<std::remove_cvref_t<X>, expr::Symbol>)
    return op::LogSoftmaxGroup<A>{}(x);
  else return fuse(op::LogSoftmaxGroup<A>{}, std::forward<X>(x));
}

}  // namespace tenon
