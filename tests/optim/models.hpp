// SPDX-License-Identifier: Apache-2.0
// Small models and hand-written loops for the optimizers' tests.
#pragma once
#include <tenon/optim/all.hpp>

#include "support/tensors.hpp"

namespace tests {

template <class T>
struct One {
  Tensor<T, Shape<dyn>> w;
};
template <class T>
One<T> one(const AnyTensor& w) {
  return {Tensor<T, Shape<dyn>>(w.to(dtype_of<T>))};
}

/// The weights after each of `steps` steps of a rule from w with gradients g(step).
template <class T, class Rule, class G>
std::vector<std::vector<double>> trajectory(const Rule& rule, const AnyTensor& w, int steps,
                                            G&& g) {
  One<T> net = one<T>(w);
  auto optimizer = optim::make(rule, net);
  std::vector<std::vector<double>> out;
  for (int t = 1; t <= steps; ++t) {
    optimizer.step(net, one<T>(g(t)));
    out.push_back(values(net.w));
  }
  return out;
}
inline AnyTensor slope(Index n, int t) {
  return spread(Dtype::f32, extents({n}), 100 + static_cast<unsigned>(t), -1, 1).to(Dtype::f64);
}

}  // namespace tests
