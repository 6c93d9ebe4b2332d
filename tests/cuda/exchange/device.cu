// SPDX-License-Identifier: Apache-2.0
// The half that nvcc builds.
#define EIGEN_NO_CUDA
#include "exchange.hpp"

namespace exchange {

Net made_there(Device d) { return to(nn::init<Net>(Rng{7}), d); }
void trained_there(Net& net, Sgd& optimizer, const Sample& s, int steps) {
  for (int i = 0; i < steps; ++i) train_step(net, optimizer, loss, s);
}
Tensor<float, Shape<dyn, 8>> plain_there(const Tensor<float, Shape<dyn, 8>>& x) {
  return sigmoid(x);
}
Tensor<float, Shape<dyn, 8>> only_there(const Tensor<float, Shape<dyn, 8>>& x) {
  return tanh(x) * x + exp(-x);
}

}  // namespace exchange
