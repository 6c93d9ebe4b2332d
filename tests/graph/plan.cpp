// SPDX-License-Identifier: Apache-2.0
// A memory plan: values that live at the same time never overlap, and the block is smaller than all
// values together.
#include <tenon/graph/plan.hpp>

#include "support/model.hpp"

using namespace tests;

TEST_CASE("plan: what lives at the same time lies apart, results in place excepted") {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Sgd{}, net);
  const Batch b = batch(6, 1);
  const auto traced = trace(training_step<optim::Sgd>, net, optimizer, b);
  const graph::Graph& g = traced.graph();
  const std::vector<int> last = graph::last_reads(g, false);
  std::vector<int> first(g.values.size(), -1);
  for (std::size_t n = 0; n < g.nodes.size(); ++n)
    for (int v : g.nodes[n].out)
      if (v >= 0) first[static_cast<std::size_t>(v)] = static_cast<int>(n);
  for (bool in_place : {false, true})
    for (Index rows : {1, 6, 500}) {
      const graph::Plan p = graph::plan(g, rows, in_place);
      CHECK(p.bytes + p.outside <= p.all + 64 * static_cast<Index>(g.values.size()));
      int overlaps = 0, taken = 0;
      for (std::size_t a = 0; a < g.values.size(); ++a)
        for (std::size_t c = a + 1; c < g.values.size(); ++c) {
          if (p.offset[a] < 0 || p.offset[c] < 0) continue;
          const bool together =
              first[a] <= std::max(last[c], first[c]) && first[c] <= std::max(last[a], first[a]);
          const bool apart = p.offset[a] + g.values[a].bytes(rows) <= p.offset[c] ||
                             p.offset[c] + g.values[c].bytes(rows) <= p.offset[a];
          if (!together || apart) continue;
          // In place: one is made by the very node that is the last to read the other.
          const bool handed = first[a] == last[c] || first[c] == last[a];
          handed&& p.offset[a] == p.offset[c] ? ++taken : ++overlaps;
        }
      CHECK(overlaps == 0);
      CHECK((in_place || taken == 0));
      if (rows == 500) CHECK(10 * (p.bytes + p.outside) < 8 * p.all);
    }
}
