// SPDX-License-Identifier: Apache-2.0
// What a legal graph is.
#pragma once
#include <tenon/graph/ir.hpp>

#include <algorithm>

namespace tenon::inline TENON_ISA::graph {

/// Every value is an input, a constant or made by one node, before it is read; lists have the
/// lengths that their nodes' ways ask for; numbers of values, operands and sources exist. Errors:
/// Error::trace naming node, operation and what is wrong.
inline void verify(const Graph& g) {
  const int count = static_cast<int>(g.values.size());
  std::vector<bool> made(g.values.size(), false);
  std::size_t at = 0;
  auto wrong = [&](const Node& n, const char* what, int v) {
    fail(Error::trace,
         {"graph: node ", at, " (", n.info ? n.info->name : "?", "): ", what, " ", v});
  };
  for (std::size_t v = 0; v < g.values.size(); ++v) {
    const Value& value = g.values[v];
    if (value.rank() > max_rank)
      fail(Error::trace, {"graph: value ", v, " has rank ", value.rank()});
    if (value.origin == Origin::constant && !value.constant.defined())
      fail(Error::trace, {"graph: value ", v, " is a constant without elements"});
    made[v] = value.origin == Origin::constant;
  }
  if (g.states.size() != g.inputs.size())
    fail(Error::trace, {"graph: ", g.inputs.size(), " inputs and ", g.states.size(), " states"});
  for (int v : g.inputs) {
    if (v < 0 || v >= count || made[static_cast<std::size_t>(v)] ||
        g.value(v).origin != Origin::input)
      fail(Error::trace, {"graph: input ", v, " is no input value or stands twice"});
    made[static_cast<std::size_t>(v)] = true;
  }
  for (; at < g.nodes.size(); ++at) {
    const Node& n = g.nodes[at];
    if (!n.info) wrong(n, "it has no operation, operands:", n.operands);
    if (n.operands < 0 || n.operands > max_leaves + 2) wrong(n, "operands:", n.operands);
    const auto operands = static_cast<std::size_t>(n.operands);
    const std::size_t in = n.way == Way::backward ? 2 * operands + 3 : operands,
                      out = n.way == Way::backward   ? operands
                            : n.way == Way::forward  ? 2
                            : n.way == Way::together ? n.out.size()
                                                     : operands - 1;
    if (n.in.size() != in) wrong(n, "values read:", static_cast<int>(n.in.size()));
    if (n.out.size() != out) wrong(n, "values made:", static_cast<int>(n.out.size()));
    if (n.scalar.size() != n.info->scalars) wrong(n, "scalars:", static_cast<int>(n.scalar.size()));
    if (n.way == Way::together) {  // its operations read what it reads and what they make
      if (!n.together || n.out.empty()) wrong(n, "operations:", 0);
      std::vector<int> known = n.in;
      auto unknown = [&](int v) { return std::find(known.begin(), known.end(), v) == known.end(); };
      for (const Node& o : n.together->nodes) {
        for (int v : o.in)
          if (unknown(v)) wrong(n, "an operation reads what the node does not:", v);
        known.push_back(o.out[0]);
      }
      for (int v : n.out)
        if (unknown(v)) wrong(n, "no operation makes the value", v);
    }
    if (n.group() && (n.way == Way::forward || n.way == Way::backward) &&
        n.operands != n.info->leaves + (n.info->product ? 2 : 0))
      wrong(n, "operands:", n.operands);
    for (int v : n.in) {
      if (v >= count) wrong(n, "it reads a value that does not exist:", v);
      if (v >= 0 && !made[static_cast<std::size_t>(v)]) wrong(n, "it reads before it is made:", v);
    }
    for (std::size_t k = 0; k < n.out.size(); ++k) {
      const int v = n.out[k];
      if (v >= count) wrong(n, "it makes a value that does not exist:", v);
      if (v < 0 &&
          (n.way == Way::update || n.way == Way::together || (n.way == Way::forward && k == 0)))
        wrong(n, "it makes no value at place", static_cast<int>(k));
      if (v < 0) continue;
      if (made[static_cast<std::size_t>(v)]) wrong(n, "it makes a value again:", v);
      made[static_cast<std::size_t>(v)] = true;
    }
    if (n.way == Way::update && (n.source < 0 || n.source >= static_cast<int>(g.sources.size())))
      wrong(n, "it has no optimizer:", n.source);
  }
  for (const auto* list : {&g.outputs, &g.states})
    for (int v : *list) {
      if (list == &g.states && v < 0) continue;
      if (v < 0 || v >= count || !made[static_cast<std::size_t>(v)])
        fail(Error::trace, {"graph: the result ", v, " is never made"});
    }
}

}  // namespace tenon::graph
