// SPDX-License-Identifier: Apache-2.0
// A folded graph in the order in which a program runs it: loops of element-wise operations that
// belong together, reductions, products; and where their values lie.
#pragma once
#include <tenon/deploy/operations.hpp>
#include <tenon/graph/pass/fold.hpp>
#include <tenon/graph/plan.hpp>

#include <algorithm>

namespace tenon::inline TENON_ISA::deploy {

using graph::Graph;
using graph::Node;
using graph::Value;

/// One nest of loops.
struct Step {
  enum Kind { loop, reduction, product } kind;
  Dtype compute;
  Extents over;            ///< loops: what they run over
  std::vector<int> nodes;  ///< of the graph, in order
};

/// Memory of one element type.
struct Buffer {
  Dtype dtype;
  Index elements;
};

class Steps {
 public:
  explicit Steps(Graph g) : graph(std::move(g)), made_(graph.values.size(), -1) {
    const std::size_t count = graph.values.size();
    root.resize(count), number.resize(count), counts.assign(count, false);
    for (std::size_t v = 0; v < count; ++v) root[v] = static_cast<int>(v);
    mark_needed();
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) add(static_cast<int>(n));
    find_stored();
    place();
  }

  Graph graph;
  std::vector<Step> steps;
  std::vector<int> root;                      ///< of a reshaped value: whose elements it has
  std::vector<std::optional<double>> number;  ///< by root: the same number everywhere
  std::vector<bool> counts;                   ///< by root: 0, 1, 2, ...
  std::vector<bool> stored;                   ///< by root: made by a step and in memory
  std::vector<int> output;                    ///< by root: the output it is written to, or -1
  std::vector<Index> offset;                  ///< by root: elements from its buffer's begin, or -1
  std::vector<Buffer> buffers;

  int root_of(int v) const { return root[static_cast<std::size_t>(v)]; }
  Extents extents(int v) const { return graph.value(v).at(0); }
  const Node& node(int n) const { return graph.nodes[static_cast<std::size_t>(n)]; }

 private:
  static bool is_copy(const Node& n) {
    return n.group() && n.info->node_count == 0 && !n.info->product;
  }
  static bool is_reduction(const Node& n) {
    return n.info->node_count == 1 && n.info->nodes[0].op->reduction;
  }
  [[noreturn]] static void refuse(const Node& n, const char* what) {
    fail(Error::unsupported, {"deploy: ", n.info->name, " ", what});
  }

  // Numbers stand in formulas; those that a product or the caller reads need memory.
  void mark_needed() {
    memory_.assign(graph.values.size(), false);
    for (const Node& n : graph.nodes)
      if (n.info == &kernel::detail::reshape_info)
        root[static_cast<std::size_t>(n.out[0])] = root_of(n.in[0]);
    for (const Node& n : graph.nodes)
      if (n.group() && n.info->product)
        for (int v : n.in)
          if (v >= 0) memory_[static_cast<std::size_t>(root_of(v))] = true;
    for (int v : graph.outputs) memory_[static_cast<std::size_t>(root_of(v))] = true;
  }
  void add(int at) {
    const Node& n = node(at);
    const int v = n.out[0];
    const auto r = static_cast<std::size_t>(v);
    if (n.info == &kernel::detail::reshape_info) return;
    if (const auto x = graph::constant_of(graph, n)) number[r] = x;
    else if (n.info == &kernel::detail::count_info) counts[r] = true;
    else if (!n.group()) refuse(n, "cannot be written as C++");
    if (number[r] || counts[r]) {
      if (memory_[r]) join(at, graph.value(v).dtype == Dtype::f64 ? Dtype::f64 : Dtype::f32);
      return;
    }
    if (!is_floating(n.info->compute)) refuse(n, "computes with integers, which is not exported");
    if (n.info->product) {
      if (n.info->node_count) refuse(n, "is a group; expand the graph first");
      push({Step::product, n.info->compute, {}, {at}});
    } else if (is_reduction(n)) {
      const Reduction* r2 = find_reduction(n.info->nodes[0].op->name);
      if (!r2 || n.info->check_labels) refuse(n, "cannot be written as C++");
      push({Step::reduction, n.info->compute, {}, {at}});
    } else {
      if (!is_copy(n) && (n.info->node_count != 1 || n.info->scalars))
        refuse(n, "is a group; expand the graph first");
      const Operation* o = is_copy(n) ? nullptr : find_operation(n.info->nodes[0].op->name);
      if (!is_copy(n) && !o) refuse(n, "is no operation of the library, so it has no formula here");
      if (!is_floating(graph.value(v).dtype) && !(o && o->boolean))
        refuse(n, "turns numbers into integers, which is not exported");
      join(at, n.info->compute);
    }
  }
  void push(Step s) {
    for (int n : s.nodes)
      made_[static_cast<std::size_t>(node(n).out[0])] = static_cast<int>(steps.size());
    steps.push_back(std::move(s));
  }
  // Into the loop that made the last of its operands, or the last loop, if they run over the same
  // extents.
  void join(int at, Dtype compute) {
    const Node& n = node(at);
    const Extents over = extents(n.out[0]);
    int after = -1;
    for (int v : n.in) after = std::max(after, made_[static_cast<std::size_t>(root_of(v))]);
    for (int s : {after, static_cast<int>(steps.size()) - 1}) {
      if (s < 0 || s < after) continue;
      Step& step = steps[static_cast<std::size_t>(s)];
      if (step.kind != Step::loop || step.compute != compute || !(step.over == over)) continue;
      step.nodes.push_back(at);
      made_[static_cast<std::size_t>(n.out[0])] = s;
      return;
    }
    push({Step::loop, compute, over, {at}});
  }

  void find_stored() {
    stored.assign(graph.values.size(), false), output.assign(graph.values.size(), -1);
    for (std::size_t s = 0; s < steps.size(); ++s)
      for (int n : steps[s].nodes) {
        if (steps[s].kind != Step::loop) stored[static_cast<std::size_t>(node(n).out[0])] = true;
        for (int v : node(n).in)
          if (v >= 0 && made_[static_cast<std::size_t>(root_of(v))] >= 0 &&
              made_[static_cast<std::size_t>(root_of(v))] != static_cast<int>(s))
            stored[static_cast<std::size_t>(root_of(v))] = true;
      }
    for (std::size_t v = 0; v < memory_.size(); ++v)
      if (memory_[v] && made_[v] >= 0) stored[v] = true;
    for (std::size_t k = 0; k < graph.outputs.size(); ++k) {
      const auto r = static_cast<std::size_t>(root_of(graph.outputs[k]));
      if (stored[r] && output[r] < 0) output[r] = static_cast<int>(k);
    }
  }

  // The memory plan of graph/plan.hpp, of steps in place of nodes, for each element type.
  void place() {
    static constexpr StatementInfo loop{}, other = [] {
      StatementInfo s;
      s.depth = 1;
      return s;
    }();
    Graph coarse;
    coarse.values = graph.values;
    for (std::size_t v = 0; v < output.size(); ++v)
      if (output[v] >= 0) coarse.outputs.push_back(static_cast<int>(v));
    for (const Step& s : steps) {
      Node c;
      c.info = s.kind == Step::loop ? &loop : &other;
      for (int n : s.nodes) {
        for (int v : node(n).in)
          if (v >= 0 && stored[static_cast<std::size_t>(root_of(v))]) c.in.push_back(root_of(v));
        if (stored[static_cast<std::size_t>(node(n).out[0])]) c.out.push_back(node(n).out[0]);
      }
      // What the step makes itself it does not read from before.
      std::erase_if(c.in,
                    [&](int v) { return std::find(c.out.begin(), c.out.end(), v) != c.out.end(); });
      coarse.nodes.push_back(std::move(c));
    }
    offset.assign(graph.values.size(), -1);
    for (int d = 0; d < 8; ++d) {
      const auto dtype = static_cast<Dtype>(d);
      Graph mine = coarse;
      for (Value& v : mine.values) v.generated = v.dtype != dtype;
      const graph::Plan p = graph::plan(mine, 0);
      const auto size = static_cast<Index>(size_of(dtype));
      if (p.bytes > 0) buffers.push_back({dtype, p.bytes / size});
      for (std::size_t v = 0; v < offset.size(); ++v)
        if (p.offset[v] >= 0 && graph.values[v].dtype == dtype) offset[v] = p.offset[v] / size;
    }
  }

  std::vector<int> made_;  // by value: the step that makes it
  std::vector<bool> memory_;
};

}  // namespace tenon::inline TENON_ISA::deploy
