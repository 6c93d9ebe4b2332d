// SPDX-License-Identifier: Apache-2.0
// Optimizers as functions of a start and the gradients of all steps, and clipping, by name.
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/registry/composed.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

/// step(w, g, t): the next w, t from 1.   w: [n]   gradients: [steps, n]   result: w after each
/// step, [steps, n]
template <class F>
Results trajectory(const Arguments& a, F&& step) {
  a.takes(2);
  Value w(a[0]);
  const Extents e = a[1].extents();
  if (e.rank != w.rank() + 1 || !(kernel::detail::reduced_extents(e, 1, false) == w.extents()))
    a.wrong("gradients " + to_string(e) + " do not fit weights " + to_string(w.extents()),
            Error::shape);
  if (e.extent[0] == 0) a.wrong("no steps", Error::shape);
  std::vector<AnyTensor> rows;
  for (Index t = 0; t < e.extent[0]; ++t) {
    w = step(w, reshape(slice(a[1], 0, t, 1), w.extents()), static_cast<double>(t + 1));
    rows.push_back(unsqueeze(w, 0).t);
  }
  return {concat(rows, 0)};
}
inline Value zeros_like(const Arguments& a) { return filled(a[0].dtype(), a[0].extents(), 0); }

inline Results sgd(const Arguments& a) {
  const double lr = a.number("lr"), momentum = a.number("momentum", 0),
               decay = a.number("weight_decay", 0), dampening = a.number("dampening", 0);
  const bool nesterov = a.flag("nesterov", false);
  Value m;
  return trajectory(a, [&](const Value& w, Value g, double) {
    if (decay != 0) g = g + decay * w;
    if (momentum != 0) {
      m = m.t.defined() ? momentum * m + (1 - dampening) * g : g;
      g = nesterov ? g + momentum * m : m;
    }
    return w - lr * g;
  });
}
/// Source: Kingma, Ba, Adam, 2015, algorithm 1; decoupled: Loshchilov, Hutter, AdamW, 2019,
/// algorithm 2.
inline Results adam_of(const Arguments& a, bool decoupled) {
  const double lr = a.number("lr"), eps = a.number("eps", 1e-8),
               decay = a.number("weight_decay", decoupled ? 0.01 : 0);
  const std::vector<double> betas = a.numbers("betas", {0.9, 0.999});
  if (betas.size() != 2) a.wrong("betas must be two numbers");
  const bool amsgrad = a.flag("amsgrad", false);
  Value m = zeros_like(a), v = m, most = m;
  return trajectory(a, [&](Value w, Value g, double t) {
    if (decoupled) w = w * (1 - lr * decay);
    else if (decay != 0) g = g + decay * w;
    m = betas[0] * m + (1 - betas[0]) * g;
    v = betas[1] * v + (1 - betas[1]) * square(g);
    if (amsgrad) most = maximum(most, v);
    const double bias1 = 1 - std::pow(betas[0], t), bias2 = std::sqrt(1 - std::pow(betas[1], t));
    return w - (lr / bias1) * m / (sqrt(amsgrad ? most : v) / bias2 + eps);
  });
}
inline Results adam(const Arguments& a) { return adam_of(a, false); }
inline Results adamw(const Arguments& a) { return adam_of(a, true); }

inline Results clip_grad_value(const Arguments& a) {
  a.takes(1);
  const double most = a.number("value");
  return {clamp(Value(a[0]), -most, most)};
}
inline Results clip_grad_norm(const Arguments& a) {
  a.takes(1);
  const Value g(a[0]);
  const Value length = sqrt(sum(square(g), all_axes(g)));
  return {g * minimum(a.number("max_norm") / (length + a.number("epsilon", 1e-6)), 1)};
}

inline constexpr Operation optimize_table[] = {{"sgd", sgd},
                                               {"adam", adam},
                                               {"adamw", adamw},
                                               {"clip_grad_value", clip_grad_value},
                                               {"clip_grad_norm", clip_grad_norm}};

}  // namespace detail

template <class>
std::span<const Operation> optimize_operations() {
  return detail::optimize_table;
}

}  // namespace tenon::inline TENON_ISA::registry
