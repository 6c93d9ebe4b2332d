// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent.
#pragma once
#include <tenon/core/config.hpp>

namespace tenon::inline TENON_ISA::optim {

/// g' = g + weight_decay w;  v = momentum v + (1 - dampening) g' (v = g' in the first step, and
/// where momentum is 0); w -= lr v, or w -= lr (g' + momentum v) with nesterov.
/// Source: Sutskever et al., On the importance of initialization and momentum, 2013, in PyTorch's
/// form.
struct Sgd {
  static constexpr const char* name = "sgd";
  float lr = 0.01f, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;

  template <class V>
  struct Slot {
    V velocity;
  };
  struct Step {
    float gain;  // 1 - dampening; 1 in the first step and without momentum
  };
  Step at(std::int64_t t) const { return {t == 1 || momentum == 0 ? 1 : 1 - dampening}; }

  template <class V>
  TENON_FN V operator()(V w, V g, Slot<V>& s, Step step) const {
    g = g + V(weight_decay) * w;
    s.velocity = V(momentum) * s.velocity + V(step.gain) * g;
    return w - V(lr) * (nesterov ? g + V(momentum) * s.velocity : s.velocity);
  }
};

}  // namespace tenon::optim
