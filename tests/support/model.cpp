// SPDX-License-Identifier: Apache-2.0
// The kernels of the model that tests of graphs share, those for the fake device among them.
#include "support/fake_device.hpp"

#include "support/model.hpp"

namespace tests {

Tensor<float, Shape<dyn, 5>> predict(const Net& net, const Batch& b) { return net(b.x); }
Tensor<float, Shape<>> loss_of(const Net& net, const Batch& b) {
  return nn::cross_entropy(net(b.x), b.label);
}
template <class Rule>
Scalar training_step(Net& net, optim::Optimizer<Rule, Net>& optimizer, const Batch& b) {
  auto g = batch_gradient(loss_of, net, b);
  update(optimizer, net, g);
  return g.loss;
}
template Scalar training_step(Net&, optim::Optimizer<optim::Sgd, Net>&, const Batch&);
template Scalar training_step(Net&, optim::Optimizer<optim::Adam, Net>&, const Batch&);

}  // namespace tests
