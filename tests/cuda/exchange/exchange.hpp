// SPDX-License-Identifier: Apache-2.0
// What a file built by g++ and one built by nvcc share in one program.
#pragma once
#include <tenon/cuda.hpp>
#include <tenon/tenon.hpp>

namespace exchange {
using namespace tenon;

struct Net {
  nn::Linear<8, 16> hidden;
  nn::Linear<16, 3> last;
  auto operator()(const auto& x) const { return last(relu(hidden(x))); }
};
struct Sample {
  Tensor<float, Shape<dyn, 8>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
inline auto loss(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }
using Sgd = optim::Optimizer<optim::Sgd, Net>;

// What device.cu does.
Net made_there(Device d);
void trained_there(Net& net, Sgd& optimizer, const Sample& s, int steps);
/// sigmoid(x), a statement of one operation.
Tensor<float, Shape<dyn, 8>> plain_there(const Tensor<float, Shape<dyn, 8>>& x);
/// A statement that only device.cu has.
Tensor<float, Shape<dyn, 8>> only_there(const Tensor<float, Shape<dyn, 8>>& x);

}  // namespace exchange
