// SPDX-License-Identifier: Apache-2.0
// Without what nobody reads a graph gives the same results.
#include <tenon/graph/pass/dead_code.hpp>

#include "support/model.hpp"

using namespace tests;

TEST_CASE("dead code: statements and gradients that nobody reads are gone, results are the same") {
  auto net = nn::init<Net>(Rng{3});
  const Batch b = batch(6, 1);
  auto f = [](Net& n, const Batch& in) {
    Tensor unused = exp(in.x) * 3.0f;
    Tape tape;
    Tensor y = mean(square(n(in.x)));
    auto g = tape.gradient(y, n);
    return Tensor(g.fc2.bias + 0 * y);
  };
  seed_random(1);
  const auto want = f(net, b);
  seed_random(1);
  auto traced = trace(f, net, b);
  CHECK(same_bits(traced(net, b).any(), want.any()));
  for (const graph::Node& n : traced.graph().nodes) CHECK(std::string(n.info->name) != "exp");
  int backward = 0;
  for (const graph::Node& n : traced.graph().nodes) backward += n.way == graph::Way::backward;
  CHECK(backward < 4);
  graph::Graph again = traced.graph();
  graph::remove_dead_code(again);
  CHECK(again.nodes.size() == traced.graph().nodes.size());
}
