// SPDX-License-Identifier: Apache-2.0
// Runs of a graph: memory is planned once for each of a few numbers of rows, whatever their order,
// and the values do not depend on it.
#include <tenon/graph/run.hpp>

#include "support/model.hpp"

using namespace tests;

namespace {
Tensor<float, Shape<dyn, 5>> forward(const Net& net, const Batch& b) {
  Evaluation mode;
  return predict(net, b);
}
}  // namespace

TEST_CASE("run: numbers of rows that alternate are planned once each") {
  const auto net = nn::init<Net>(Rng{3});
  auto traced = trace(forward, net, batch(4, 1));
  CHECK(traced.plans_made() == 0);
  for (int epoch = 0; epoch < 3; ++epoch)
    for (Index rows : {8, 8, 3}) {
      const Batch b = batch(rows, static_cast<unsigned>(epoch));
      CHECK(same_bits(traced(net, b).any(), forward(net, b).any()));
      CHECK(traced.plan().all == graph::plan(traced.graph(), rows).all);
    }
  CHECK(traced.plans_made() == 2);
}

TEST_CASE("run: of many numbers of rows the latest are kept, and no more") {
  const auto net = nn::init<Net>(Rng{3});
  auto traced = trace(forward, net, batch(4, 1));
  constexpr Index kept = Index{graph::Workspace::most_earlier} + 1;
  auto run = [&](Index rows) {
    const Index before = traced.plans_made();
    const Batch b = batch(rows, 5);
    CHECK(same_bits(traced(net, b).any(), forward(net, b).any()));
    return traced.plans_made() - before;
  };
  for (Index rows = 1; rows <= 2 * kept; ++rows) CHECK(run(rows) == 1);
  for (Index rows = 2 * kept; rows > kept; --rows) CHECK(run(rows) == 0);
  CHECK(run(1) == 1);
  CHECK(run(kept + 1) == 0);
  CHECK(run(2 * kept) == 1);  // the one that was not asked for longest has gone
}

TEST_CASE("run: a batch that is refused leaves the plans alone") {
  const auto net = nn::init<Net>(Rng{3});
  auto traced = trace(forward, net, batch(4, 1));
  traced(net, batch(4, 1));
  Batch odd = batch(6, 2);
  odd.label = batch(4, 2).label;
  CHECK_THROWS_WITH(traced(net, odd), ContainsSubstring("does not fit on axis 0"));
  traced(net, batch(4, 3));
  CHECK(traced.plans_made() == 1);
}
