// SPDX-License-Identifier: Apache-2.0
// Runs a graph: the compiled kernels that its statements ran when they were recorded.
#pragma once
#include <tenon/graph/plan.hpp>

#include <span>

namespace tenon::inline TENON_ISA::graph {

/// Where values lie for a number of rows.
struct Planned {
  Index rows = -1;
  bool unchecked = false;  ///< whether extents that a file declares are still to be compared
  Plan plan;
};

/// What calls of one graph need beside it. One a thread; it grows to the largest batch.
struct Workspace : Planned {
  /// The plans of numbers of rows before this one, the latest first: an epoch that ends with a
  /// shorter batch plans twice in all.
  std::vector<Planned> earlier;
  static constexpr std::size_t most_earlier = 4;
  Index plans_made = 0;
  Device device = cpu;  ///< of the last run's inputs, and so of the block
  AnyTensor block;
  std::vector<AnyTensor> constant;  ///< of a run on a device, there
  std::vector<AnyTensor> value;
  std::vector<AnyTensor*> home;  ///< the caller's handle of a value that it will find changed
};

/// A graph and what follows from it alone. Const after it is made: threads may share it.
class Program {
 public:
  Program() = default;
  /// limit: of a graph from a file, the most bytes that its values may take; its extents are then
  /// checked in the first run with a number of rows.
  explicit Program(Graph g, Index limit = 0)
      : graph_(std::move(g)), limit_(limit), ends_(graph_.nodes.size()) {
    last_ = last_reads(graph_, false);
    const std::vector<int> extents = last_reads(graph_, true);
    const int count = static_cast<int>(graph_.nodes.size());
    std::vector<int> made(graph_.values.size(), -1);
    for (int n = 0; n < count; ++n) {
      const Node& node = graph_.nodes[static_cast<std::size_t>(n)];
      for (int o : node.out)
        if (o >= 0) made[static_cast<std::size_t>(o)] = n;
      if (node.together)
        for (const Node& o : node.together->nodes) made[static_cast<std::size_t>(o.out[0])] = n;
    }
    for (std::size_t v = 0; v < graph_.values.size(); ++v) {
      if (graph_.values[v].origin == Origin::constant) continue;
      const int last = std::max(last_[v], made[v]), shape = std::max(extents[v], made[v]);
      if (last >= 0 && last < count)
        ends_[static_cast<std::size_t>(last)].push_back({static_cast<int>(v), shape > last});
      if (shape > last && shape < count)
        ends_[static_cast<std::size_t>(shape)].push_back({static_cast<int>(v), false});
    }
  }
  const Graph& graph() const { return graph_; }

  /// inputs: handles, written where the graph has a new state for them. argument: where the
  /// arguments lie, for the numbers of optimizers.
  /// It runs where its inputs lie, wherever it was recorded.
  /// Errors: Error::trace for inputs that do not fit, naming input, axis and both extents;
  /// Error::device for inputs on two devices.
  void operator()(Workspace& w, std::span<AnyTensor* const> inputs, std::span<AnyTensor> outputs,
                  std::span<void* const> argument = {}) const {
    const Index rows = bind(inputs);
    const Device device = common_device(graph_, inputs, "graph");
    if (!(w.device == device)) move(w, device);
    if (w.rows != rows) settle(w, rows);
    make_room(w);
    w.value.resize(graph_.values.size());
    struct Clear {  // also where a statement throws
      std::vector<AnyTensor>& value;
      ~Clear() {
        for (AnyTensor& t : value) t.reset();
      }
    } clear{w.value};
    w.home.assign(graph_.values.size(), nullptr);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      at(w, graph_.inputs[i]) = *inputs[i];
      if (graph_.states[i] >= 0) home(w, graph_.inputs[i]) = inputs[i];
    }
    for (std::size_t v = 0; v < graph_.values.size(); ++v)
      if (graph_.values[v].origin == Origin::constant)
        w.value[v] = w.constant.empty() ? graph_.values[v].constant : w.constant[v];
    const std::uint64_t position = ambient().position;
    const std::uint32_t call = ambient().call;
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (node.way == Way::together) together(w, node, position, call);
      else if (node.way == Way::update) update(w, static_cast<int>(n), argument);
      else if (node.way == Way::backward) backward(w, static_cast<int>(n));
      else if (node.group()) forward(w, node);
      else function(w, node, position, call);
      if (w.unchecked) check(w, node);
      for (const End& e : ends_[n]) {
        AnyTensor& t = at(w, e.value);
        if (e.keep_extents && t.defined()) t = AnyTensor::valueless(t);
        else t.reset();
      }
    }
    if (w.unchecked) w.unchecked = false, w.plan = planned(w, rows);
    ambient().position = position + graph_.positions;
    ambient().call = static_cast<std::uint32_t>((graph_.positions ? 0 : call) + graph_.calls);
    for (const Source& s : graph_.sources)
      if (char* at = base(s, argument))
        *reinterpret_cast<std::int64_t*>(at + s.steps - s.offset) += s.count;
    for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i] = at(w, graph_.outputs[i]);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (const int v = graph_.states[i]; v >= 0 && home(w, v) != inputs[i]) *inputs[i] = at(w, v);
  }

  /// The rows that inputs have. Errors as above.
  Index bind(std::span<AnyTensor* const> inputs) const {
    if (inputs.size() != graph_.inputs.size())
      fail(Error::trace,
           {"graph: ", inputs.size(), " inputs given, ", graph_.inputs.size(), " wanted"});
    Index rows = 0;
    bool found = false;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Value& v = graph_.value(graph_.inputs[i]);
      const Record& r = inputs[i]->record("graph");
      if (r.dtype != v.dtype || r.rank != v.rank())
        fail(Error::trace, {"graph: input ", v.name, " is ", name_of(r.dtype), " ", r.shape(),
                            ", the graph has ", name_of(v.dtype), " of rank ", v.rank()});
      for (std::size_t k = 0; k < v.extents.size(); ++k) {
        const Affine& a = v.extents[k];
        if (!found && a.rate && (r.extents[k] - a.constant) % a.rate == 0)
          rows = (r.extents[k] - a.constant) / a.rate, found = true;
        if (r.extents[k] != a.at(rows))
          fail(Error::trace, {"graph: input ", v.name, " does not fit on axis ", k, ": it has ",
                              r.extents[k], ", the graph ", a.at(rows)});
      }
    }
    return rows;
  }

 private:
  struct End {
    int value;
    bool keep_extents;
  };
  static AnyTensor& at(Workspace& w, int v) { return w.value[static_cast<std::size_t>(v)]; }
  static AnyTensor*& home(Workspace& w, int v) { return w.home[static_cast<std::size_t>(v)]; }
  AnyTensor given(Workspace& w, int v) const { return v < 0 ? AnyTensor{} : at(w, v); }

  /// Planned memory for a value; undefined where it lies outside, and for what numbers of the host
  /// give in a run on a device.
  AnyTensor placed(const Workspace& w, int v, bool there = true) const {
    const Index offset = v < 0 ? -1 : w.plan.offset[static_cast<std::size_t>(v)];
    if (offset < 0 || !there) return {};
    const Value& value = graph_.value(v);
    const Extents e = value.at(w.rows);
    Index strides[max_rank] = {};
    contiguous_strides(e, strides);
    AnyTensor t = w.block.view(e, strides, offset);
    t.get()->dtype = value.dtype;
    return t;
  }

  Plan planned(Workspace& w, Index rows) const {
    ++w.plans_made;
    return plan(graph_, rows);
  }
  /// The workspace for a number of rows: by a plan that it has, or a new one.
  void settle(Workspace& w, Index rows) const {
    Planned& now = w;
    if (now.rows >= 0) {
      w.earlier.insert(w.earlier.begin(), std::move(now));
      now = {};
    }
    const auto known = std::find_if(w.earlier.begin(), w.earlier.end(),
                                    [&](const Planned& p) { return p.rows == rows; });
    if (known != w.earlier.end()) {
      now = std::move(*known);
      w.earlier.erase(known);
    } else {
      if (w.earlier.size() > Workspace::most_earlier) w.earlier.pop_back();
      if (limit_) check_extents(rows);
      now.plan = planned(w, rows);
      if (limit_ && now.plan.all > limit_)
        fail(Error::memory, {"graph: the values of a run with ", rows, " rows take ", now.plan.all,
                             " bytes, the limit is ", limit_});
      now.unchecked = limit_ != 0;
      if (now.unchecked) std::fill(now.plan.offset.begin(), now.plan.offset.end(), -1);
      now.rows = rows;
    }
  }
  void make_room(Workspace& w) const {
    if (!w.block.defined() || w.block.size() < w.plan.bytes)
      w.block = AnyTensor::empty(Dtype::u8, Extents{1, {w.plan.bytes}}, w.device);
  }
  /// Single numbers stay on the host, where every kernel can read them.
  TENON_COLD void move(Workspace& w, Device device) const {
    w.block.reset(), w.constant.clear();
    if (!(device == cpu)) {
      w.constant.resize(graph_.values.size());
      for (std::size_t v = 0; v < graph_.values.size(); ++v)
        if (const AnyTensor& t = graph_.values[v].constant; t.defined())
          w.constant[v] = t.size() == 1 ? t : t.to(device);
    }
    w.device = device;
  }
  /// Whether a call with these operands computes where the inputs lie.
  static bool beside(const Workspace& w, const AnyTensor* operand, int count) {
    return w.device == cpu || kernel::on_device(operand, count);
  }
  void check_extents(Index rows) const {
    for (std::size_t v = 0; v < graph_.values.size(); ++v)
      for (const Affine& a : graph_.values[v].extents)
        if (a.at(rows) < 0)
          fail(Error::trace,
               {"graph: value ", v, " has the extent ", a.at(rows), " for ", rows, " rows"});
  }
  void check(Workspace& w, const Node& n) const {
    for (int v : n.out) {
      if (v < 0) continue;
      const Record& r = *at(w, v).get();
      if (r.dtype != graph_.value(v).dtype || !(r.shape() == graph_.value(v).at(w.rows))) {
        w.rows = -1;
        fail(Error::trace, {"graph: ", n.info->name, " gives ", name_of(r.dtype), " ", r.shape(),
                            ", its value ", v, " is declared as ", name_of(graph_.value(v).dtype),
                            " ", graph_.value(v).at(w.rows)});
      }
    }
  }
  /// One by one on a device, and in the run that checks extents.
  void together(Workspace& w, const Node& n, std::uint64_t position, Index call) const {
    if (w.unchecked || !(w.device == cpu)) {
      for (const Node& o : n.together->nodes) {
        o.group() ? forward(w, o) : function(w, o, position, call);
        if (w.unchecked) check(w, o);
      }
      return;
    }
    AnyTensor operand[max_leaves], result[Together::most];
    for (int i = 0; i < n.operands; ++i) operand[i] = at(w, n.in[static_cast<std::size_t>(i)]);
    for (std::size_t k = 0; k < n.out.size(); ++k) result[k] = placed(w, n.out[k]);
    n.together->run(*n.together, operand, result, graph_.value(n.out[0]).at(w.rows));
    for (std::size_t k = 0; k < n.out.size(); ++k) at(w, n.out[k]) = std::move(result[k]);
  }
  void forward(Workspace& w, const Node& n) const {
    AnyTensor operand[max_leaves + 2];
    for (int i = 0; i < n.operands; ++i) operand[i] = given(w, n.in[static_cast<std::size_t>(i)]);
    GroupCall how = n.how;
    kernel::settle_call(*n.info, operand, how);
    AnyTensor result = placed(w, n.out[0], beside(w, operand, n.operands)), kept;
    kernel::compute(*n.info, operand, n.scalar.data(), how, graph_.value(n.out[0]).dtype,
                    n.out[1] >= 0, result, kept);
    at(w, n.out[0]) = std::move(result);
    if (n.out[1] >= 0) at(w, n.out[1]) = std::move(kept);
  }
  void function(Workspace& w, const Node& n, std::uint64_t position, Index call) const {
    AnyTensor operand[max_leaves + 2];
    for (int i = 0; i < n.operands; ++i) operand[i] = given(w, n.in[static_cast<std::size_t>(i)]);
    Attributes a = attributes(n, w.rows, position, call);
    a.place = w.device == cpu ? std::uint8_t{0} : static_cast<std::uint8_t>(w.device.index + 1);
    AnyTensor result = n.info->function_forward(operand, a, graph_.value(n.out[0]).at(w.rows));
    // Counts and the like of a graph that was recorded on the host.
    if (a.place && n.operands == 0 && !result.get()->generated && result.size() != 1)
      result = result.to(w.device);
    at(w, n.out[0]) = std::move(result);
  }
  Attributes attributes(const Node& n, Index rows, std::uint64_t position, Index call) const {
    Attributes a = n.attributes(rows);
    if (!is_uniform(n)) return a;
    if (a.integer[uniform_position] == 0)
      a.integer[uniform_call] += call, a.integer[uniform_shard] += ambient().shard;
    a.integer[uniform_position] += static_cast<Index>(position);
    return a;
  }
  static char* base(const Source& s, std::span<void* const> argument) {
    if (static_cast<std::size_t>(s.argument) >= argument.size()) return nullptr;
    return static_cast<char*>(argument[static_cast<std::size_t>(s.argument)]) + s.offset;
  }
  // In place where nobody else holds the memory: the caller's handles are taken away for as long as
  // the update runs.
  void update(Workspace& w, int at_node, std::span<void* const> argument) const {
    const Node& n = graph_.nodes[static_cast<std::size_t>(at_node)];
    double number[32];
    const double* use = n.scalar.data();
    if (const void* optimizer =
            base(graph_.sources[static_cast<std::size_t>(n.source)], argument)) {
      n.info->function_numbers(optimizer, n.ahead, number);
      use = number;
    }
    AnyTensor operand[max_leaves + 2];
    for (int i = 0; i < n.operands; ++i) {
      const int v = n.in[static_cast<std::size_t>(i)];
      operand[i] = at(w, v);
      if (i == 1) continue;
      if (last_[static_cast<std::size_t>(v)] == at_node) at(w, v).reset();
      if (home(w, v)) home(w, v)->reset();
    }
    struct Restore {  // where it throws, the caller keeps what it had
      Workspace& w;
      const Node& n;
      AnyTensor* operand;
      bool done = false;
      ~Restore() {
        for (int i = 0; !done && i < n.operands; ++i)
          if (AnyTensor* h = home(w, n.in[static_cast<std::size_t>(i)])) *h = operand[i];
      }
    } restore{w, n, operand};
    n.info->function_update(operand, use);
    restore.done = true;
    for (std::size_t k = 0; k < n.out.size(); ++k) {
      AnyTensor& moved = operand[k ? k + 1 : 0];
      AnyTensor*& place = home(w, n.in[k ? k + 1 : 0]);
      if (place) *place = moved;
      home(w, n.out[k]) = place;
      at(w, n.out[k]) = std::move(moved);
    }
  }
  void backward(Workspace& w, int at_node) const {
    const Node& n = graph_.nodes[static_cast<std::size_t>(at_node)];
    AnyTensor operand[max_leaves + 2], gradient[max_leaves + 2];
    const auto count = static_cast<std::size_t>(n.operands);
    const int dy = n.in[count + 2];
    for (std::size_t i = 0; i < count; ++i) operand[i] = given(w, n.in[i]);
    const bool there = beside(w, operand, n.operands) || at(w, dy).get()->place;
    for (std::size_t i = 0; i < count; ++i) {
      if (n.accumulate >> i & 1) {
        AnyTensor& sum = at(w, n.in[count + 3 + i]);
        gradient[i] = std::move(sum);
        gradient[i].detach();
      } else if (n.wanted >> i & 1) {
        gradient[i] = placed(w, n.out[i], there);
      }
    }
    AnyTensor result = given(w, n.in[count]), kept = given(w, n.in[count + 1]);
    BackwardCall c{};
    GroupCall how = n.how;
    if (n.group()) kernel::settle_scale(*n.info, operand, how);
    const Attributes a = n.group() ? how.pack() : attributes(n, w.rows, 0, 0);
    c.info = n.info, c.operand = operand, c.operands = n.operands, c.scalar = n.scalar.data();
    c.attributes = &a, c.result = &result, c.kept = &kept;
    c.dy = given(w, dy);
    c.reuse_dy = last_[static_cast<std::size_t>(dy)] == at_node &&
                 w.plan.offset[static_cast<std::size_t>(dy)] >= 0;
    c.wanted = n.wanted, c.accumulate = n.accumulate, c.gradient = gradient;
    kernel::compute_backward(c, how);
    for (std::size_t i = 0; i < count; ++i)
      if (n.out[i] >= 0) at(w, n.out[i]) = std::move(gradient[i]);
  }

  Graph graph_;
  Index limit_ = 0;
  std::vector<std::vector<End>> ends_;
  std::vector<int> last_;
};

}  // namespace tenon::graph
