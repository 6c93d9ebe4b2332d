// SPDX-License-Identifier: Apache-2.0
// Folded graphs: dropout in evaluation disappears, and no bit of a result changes.
#include <tenon/graph/pass/fold.hpp>

#include <tenon/graph/pass/expand.hpp>

#include "support/model.hpp"

using namespace tests;

namespace fold_test {

namespace {

int count(const graph::Graph& g, std::string_view name) {
  int n = 0;
  for (const graph::Node& node : g.nodes) n += name == node.info->name;
  return n;
}
struct In {
  Tensor<float, Shape<dyn, 3>> x;
};

}  // namespace

TEST_CASE("fold: dropout in evaluation mode leaves nothing, and the values keep their bits") {
  const auto net = nn::init<Net>(Rng{3});
  Evaluation evaluation;
  const auto traced = trace(predict, net, batch(5, 2));
  const graph::Graph whole = graph::expand(traced.graph());
  graph::Graph g = whole;
  graph::fold(g);
  graph::verify(g);
  CHECK(count(whole, "where") == 1);
  CHECK(count(g, "where") == 0);
  CHECK(count(g, "less") == 0);
  CHECK(g.nodes.size() < whole.nodes.size());
  for (Index rows : {1, 5, 8}) {
    std::vector<AnyTensor> in;
    graph::detail::each_tensor({}, net,
                               [&](const graph::detail::Path&, AnyTensor& t) { in.push_back(t); });
    const Batch b = batch(rows, 4);
    in.push_back(b.x.any()), in.push_back(b.label.any());
    CHECK(same_bits(run(g, in)[0], run(whole, in)[0]));
    CHECK(same_bits(run(graph::fixed(g, rows), in)[0], run(whole, in)[0]));
  }
}

TEST_CASE("fold: numbers are computed, what changes nothing goes, what changes a bit stays") {
  struct Out {
    Tensor<float, Shape<dyn, 3>> same, zero, where, scaled;
  };
  auto f = [](const In& in) {
    using One = Tensor<float, Shape<>>;
    const One one(kernel::filled(Dtype::f32, Extents{}, 1));
    Tensor two = one + one;
    const Tensor<float, Shape<dyn, 3>> mask(kernel::filled(Dtype::f32, in.x.any().extents(), 0));
    return Out{Tensor(in.x * one / one - 0.0f), Tensor(in.x + 0.0f),
               Tensor(where(mask < 1.0f, in.x, 5.0f)), Tensor(in.x * exp(two))};
  };
  const In in{Tensor<float, Shape<dyn, 3>>(
      of(Dtype::f32, extents({2, 3}), {-0.0, 0, 1, -2, 1e-40, not_a_number}))};
  const auto traced = trace(f, in);
  const graph::Graph whole = graph::expand(traced.graph());
  graph::Graph g = whole;
  graph::fold(g);
  graph::verify(g);
  CHECK(g.outputs[0] == g.inputs[0]);
  CHECK(g.outputs[1] != g.inputs[0]);  // -0 + 0 is 0
  CHECK(g.outputs[2] == g.inputs[0]);
  CHECK(count(g, "exp") == 0);
  CHECK(count(g, "multiply") == 1);
  const auto a = run(g, {in.x.any()}), b = run(whole, {in.x.any()});
  for (std::size_t k = 0; k < a.size(); ++k) CHECK(same_bits(a[k], b[k]));
}

}  // namespace fold_test
