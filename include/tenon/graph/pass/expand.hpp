// SPDX-License-Identifier: Apache-2.0
// Expand: groups, forward and backward, as the operations they are made of. What is saved, exported
// or fused across groups starts here. The values agree up to rounding, not to the bit.
#pragma once
#include <tenon/graph/fit.hpp>
#include <tenon/graph/pass/common.hpp>
#include <tenon/graph/pass/dead_code.hpp>
#include <tenon/graph/recording.hpp>
#include <tenon/graph/verify.hpp>

namespace tenon::inline TENON_ISA::graph {

namespace detail {

/// A graph run operation by operation, on ones, and recorded anew.
class Expansion {
 public:
  Expansion(const Graph& g, Index rows) : g_(g), rows_(rows), value_(g.values.size()) {}

  Graph run() {
    Recording r;
    for (int v : g_.inputs) {
      at(v) = kernel::detail::fill(g_.value(v).dtype, g_.value(v).at(rows_), 1);
      // Labels: 0 is one.
      if (!is_floating(at(v).dtype()))
        at(v) = kernel::detail::fill(at(v).dtype(), at(v).extents(), 0);
      r.input(at(v), g_.value(v).name);
    }
    r.open();
    for (const Node& n : g_.nodes) {
      if (n.way == Way::backward) backward(n, r);
      else if (n.way == Way::together)
        for (const Node& o : n.together->nodes) o.group() ? forward(o) : function(o, r);
      else if (n.group()) forward(n);
      else function(n, r);
    }
    for (int v : g_.outputs) r.output(at(v), g_.value(v).name);
    for (int v : g_.states) r.state(v < 0 ? nullptr : &at(v));
    Graph out = r.close();
    out.sources = g_.sources, out.positions = g_.positions, out.calls = g_.calls;
    return out;
  }

 private:
  AnyTensor& at(int v) { return value_[static_cast<std::size_t>(v)]; }
  AnyTensor given(int v) { return v < 0 ? AnyTensor{} : at(v); }

  void forward(const Node& n) {
    AnyTensor operand[max_leaves + 2];
    for (int i = 0; i < n.operands; ++i) operand[i] = given(n.in[static_cast<std::size_t>(i)]);
    GroupCall how = n.how;
    kernel::settle_scale(*n.info, operand, how);
    const Dtype dtype = g_.value(n.out[0]).dtype;
    const bool single = is_single(*n.info);
    if (n.info->node_count == 0 || (single && how.total == Total::none))
      at(n.out[0]) = kernel::evaluate(single ? *n.info->nodes[0].op->single : *n.info, operand,
                                      n.operands, n.scalar.data(), how, dtype, Context{});
    else at(n.out[0]) = kernel::interpret_forward(*n.info, operand, n.scalar.data(), how, dtype);
  }
  /// One operation of leaves alone, in their order.
  static bool is_single(const StatementInfo& i) {
    if (i.node_count != 1 || i.product || i.scalars || i.leaves != i.nodes[0].op->arity)
      return false;
    for (int k = 0; k < i.leaves; ++k)
      if (i.nodes[0].operand[k] != k) return false;
    return true;
  }
  void function(const Node& n, Recording& r) {
    std::vector<AnyTensor> operand, result;
    for (int v : n.in) operand.push_back(given(v));
    if (n.way == Way::update) {
      for (std::size_t k = 0; k < n.in.size(); ++k)
        if (k != 1)
          result.push_back(kernel::detail::fill(operand[k].dtype(), operand[k].extents(), 1));
    } else {
      result.push_back(n.info->function_forward(operand.data(), n.attributes(rows_),
                                                g_.value(n.out[0]).at(rows_)));
    }
    if (!r.heard(result[0]))
      r.repeat(concrete(n), operand.data(), result.data(), static_cast<int>(result.size()));
    for (std::size_t k = 0; k < result.size(); ++k) at(n.out[k]) = result[k];
  }
  Node concrete(Node n) const {
    for (Affine& i : n.integer) i = {i.at(rows_), 0};
    return n;
  }
  void backward(const Node& n, Recording& r) {
    AnyTensor operand[max_leaves + 2], gradient[max_leaves + 2];
    const auto count = static_cast<std::size_t>(n.operands);
    for (std::size_t i = 0; i < count; ++i) {
      operand[i] = given(n.in[i]);
      if (n.accumulate >> i & 1) gradient[i] = at(n.in[count + 3 + i]);
    }
    AnyTensor result = given(n.in[count]), kept;
    BackwardCall c{};
    GroupCall how = n.how;
    if (n.group()) kernel::settle_scale(*n.info, operand, how);
    const Attributes a = n.group() ? how.pack() : n.attributes(rows_);
    c.info = n.info, c.operand = operand, c.operands = n.operands, c.scalar = n.scalar.data();
    c.attributes = &a, c.result = &result, c.kept = &kept, c.dy = at(n.in[count + 2]);
    c.wanted = n.wanted, c.accumulate = n.accumulate, c.gradient = gradient;
    if (n.group()) {
      kernel::interpret_backward(c, how, Context{});
    } else {  // one that adds in place would not be heard
      c.accumulate = 0;
      kernel::compute_backward(c, how);
      for (std::size_t i = 0; i < count; ++i)
        if (n.accumulate >> i & 1)
          gradient[i] = kernel::add(at(n.in[count + 3 + i]), gradient[i], Context{});
    }
    for (std::size_t i = 0; i < count; ++i)
      if (n.out[i] >= 0) {
        if (!r.heard(gradient[i]))
          fail(Error::trace, {"expand: the gradient of ", n.info->name, " cannot be taken apart"});
        at(n.out[i]) = gradient[i];
      }
  }

  const Graph& g_;
  Index rows_;
  std::vector<AnyTensor> value_;
};

}  // namespace detail

/// The graph in single operations, products and functions. Errors: Error::trace for
/// a function whose backward does not consist of statements.
inline Graph expand(const Graph& g) {
  const Samples samples(5);
  const Ambient before = ambient();
  Graph part[3];
  for (int i = 0; i < 3; ++i) {
    struct Back {
      Ambient state;
      ~Back() { ambient() = state; }
    } back{before};
    ambient().position = 0, ambient().call = 0;
    part[i] = detail::Expansion(g, samples.rows[i]).run();
    remove_dead_code(part[i]);  // counts that a sum's gradient does not read follow the rows
  }
  Graph whole = fitted(std::move(part[0]), part[1], part[2], samples);
  remove_common(whole);
  remove_dead_code(whole);
  verify(whole);
  return whole;
}

}  // namespace tenon::graph
