// SPDX-License-Identifier: Apache-2.0
// Updates move up to where their gradients are made, and no further.
#include <tenon/graph/pass/early_updates.hpp>

#include "support/model.hpp"

using namespace tests;

TEST_CASE("early updates: behind the last reader of the old weight, before the next gradient") {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Sgd{.momentum = 0.9f}, net);
  const Batch b = batch(6, 1);
  const auto traced = trace(training_step<optim::Sgd>, net, optimizer, b);
  const auto& nodes = traced.graph().nodes;
  std::size_t updates = 0, first = nodes.size();
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (nodes[n].way != graph::Way::update) continue;
    ++updates, first = std::min(first, n);
    for (std::size_t later = n + 1; later < nodes.size(); ++later)
      for (int v : nodes[later].in) {
        CHECK(v != nodes[n].in[0]);
        if (nodes[n].operands > 2) CHECK(v != nodes[n].in[2]);
      }
  }
  CHECK(updates == 6);
  CHECK(first < nodes.size() - updates);
  CHECK_NOTHROW(graph::verify(traced.graph()));
}
