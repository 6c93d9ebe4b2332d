// SPDX-License-Identifier: Apache-2.0
// The headers as nvcc sees them: no warning from it, and the program does on the host what g++'s does.
#define EIGEN_NO_CUDA
#include <tenon/tenon.hpp>

#include <cstdio>
using namespace tenon;

struct Net {
  nn::Linear<8, 4> hidden;
  nn::Linear<4, 3> out;
  auto operator()(const auto& x) const { return out(relu(hidden(x))); }
};

int main() {
  auto net = nn::init<Net>(Rng{1});
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
  const Tensor<float, Shape<dyn, 8>> x = ones<float>(Shape<dyn, 8>{5});
  AnyTensor label = AnyTensor::empty(Dtype::i64, Extents{1, {5}});
  {
    auto m = label.write<std::int64_t>();
    for (Index i = 0; i < 5; ++i) m[i] = i % 3;
  }
  const Tensor<std::int64_t, Shape<dyn>> target = label;
  float first = 0, last = 0;
  for (int step = 0; step < 20; ++step) {
    Tape tape;
    auto loss = nn::cross_entropy(net(x), target);
    optimizer.step(net, tape.gradient(loss, net));
    last = loss.item();
    if (step == 0) first = last;
  }
  std::printf("loss %g -> %g\n", static_cast<double>(first), static_cast<double>(last));
  return last < first ? 0 : 1;
}
