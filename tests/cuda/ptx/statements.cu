// SPDX-License-Identifier: Apache-2.0
// Statements whose kernels ptx.sh reads.
// one result a row: 2
#define EIGEN_NO_CUDA
#include <tenon/cuda.hpp>
#include <tenon/tenon.hpp>

using namespace tenon;
using Rows = Tensor<float, Shape<dyn, 64>>;

Rows chain(const Rows& x, const Tensor<float, Shape<64>>& r) { return tanh(x * r) * sigmoid(x); }
Rows soft(const Rows& x) { return softmax(x, axis<-1>); }
Tensor<double, Shape<dyn, 64>> wide(const Tensor<double, Shape<dyn, 64>>& x) { return exp(x) + x; }
Tensor<float, Shape<>> loss(const Rows& x, const Tensor<std::int64_t, Shape<dyn>>& label) {
  return nn::cross_entropy(x, label);
}
Tensor<float, Shape<>> sums(const Rows& x) { return sum(x * x); }
Rows normed(const Rows& x, const nn::LayerNorm<64>& norm) { return norm(x); }
Rows layer(const Rows& x, const nn::Linear<64, 64>& l) { return relu(l(x)); }

int main() { return 0; }
