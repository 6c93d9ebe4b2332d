// SPDX-License-Identifier: Apache-2.0
// One graph for any batch size, from the same program recorded with three.
#pragma once
#include <tenon/graph/ir.hpp>

namespace tenon::inline TENON_ISA::graph {

/// The numbers of rows to record a program with, given the rows of an example; two at least, as one
/// row hides the step of a slice.
struct Samples {
  Index rows[3];
  explicit Samples(Index b) : rows{b < 2 ? 2 : b, rows[0] + 1, 2 * rows[0] + 3} {}
};

namespace detail {

[[noreturn]] TENON_COLD inline void fail_fit(const Node& n, const char* what) {
  fail(Error::trace, {"trace: ", n.info->name, ": ", what,
                      " does not follow the batch size as constant + rate * rows"});
}
/// The affine integer with three values, or an error.
inline Affine fit(const Node& n, const char* what, const Index* x, const Samples& s) {
  const Index rate = x[1] - x[0];
  const Affine a{x[0] - rate * s.rows[0], rate};
  if (a.at(s.rows[2]) != x[2]) fail_fit(n, what);
  return a;
}
inline bool alike(const Node& a, const Node& b) {
  return a.way == b.way && a.info == b.info && a.operands == b.operands && a.in == b.in &&
         a.out == b.out && a.wanted == b.wanted && a.accumulate == b.accumulate &&
         a.source == b.source && a.ahead == b.ahead && a.scalar == b.scalar &&
         a.number == b.number && a.integer.size() == b.integer.size() && a.how.axes == b.how.axes &&
         a.how.keepdims == b.how.keepdims && a.how.total == b.how.total &&
         a.how.dropped_leaves == b.how.dropped_leaves && a.how.transpose_a == b.how.transpose_a &&
         a.how.transpose_b == b.how.transpose_b;
}

}  // namespace detail

/// Recorded with s.rows[0], [1] and [2] rows. Errors: a list of statements, a number or an integer
/// that does not follow the batch size.
inline Graph fitted(Graph g, const Graph& second, const Graph& third, const Samples& s) {
  using detail::fit;
  const Graph* other[2] = {&second, &third};
  for (const Graph* o : other) {
    const std::size_t n = std::min(g.nodes.size(), o->nodes.size());
    for (std::size_t i = 0; i < n; ++i)
      if (!detail::alike(g.nodes[i], o->nodes[i]))
        fail(Error::trace,
             {"trace: statement ", i, " is ", g.nodes[i].info->name, " for one batch", " and ",
              o->nodes[i].info->name, " or has other operands or numbers for another"});
    if (g.nodes.size() != o->nodes.size())
      fail(Error::trace, {"trace: ", g.nodes.size(), " statements for one batch, ", o->nodes.size(),
                          " for another"});
    if (g.inputs != o->inputs || g.outputs != o->outputs || g.positions != o->positions ||
        g.calls != o->calls)
      fail(Error::trace, {"trace: what is computed depends on the batch size"});
  }
  const Node none{};
  for (std::size_t v = 0; v < g.values.size(); ++v) {
    const std::size_t rank = g.values[v].extents.size();
    for (const Graph* o : other)
      if (o->values[v].extents.size() != rank)
        fail(Error::trace, {"trace: the rank of a value depends on the batch size"});
    for (std::size_t k = 0; k < rank; ++k) {
      const Index x[] = {g.values[v].extents[k].constant, second.values[v].extents[k].constant,
                         third.values[v].extents[k].constant};
      const Index rate = x[1] - x[0];
      const Affine a{x[0] - rate * s.rows[0], rate};
      if (a.at(s.rows[2]) != x[2])
        fail(Error::trace, {"trace: an extent on axis ", k, " (", x[0], ", ", x[1], ", ", x[2],
                            ") does not follow the batch size as constant + rate * rows"});
      g.values[v].extents[k] = a;
    }
  }
  for (std::size_t i = 0; i < g.nodes.size(); ++i)
    for (std::size_t k = 0; k < g.nodes[i].integer.size(); ++k) {
      const Index x[] = {g.nodes[i].integer[k].constant, second.nodes[i].integer[k].constant,
                         third.nodes[i].integer[k].constant};
      g.nodes[i].integer[k] = fit(g.nodes[i], "an integer", x, s);
    }
  return g;
}

}  // namespace tenon::graph
