// SPDX-License-Identifier: Apache-2.0
// Adam and AdamW.
#pragma once
#include <tenon/core/config.hpp>
#include <tenon/core/scalar.hpp>

#include <cmath>

namespace tenon::inline TENON_ISA::optim {

/// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
/// w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps).   t: step, from 1
/// weight_decay is added to g, or with `decoupled` (AdamW) taken from w: w -= lr weight_decay w.
/// Source: Kingma, Ba, Adam, 2015, algorithm 1; Loshchilov, Hutter, Decoupled weight decay, 2019,
/// algorithm 2.
struct Adam {
  static constexpr const char* name = "adam";
  float lr = 1e-3f, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0;
  bool decoupled = false;

  template <class V>
  struct Slot {
    V m, v;
  };
  struct Step {
    float rate, root;  // lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  };
  Step at(std::int64_t t) const {
    const double b1 = 1 - std::pow(double(beta1), double(t)),
                 b2 = 1 - std::pow(double(beta2), double(t));
    return {static_cast<float>(lr / b1), static_cast<float>(1 / std::sqrt(b2))};
  }

  template <class V>
  TENON_FN V operator()(V w, V g, Slot<V>& s, Step step) const {
    if (!decoupled) g = g + V(weight_decay) * w;
    else w = w - V(lr) * V(weight_decay) * w;
    s.m = V(beta1) * s.m + V(1 - beta1) * g;
    s.v = V(beta2) * s.v + V(1 - beta2) * g * g;
    using namespace scalar;
    return w - V(step.rate) * s.m / (sqrt(s.v) * V(step.root) + V(eps));
  }
};

}  // namespace tenon::optim
