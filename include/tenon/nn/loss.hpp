// SPDX-License-Identifier: Apache-2.0
// Losses over logits and targets: each one group.
#pragma once
#include <tenon/expr/functions.hpp>
#include <tenon/expr/fuse.hpp>
#include <tenon/expr/reduce.hpp>

namespace tenon::inline TENON_ISA::nn {

// -log(softmax(x)[l]) = log(sum(exp(z))) - z[l] with z = x - max(x): z is small where it matters,
// so nothing cancels however large the logits are. The maximum is a shift; no gradient flows
// through it.

/// Mean over all rows of -log(softmax(logits)[label]).
/// logits: [..., C]   label: [...] integer   y: [], nats
/// Errors: a label outside [0, C) -> Error::index.
template <TensorExpr X, TensorExpr L>
auto cross_entropy(X&& logits, const L& label) {
  return fuse(
      [](auto x, auto l) {
        auto z = x - peak(x);
        return mean(log(sum(exp(z), axis<-1>)) - pick(z, l));
      },
      std::forward<X>(logits), label);
}
/// The same with the target (1 - s) on the label and s spread evenly over all classes.
/// Source: Szegedy et al., Rethinking the Inception architecture, 2016, section 7.
template <TensorExpr X, TensorExpr L>
auto cross_entropy(X&& logits, const L& label, float label_smoothing) {
  return fuse(
      [](auto x, auto l, auto s) {
        auto z = x - peak(x);
        return mean(log(sum(exp(z), axis<-1>)) - (1 - s) * pick(z, l) - s * mean(z, axis<-1>));
      },
      std::forward<X>(logits), label, label_smoothing);
}
/// Without the mean: one loss a row.   y: [...]
template <TensorExpr X, TensorExpr L>
auto cross_entropy_rows(X&& logits, const L& label) {
  return fuse(
      [](auto x, auto l) {
        auto z = x - peak(x);
        return log(sum(exp(z), axis<-1>)) - pick(z, l);
      },
      std::forward<X>(logits), label);
}

/// Mean of (x - target)^2 over all elements.
template <TensorExpr X, TensorExpr Y>
auto mse_loss(X&& x, const Y& target) {
  return fuse([](auto x, auto y) { return mean(square(x - y)); }, std::forward<X>(x), target);
}

}  // namespace tenon::nn
