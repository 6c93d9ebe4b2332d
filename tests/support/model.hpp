// SPDX-License-Identifier: Apache-2.0
// A small model with dropout, its batches, its loss and its step, for tests of graphs. What makes kernels is compiled
// once, in model.cpp.
#pragma once
#include <tenon/graph.hpp>
#include <tenon/optim/adam.hpp>
#include <tenon/optim/sgd.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace tests {

struct Net {
  nn::Linear<12, 16> fc1;
  nn::Dropout drop{.p = 0.25f};
  nn::LayerNorm<16> norm;
  nn::Linear<16, 5> fc2;
  auto operator()(const auto& x) const { return fc2(norm(drop(tanh(fc1(x))))); }
};
struct Batch {
  Tensor<float, Shape<dyn, 12>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
Tensor<float, Shape<dyn, 5>> predict(const Net& net, const Batch& b);
Tensor<float, Shape<>> loss_of(const Net& net, const Batch& b);
/// Gradient and update; the mean loss. For Sgd and Adam.
template <class Rule>
Scalar training_step(Net& net, optim::Optimizer<Rule, Net>& optimizer, const Batch& b);

inline Batch batch(Index rows, unsigned seed) {
  Batch b;
  b.x = Tensor<float, Shape<dyn, 12>>(spread(Dtype::f32, extents({rows, 12}), seed));
  b.label = Tensor<std::int64_t, Shape<dyn>>(
      made(Dtype::i64, extents({rows}), [](Index i) { return i * 3 % 5; }));
  return b;
}
/// The outputs of one run of a graph.
inline std::vector<AnyTensor> run(const graph::Graph& g, std::vector<AnyTensor> in) {
  std::vector<AnyTensor*> handle;
  for (AnyTensor& t : in) handle.push_back(&t);
  std::vector<AnyTensor> out(g.outputs.size());
  graph::Workspace w;
  const graph::Program program(g);
  program(w, handle, out);
  return out;
}
/// Deep enough a copy that nothing of one is seen by the other.
template <class Optimizer>
Optimizer own(const Optimizer& o) {
  Optimizer copy = o;
  for (auto& s : copy.state) s = clone(s);
  return copy;
}
template <class Model>
bool same_parameters(const Model& a, const Model& b) {
  tenon::detail::Members x(tenon::detail::Members::parameters),
      y(tenon::detail::Members::parameters);
  tenon::detail::collect_members(x, a), tenon::detail::collect_members(y, b);
  bool same = x.size() == y.size();
  for (std::size_t i = 0; same && i < x.size(); ++i) same = same_bits(x[i], y[i]);
  return same;
}

}  // namespace tests
