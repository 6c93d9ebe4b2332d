// SPDX-License-Identifier: Apache-2.0
// The first program of README.md; tests/docs/snippets.sh compares what it prints with what
// README.md says.
// example-begin first_program
#include <tenon/tenon.hpp>
using namespace tenon;

struct Net {
  nn::Linear<2, 16> hidden;
  nn::Linear<16, 1> out;
  auto operator()(const auto& x) const { return sigmoid(out(tanh(hidden(x)))); }
};

int main() {
  auto x = tensor<float>({{0, 0}, {0, 1}, {1, 0}, {1, 1}});
  auto y = tensor<float>({{0}, {1}, {1}, {0}});  // exclusive or
  auto net = nn::init<Net>(Rng{1});
  auto optimizer = optim::make(optim::Adam{.lr = 0.05f}, net);
  for (int step = 0; step < 200; ++step) {
    Tape tape;
    auto loss = nn::mse_loss(net(x), y);
    optimizer.step(net, tape.gradient(loss, net));  // the gradient is a Net too
  }
  print(round(net(x)));
}
// example-end first_program
