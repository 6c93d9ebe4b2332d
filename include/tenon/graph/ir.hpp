// SPDX-License-Identifier: Apache-2.0
// Graph: what a program computed, as data. Nodes are groups and functions as they passed the door,
// forward and backward; integers that follow the batch size are affine in its rows.
#pragma once
#include <tenon/kernel/door.hpp>
#include <tenon/kernel/generated.hpp>

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tenon::inline TENON_ISA::graph {

/// An integer of a graph: constant + rate * rows.
struct Affine {
  Index constant = 0, rate = 0;
  constexpr Index at(Index rows) const { return constant + rate * rows; }
  bool operator==(const Affine&) const = default;
};

/// What a value is: given by the caller, known when the graph was made, or computed by a node.
enum class Origin : std::uint8_t { input, constant, node };

struct Value {
  std::string name;  ///< of an input or output: the member's path
  Origin origin = Origin::node;
  Dtype dtype = Dtype::f32;
  bool generated = false;  ///< random numbers: no memory, made where they are read
  std::vector<Affine> extents;
  AnyTensor constant;  ///< Origin::constant
  int rank() const { return static_cast<int>(extents.size()); }
  Extents at(Index rows) const {
    Extents e;
    e.rank = rank();
    for (int i = 0; i < e.rank; ++i) e.extent[i] = extents[static_cast<std::size_t>(i)].at(rows);
    return e;
  }
  /// Bytes of its elements, 0 for what needs no memory.
  Index bytes(Index rows) const {
    return generated ? 0 : at(rows).size() * static_cast<Index>(size_of(dtype));
  }
};

enum class Way : std::uint8_t { forward, backward, update, together };

struct Together;

/// One call through the door. Values are numbers, -1 for none.
///   forward:  in = operands;  out = result, kept
///   backward: in = operands, result, kept, dy, gradients added to (one an operand);
///             out = gradients (one an operand)
///   update:   in = weight, gradient, slots; out = weight, slots
///   together: in = what several operations read, out = what others read of theirs
struct Node {
  Way way = Way::forward;
  const StatementInfo* info = nullptr;
  int operands = 0;
  std::vector<int> in, out;
  std::vector<double> scalar;
  GroupCall how;                ///< groups
  std::vector<Affine> integer;  ///< functions: their attributes
  std::vector<double> number;
  std::uint32_t wanted = 0, accumulate = 0;  ///< backward, bit i: operand i
  int source = -1;                           ///< updates: the optimizer whose numbers they take
  std::int64_t ahead = 0;                    ///< and the count of its steps when they do
  std::shared_ptr<const Together> together;  ///< the operations that the node stands for
  bool group() const {
    return !info->function_forward && !info->function_backward && !info->function_update;
  }

  /// A function's attributes for a number of rows.
  Attributes attributes(Index rows) const {
    Attributes a;
    for (const Affine& i : integer) a.push(i.at(rows));
    for (double x : number) a.push_number(x);
    return a;
  }
  /// Whether the node reads the elements of in[k], not its extents alone.
  bool reads(int k) const {
    if (way != Way::backward) return true;
    if (k < operands)
      return !group() || (info->product && k >= info->leaves) || (info->reads >> k & 1);
    if (k == operands) return group() && info->reads_result;
    return true;
  }
};

/// Element-wise operations that run as one node (pass/tile.hpp): forward nodes in their order, all
/// with the same extents. The values between them have no memory.
struct Together {
  static constexpr int most = 48;  ///< nodes; they read max_leaves values at most
  std::vector<Node> nodes;
  /// operand: the node's, on the host; result: where to, or undefined.
  void (*run)(const Together&, const AnyTensor* operand, AnyTensor* result,
              const Extents&) = nullptr;
};
inline constexpr StatementInfo together_info = [] {
  StatementInfo s;
  s.name = "together";
  return s;
}();

/// An optimizer among the arguments: where it lies and by how many steps a run moves it.
struct Source {
  int argument = -1;
  std::ptrdiff_t offset = 0, steps = 0;  ///< bytes from the argument, and of its counter
  std::int64_t count = 0;
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<int> inputs, outputs;
  std::vector<int> states;  ///< of each input: the value that it has afterwards, -1 if the same
  std::vector<Source> sources;
  std::uint64_t positions = 0;  ///< by how much a run moves the position of random numbers
  Index calls = 0;              ///< and their call: from its place, or from 0 if the position moves

  const Value& value(int v) const { return values[static_cast<std::size_t>(v)]; }
  Value& value(int v) { return values[static_cast<std::size_t>(v)]; }
};

/// The device that the inputs of a run lie on; single numbers may lie on the host. name: who asks.
/// Errors: inputs on two devices, or some on the host -> Error::device naming both.
inline Device common_device(const Graph& g, std::span<AnyTensor* const> inputs, const char* name) {
  std::size_t first = 0;
  while (first < inputs.size() && !inputs[first]->record(name).place) ++first;
  if (first == inputs.size()) return cpu;
  const int place = inputs[first]->get()->place;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Record& r = *inputs[i]->get();
    if (r.place == place || r.generated || (r.place == 0 && r.size() == 1)) continue;
    const std::string there =
        r.place ? "cuda(" + std::to_string(r.place - 1) + ")" : std::string("the host");
    fail(Error::device,
         {name, ": the inputs ", g.value(g.inputs[first]).name, " and ", g.value(g.inputs[i]).name,
          " lie on cuda(", place - 1, ") and on ", there, "; to(cuda(", place - 1, ")) copies it"});
  }
  return inputs[first]->device();
}

/// For each value the last node that reads its elements (or its extents, with `extents`), -1 for
/// none; outputs are read by nodes.size().
inline std::vector<int> last_reads(const Graph& g, bool extents) {
  std::vector<int> last(g.values.size(), -1);
  for (std::size_t n = 0; n < g.nodes.size(); ++n)
    for (std::size_t k = 0; k < g.nodes[n].in.size(); ++k) {
      const int v = g.nodes[n].in[k];
      if (v >= 0 && (extents || g.nodes[n].reads(static_cast<int>(k))))
        last[static_cast<std::size_t>(v)] = static_cast<int>(n);
    }
  for (const auto* list : {&g.outputs, &g.states})
    for (int v : *list)
      if (v >= 0) last[static_cast<std::size_t>(v)] = static_cast<int>(g.nodes.size());
  return last;
}

/// Position, shard and call of the random record that a `uniform` node makes, among its integers:
/// counted from those of a run's beginning where the run does not move the position before.
inline constexpr std::size_t uniform_position = 1, uniform_shard = 2, uniform_call = 3;
inline bool is_uniform(const Node& n) {
  return n.info->function_forward == kernel::detail::uniform_again;
}

}  // namespace tenon::graph
