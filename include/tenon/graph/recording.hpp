// SPDX-License-Identifier: Apache-2.0
// Recording: hears of every statement of its thread and writes the graph down.
#pragma once
#include <tenon/graph/ir.hpp>

#include <unordered_map>

namespace tenon::inline TENON_ISA::graph {

/// While it is open, what this thread computes becomes nodes. The graph is closed: a tensor that is
/// neither an input nor made inside is an error naming the statement, and so is the host reading
/// elements of a value inside.
class Recording : Tracer {
 public:
  Recording()
      : Tracer{hear_statement, hear_backward, hear_same},
        access_(ambient().host_access),
        position_(ambient().position),
        call_(ambient().call),
        shard_(ambient().shard) {
    if (ambient().tracer)
      fail(Error::trace, {"trace: a trace is already being recorded on this thread"});
  }
  ~Recording() { close(); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  int input(const AnyTensor& t, std::string name) {
    if (auto at = number_.find(t.record("trace").id); at != number_.end())
      fail(Error::trace, {"trace: ", name, " and ", graph_.value(at->second).name,
                          " are the same value; clone one of them"});
    const int v = add(t, Origin::input);
    graph_.value(v).name = std::move(name);
    graph_.inputs.push_back(v);
    return v;
  }
  /// Argument number `argument` lies at `begin`: optimizers in it give their numbers to updates.
  void argument(int number, const void* begin, std::size_t size) {
    arguments_.push_back({number, static_cast<const char*>(begin), size});
  }
  /// Errors: Error::device for inputs on several devices.
  void check_devices(std::span<AnyTensor* const> inputs) const {
    common_device(graph_, inputs, "trace");
  }
  void open() {
    ambient().tracer = this;
    ambient().host_access = refuse_access;
    ambient().made = kernel::detail::trace_creation;
    open_ = true;
  }
  /// Every member of the result, in order; a value not computed inside is an error.
  void output(const AnyTensor& t, std::string name) {
    const int v = find(t, "the result");
    if (graph_.value(v).name.empty()) graph_.value(v).name = std::move(name);
    graph_.outputs.push_back(v);
  }
  /// Writes down a node as it is, with the values of these tensors; its sources are the caller's.
  void repeat(const Node& node, const AnyTensor* operand, const AnyTensor* result, int results) {
    Node n = node;
    for (std::size_t i = 0; i < n.in.size(); ++i) n.in[i] = find(operand[i], n.info->name);
    for (std::size_t i = 0; i < n.out.size(); ++i)
      n.out[i] = static_cast<int>(i) < results ? add(result[i], Origin::node) : -1;
    graph_.nodes.push_back(std::move(n));
  }
  bool heard(const AnyTensor& t) const { return knows(t); }
  /// The value that the next input has afterwards; null: it did not change.
  void state(const AnyTensor* t) {
    graph_.states.push_back(t ? find(*t, "a mutated argument") : -1);
  }
  /// Whether a number of an argument is the counter of an optimizer that updated something.
  bool counts(const void* number) const {
    for (const Source& s : graph_.sources)
      for (const Argument& a : arguments_)
        if (a.number == s.argument && a.begin + s.steps == number) return true;
    return false;
  }
  Graph close() {
    if (open_) {
      ambient().tracer = nullptr;
      ambient().host_access = access_;
      ambient().made = nullptr;
      open_ = false;
      graph_.positions = ambient().position - position_;
      graph_.calls = ambient().call - (graph_.positions ? 0 : call_);
    }
    return std::move(graph_);
  }

 private:
  static Recording& self(Tracer& t) { return static_cast<Recording&>(t); }

  int add(const AnyTensor& t, Origin origin) {
    Value v;
    v.origin = origin, v.dtype = t.dtype();
    v.generated = t.get()->generated;
    const Extents e = t.extents();
    for (int i = 0; i < e.rank; ++i) v.extents.push_back({e.extent[i], 0});
    graph_.values.push_back(std::move(v));
    return number_[t.id()] = static_cast<int>(graph_.values.size()) - 1;
  }
  bool knows(const AnyTensor& t) const { return number_.count(t.id()) != 0; }
  int find(const AnyTensor& t, const char* by) const {
    if (!t.defined()) return -1;
    auto at = number_.find(t.id());
    if (at == number_.end())
      fail(Error::trace, {"trace: ", by, " reads a tensor ", t.extents(),
                          " that is no argument and was not computed inside; pass it as one"});
    return at->second;
  }
  void attributes(Node& n, const Attributes& a) const {
    if (n.group()) {
      n.how = GroupCall::unpack(a);
      return;
    }
    for (int i = 0; i < a.integers; ++i) n.integer.push_back({a.integer[i], 0});
    n.number.assign(a.number, a.number + a.numbers);
    if (!is_uniform(n)) return;
    Index &position = n.integer[uniform_position].constant,
          &shard = n.integer[uniform_shard].constant, &call = n.integer[uniform_call].constant;
    position -= static_cast<Index>(position_);
    // Where the step moves the position, calls are counted from there; else from where it began.
    if (position == 0) call -= call_, shard -= shard_;
  }

  static void hear_statement(Tracer& t, const Statement& s) {
    Recording& r = self(t);
    const StatementInfo& info = *s.info;
    if (info.function_update) return r.update(s);
    if (r.knows(*s.result)) return;  // made of statements that were heard one by one
    Node n;
    n.info = &info, n.operands = s.operands;
    if (info.function_backward && !info.function_forward)
      fail(Error::trace, {"trace: ", info.name, " cannot be recorded yet"});
    for (int i = 0; i < s.operands; ++i) n.in.push_back(r.find(s.operand[i], info.name));
    n.scalar.assign(s.scalar, s.scalar + info.scalars);
    r.attributes(n, *s.attributes);
    n.out.push_back(r.add(*s.result, Origin::node));
    n.out.push_back(s.kept && s.kept->defined() ? r.add(*s.kept, Origin::node) : -1);
    r.graph_.nodes.push_back(std::move(n));
  }

  void update(const Statement& s) {
    Node n;
    n.way = Way::update, n.info = s.info, n.operands = s.operands;
    for (int i = 0; i < s.operands; ++i) n.in.push_back(find(s.operand[i], "update"));
    for (int i = 0; i < s.results; ++i) n.out.push_back(add(s.result[i], Origin::node));
    n.scalar.assign(s.scalar, s.scalar + s.info->scalars);
    n.source = source(s);
    Source& from = graph_.sources[static_cast<std::size_t>(n.source)];
    const std::int64_t before = from_steps_[static_cast<std::size_t>(n.source)];
    n.ahead = *s.steps - before;
    from.count = std::max(from.count, n.ahead);
    graph_.nodes.push_back(std::move(n));
  }
  int source(const Statement& s) {
    const char* at = static_cast<const char*>(s.source);
    for (const Argument& a : arguments_) {
      if (at < a.begin || at >= a.begin + a.size) continue;
      const std::ptrdiff_t offset = at - a.begin,
                           steps = reinterpret_cast<const char*>(s.steps) - a.begin;
      for (std::size_t i = 0; i < graph_.sources.size(); ++i)
        if (graph_.sources[i].argument == a.number && graph_.sources[i].offset == offset)
          return static_cast<int>(i);
      graph_.sources.push_back({a.number, offset, steps, 0});
      from_steps_.push_back(*s.steps - 1);
      return static_cast<int>(graph_.sources.size()) - 1;
    }
    fail(Error::trace, {"trace: the optimizer of an update is no argument; pass it as one"});
  }

  static void hear_backward(Tracer& t, const BackwardCall& c, bool done) {
    Recording& r = self(t);
    if (!done) {
      Node n;
      n.way = Way::backward, n.info = c.info, n.operands = c.operands;
      n.wanted = c.wanted, n.accumulate = c.accumulate;
      for (int i = 0; i < c.operands; ++i) n.in.push_back(r.find(c.operand[i], c.info->name));
      n.in.push_back(r.find(*c.result, c.info->name));
      n.in.push_back(r.find(*c.kept, c.info->name));
      n.in.push_back(r.find(c.dy, c.info->name));
      for (int i = 0; i < c.operands; ++i)
        n.in.push_back(c.accumulate >> i & 1 ? r.find(c.gradient[i], c.info->name) : -1);
      n.scalar.assign(c.scalar, c.scalar + c.info->scalars);
      r.attributes(n, *c.attributes);
      r.pending_.push_back(std::move(n));
      return;
    }
    Node n = std::move(r.pending_.back());
    r.pending_.pop_back();
    const std::uint64_t dy = c.dy.id();
    bool computes = false;
    for (int i = 0; i < c.operands; ++i) {
      const bool wanted = (n.wanted >> i & 1) && c.gradient[i].defined();
      // A gradient that is dy itself, or was put together of statements heard one by one.
      const int sum = n.in[static_cast<std::size_t>(c.operands + 3 + i)];
      const bool known = wanted && r.knows(c.gradient[i]) && r.number_[c.gradient[i].id()] != sum;
      const bool alias = wanted && c.gradient[i].id() == dy;
      if (!wanted || known || alias) n.wanted &= ~(1u << i);
      n.out.push_back(n.wanted >> i & 1 ? r.add(c.gradient[i], Origin::node) : -1);
      computes |= n.out.back() >= 0;
    }
    n.accumulate &= n.wanted;
    if (computes) r.graph_.nodes.push_back(std::move(n));
  }
  static void hear_same(Tracer& t, std::uint64_t id, std::uint64_t other) {
    Recording& r = self(t);
    if (auto at = r.number_.find(id); at != r.number_.end()) r.number_[other] = at->second;
  }
  static void refuse_access(const Record& record, const char* what) {
    if (!self(*ambient().tracer).number_.count(record.id)) return;
    const Extents e = record.shape();
    fail(Error::trace, {"trace: ", what, " of a tensor ", e,
                        ": a value inside a trace has no elements for the host to read or write"});
  }

  void (*access_)(const Record&, const char*);
  std::uint64_t position_;
  Index call_, shard_;
  bool open_ = false;
  Graph graph_;
  std::unordered_map<std::uint64_t, int> number_;
  std::vector<Node> pending_;
  struct Argument {
    int number;
    const char* begin;
    std::size_t size;
  };
  std::vector<Argument> arguments_;
  std::vector<std::int64_t> from_steps_;
};

}  // namespace tenon::graph
