// SPDX-License-Identifier: Apache-2.0
// The verifier accepts what trace makes and finds what is planted in it.
#include <tenon/graph/verify.hpp>

#include "support/model.hpp"

using namespace tests;

TEST_CASE("verify finds planted faults and names the node") {
  auto net = nn::init<Net>(Rng{3});
  const Batch b = batch(6, 1);
  auto f = [](Net& n, const Batch& in) {
    auto g = batch_gradient(loss_of, n, in);
    return g.model;
  };
  const graph::Graph legal = trace(f, net, b).graph();
  CHECK_NOTHROW(graph::verify(legal));
  auto finds = [&](auto plant, const char* words) {
    CAPTURE(words);
    graph::Graph g = legal;
    plant(g);
    CHECK_THROWS_WITH(graph::verify(g), ContainsSubstring(words));
  };
  finds([](auto& g) { g.nodes[2].in[1] = 4711; }, "node 2");
  finds(
      [](auto& g) {
        const auto& made = g.nodes.back().out;
        g.nodes[1].in[1] = *std::max_element(made.begin(), made.end());
      },
      "before it is made");
  finds([](auto& g) { g.nodes[3].out[0] = g.nodes[2].out[0]; }, "makes a value again");
  finds([](auto& g) { g.nodes[2].out[0] = -1; }, "makes no value at place 0");
  finds([](auto& g) { g.nodes[1].in.pop_back(); }, "values read");
  finds([](auto& g) { g.nodes.pop_back(); }, "is never made");
  finds([](auto& g) { g.nodes[1].info = nullptr; }, "has no operation");
  finds([](auto& g) { g.inputs[0] = g.inputs[1]; }, "stands twice");
  finds([](auto& g) { g.outputs[0] = -1; }, "the result -1");
}
