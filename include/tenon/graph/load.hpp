// SPDX-License-Identifier: Apache-2.0
// A graph from a file, run without the types of the model it came from: operations are found by
// name. The file may come from anybody.
#pragma once
#include <nlohmann/json.hpp>
#include <tenon/graph/functions.hpp>
#include <tenon/graph/json_place.hpp>
#include <tenon/graph/pass/tile.hpp>
#include <tenon/graph/run.hpp>
#include <tenon/graph/save.hpp>
#include <tenon/registry/table.hpp>

#include <memory>

namespace tenon::inline TENON_ISA::graph {

/// An optimizer rule that files may name.
struct Rule {
  const char* name;
  const StatementInfo *f32, *f64;
  /// A rule with its numbers (those of the rule first) and its count of steps; owned by the result.
  std::shared_ptr<void> (*make)(const double* number, std::int64_t steps);
  std::ptrdiff_t steps;  ///< bytes from the rule to its count
};

/// A graph with the tensors that it holds. It belongs to one thread.
class Loaded {
 public:
  /// Runs it on a batch: the inputs that the file does not hold, in its order. It computes on the
  /// processor; a batch on a device goes there, and the results come back. Errors: Error::trace for
  /// what does not fit.
  std::vector<AnyTensor> operator()(std::span<const AnyTensor> batch) {
    std::vector<AnyTensor*> inputs;
    std::vector<AnyTensor> own;
    inputs.reserve(tensors_.size()), own.reserve(batch.size());
    Device device = cpu;
    for (const AnyTensor& t : batch) {
      if (t.defined() && t.get()->place) device = t.device();
      own.push_back(t.defined() ? t.to(cpu) : t);
    }
    std::size_t given = 0;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (!stored_[i] && given == own.size())
        fail(Error::trace, {"graph: ", batch.size(), " tensors of a batch given, more wanted"});
      inputs.push_back(stored_[i] ? &tensors_[i] : &own[given++]);
    }
    if (given != own.size())
      fail(Error::trace,
           {"graph: ", batch.size(), " tensors of a batch given, ", given, " wanted"});
    std::vector<AnyTensor> results(graph_.outputs.size());
    std::vector<void*> optimizers;
    for (const auto& o : optimizers_) optimizers.push_back(o.get());
    program_(workspace_, inputs, results, optimizers);
    for (AnyTensor& t : results) t = t.to(device);
    return results;
  }
  /// In single operations, as the file has it.
  const Graph& graph() const { return graph_; }
  /// A tensor that the file holds, as it is now. Errors: Error::value where there is none.
  const AnyTensor& tensor(std::string_view name) const {
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      if (stored_[i] && graph().value(graph().inputs[i]).name == name) return tensors_[i];
    fail(Error::value, {"graph: it holds no tensor \"", name, "\""});
  }

 private:
  friend class Reader;
  Graph graph_;
  Program program_;  ///< element-wise operations in tiles
  Workspace workspace_;
  std::vector<AnyTensor> tensors_;
  std::vector<bool> stored_;
  std::vector<std::shared_ptr<void>> optimizers_;
};

/// Reads a graph file field by field; every error names the file, the field and its offset.
class Reader {
 public:
  Reader(const std::string& path, std::span<const Rule> rules, Index limit)
      : path_(path), text_(io::read_file(path, "load_graph")), rules_(rules), limit_(limit) {}

  Loaded read() {
    parse();
    const int version = integer<int>(root_, {"tenon_graph"}, 0, 1 << 30);
    if (version != format_version)
      wrong({"tenon_graph"}, "is version " + std::to_string(version) + ", this library reads " +
                                 std::to_string(format_version));
    read_values();
    read_nodes();
    read_inputs();
    read_optimizers();
    graph_.outputs = values(root_, {"outputs"}, false);
    graph_.positions = integer<std::uint64_t>(root_, {"positions"}, 0, 1 << 20);
    graph_.calls = integer<Index>(root_, {"calls"}, 0, 1 << 20);
    try {
      verify(graph_);
    } catch (const Error& e) {
      io::fail_format("load_graph", path_, 0, e.what());
    }
    Loaded l;
    l.program_ = Program(tile(graph_), limit_);
    l.graph_ = std::move(graph_);
    l.tensors_ = std::move(tensors_), l.stored_ = std::move(stored_);
    l.optimizers_ = std::move(optimizers_);
    return l;
  }

 private:
  using Json = nlohmann::json;
  static constexpr std::size_t most_values = 1 << 20;

  [[noreturn]] void wrong(const Place& at, const std::string& what) const {
    io::fail_format("load_graph", path_, place_in(text_, at), "field " + at.text() + " " + what);
  }
  void parse() {
    const auto depth = [this](int d, Json::parse_event_t, Json&) {
      if (d > 6) io::fail_format("load_graph", path_, 0, "is nested deeper than a graph");
      return true;
    };
    try {
      root_ = Json::parse(text_, depth);
    } catch (const Json::parse_error& e) {
      io::fail_format("load_graph", path_, e.byte, "is not JSON");
    } catch (const Json::exception&) {
      io::fail_format("load_graph", path_, 0, "holds a number or text that JSON cannot");
    }
    if (!root_.is_object()) io::fail_format("load_graph", path_, 0, "is not a JSON object");
  }
  const Json& field(const Json& in, const Place& at) const {
    auto f = in.is_object() ? in.find(at.last()) : in.end();
    if (!in.is_object() || f == in.end()) wrong(at, "is missing");
    return *f;
  }
  template <class I>
  I integer(const Json& in, const Place& at, std::int64_t low, std::int64_t high) const {
    return number_in<I>(field(in, at), at, low, high);
  }
  template <class I>
  I number_in(const Json& x, const Place& at, std::int64_t low, std::int64_t high) const {
    if (!x.is_number_integer() || (x.is_number_unsigned() && x.get<std::uint64_t>() >> 62))
      wrong(at, "is not an integer in range");
    const auto i = x.get<std::int64_t>();
    if (i < low || i > high)
      wrong(at, "is " + std::to_string(i) + ", not in " + std::to_string(low) + " .. " +
                    std::to_string(high));
    return static_cast<I>(i);
  }
  std::string words(const Json& in, const Place& at) const {
    const Json& x = field(in, at);
    if (!x.is_string()) wrong(at, "is not text");
    return x.get<std::string>();
  }
  bool flag(const Json& in, const Place& at) const {
    if (!in.contains(at.last())) return false;
    const Json& x = field(in, at);
    if (!x.is_boolean()) wrong(at, "is neither true nor false");
    return x.get<bool>();
  }
  const Json& array(const Json& in, const Place& at, std::size_t most) const {
    const Json& x = field(in, at);
    if (!x.is_array()) wrong(at, "is not an array");
    if (x.size() > most) wrong(at, "has " + std::to_string(x.size()) + " elements");
    return x;
  }
  Dtype dtype(const Json& in, const Place& at) const {
    const std::string name = words(in, at);
    for (int d = 0; d < 8; ++d)
      if (name == name_of(static_cast<Dtype>(d))) return static_cast<Dtype>(d);
    wrong(at, "is no dtype: " + name.substr(0, 40));
  }
  std::vector<Affine> affine(const Json& in, const Place& at, std::size_t most) const {
    constexpr std::int64_t limit = std::int64_t{1} << 40;
    std::vector<Affine> list;
    const Json& x = array(in, at, most);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Place here = at.at(i);
      if (x[i].is_array()) {
        if (x[i].size() != 2) wrong(here, "is not [constant, rate]");
        list.push_back({number_in<Index>(x[i][0], here, -limit, limit),
                        number_in<Index>(x[i][1], here, -limit, limit)});
      } else {
        list.push_back({number_in<Index>(x[i], here, -limit, limit), 0});
      }
    }
    return list;
  }
  std::vector<int> values(const Json& in, const Place& at, bool none) const {
    std::vector<int> list;
    const Json& x = array(in, at, most_values);
    for (std::size_t i = 0; i < x.size(); ++i)
      list.push_back(number_in<int>(x[i], at.at(i), none ? -1 : 0,
                                    static_cast<std::int64_t>(graph_.values.size()) - 1));
    return list;
  }
  std::vector<double> numbers(const Json& in, const Place& at, std::size_t most) const {
    std::vector<double> list;
    const Json& x = array(in, at, most);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!x[i].is_number()) wrong(at.at(i), "is not a number");
      list.push_back(x[i].get<double>());
    }
    return list;
  }

  void read_values() {
    const Json& list = array(root_, {"values"}, most_values);
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Place at = Place{"values"}.at(i);
      Value v;
      v.dtype = dtype(list[i], at.at("dtype"));
      v.extents = affine(list[i], at.at("extents"), max_rank);
      v.generated = flag(list[i], at.at("generated"));
      if (list[i].contains("name")) v.name = words(list[i], at.at("name"));
      graph_.values.push_back(std::move(v));
    }
  }

  const StatementInfo* find(const std::string& name, Dtype compute, const Place& at) const {
    if (name == "matmul")
      if (const StatementInfo* f = registry::fused(registry::Fused::matmul, compute)) return f;
    if (compute == Dtype::f32 || compute == Dtype::f64 || compute == Dtype::i64) {
      for (int k = 0; k < op::Elementwise::size; ++k)
        if (const OpInfo* o = registry::elementwise(k, compute); o && name == o->name)
          return o->single;
      if (const StatementInfo* f =
              reduction(name, compute, std::make_integer_sequence<int, expr::Reductions::size>{}))
        return f;
    }
    wrong(at,
          "names no operation for " + std::string(name_of(compute)) + ": " + name.substr(0, 40));
  }
  template <int... I>
  static const StatementInfo* reduction(const std::string& name, Dtype compute,
                                        std::integer_sequence<int, I...>) {
    const StatementInfo* found = nullptr;
    auto look = [&](const OpInfo* o) {
      if (o && name == o->name) found = o->single;
    };
    (look(registry::reduction<expr::OpAt<expr::first_reduction + I>>(compute)), ...);
    return found;
  }

  void read_nodes() {
    const Json& list = array(root_, {"nodes"}, most_values);
    for (std::size_t i = 0; i < list.size(); ++i)
      graph_.nodes.push_back(node(list[i], Place{"nodes"}.at(i)));
  }
  Node node(const Json& j, const Place& at) const {
    Node n;
    const std::string name = words(j, at.at("op"));
    n.in = values(j, at.at("in"), true);
    n.out = values(j, at.at("out"), false);
    if (n.in.size() > max_leaves + 2) wrong(at.at("in"), "has too many elements");
    n.operands = static_cast<int>(n.in.size());
    if (j.contains("optimizer")) {
      n.way = Way::update;
      n.source = integer<int>(j, at.at("optimizer"), 0, 1 << 20);
      n.ahead = integer<std::int64_t>(j, at.at("ahead"), 1, 1 << 20);
      const Dtype compute = dtype(j, at.at("compute"));
      for (const Rule& r : rules_)
        if (name == r.name)
          n.info = compute == Dtype::f64 ? r.f64 : compute == Dtype::f32 ? r.f32 : nullptr;
      if (!n.info) wrong(at.at("op"), "names no known rule: " + name.substr(0, 40));
      n.scalar.assign(n.info->scalars, 0);
      check_update(n, at);
      return n;
    }
    // Groups say what they compute in, functions do not.
    const FunctionEntry* function = nullptr;
    for (const FunctionEntry& f : functions())
      if (!j.contains("compute") && name == f.info->name) function = &f;
    n.info = function ? function->info
                      : find(name, j.contains("compute") ? dtype(j, at.at("compute")) : Dtype::f32,
                             at.at("op"));
    if (n.out.size() != 1) wrong(at.at("out"), "does not name one value");
    n.out.push_back(-1);
    if (function) read_function(n, *function, j, at);
    else read_call(n, j, at);
    return n;
  }
  void read_call(Node& n, const Json& j, const Place& at) const {
    if (j.contains("axes"))
      n.how.axes = integer<std::uint32_t>(j, at.at("axes"), 0, (1 << max_rank) - 1);
    if (j.contains("dropped"))
      n.how.dropped_leaves = integer<std::uint32_t>(j, at.at("dropped"), 0, 2);
    n.how.keepdims = flag(j, at.at("keepdims"));
    n.how.transpose_a = flag(j, at.at("transpose_a")),
    n.how.transpose_b = flag(j, at.at("transpose_b"));
    const int wanted = n.info->leaves + (n.info->product ? 2 : 0);
    if (n.operands != wanted)
      wrong(at.at("in"),
            "has " + std::to_string(n.operands) + " elements, not " + std::to_string(wanted));
    for (int k = 0; k < n.operands; ++k)
      if ((n.in[static_cast<std::size_t>(k)] < 0) != (n.info->product && k == 0))
        wrong(at.at("in").at(static_cast<std::size_t>(k)), "is no operand");
    const int rank = n.info->product ? max_rank : graph_.value(n.in[0]).rank();
    if (n.how.axes >> rank) wrong(at.at("axes"), "names an axis that the operand does not have");
    if (n.how.dropped_leaves &&
        (n.operands != 2 || graph_.value(n.in[1]).rank() + __builtin_popcount(n.how.axes) != rank))
      wrong(at.at("dropped"), "does not fit the operands");
    if (n.info->product)
      for (std::size_t k : {1u, 2u})
        if (graph_.value(n.in[k]).rank() < 2) wrong(at.at("in").at(k), "is no matrix");
  }
  void read_function(Node& n, const FunctionEntry& f, const Json& j, const Place& at) const {
    if (f.operands < 0 ? n.operands < 1 || n.operands > max_leaves : n.operands != f.operands)
      wrong(at.at("in"), "does not fit");
    for (int v : n.in)
      if (v < 0) wrong(at.at("in"), "does not fit");
    if (j.contains("integers")) n.integer = affine(j, at.at("integers"), 3 * max_rank + 2);
    if (j.contains("numbers")) n.number = numbers(j, at.at("numbers"), 4);
    const Value& result = graph_.value(n.out[0]);
    const auto count = n.integer.size(), least = static_cast<std::size_t>(f.integers),
               most = static_cast<std::size_t>(f.integers + f.per_axis * max_rank + f.more);
    if (count < least || count > most)
      wrong(at.at("integers"), "has not " + std::to_string(least) + " elements");
    if (n.number.size() != static_cast<std::size_t>(f.numbers))
      wrong(at.at("numbers"), "does not fit");
    if (is_uniform(n) && result.dtype != Dtype::f32 && result.dtype != Dtype::f64)
      wrong(at.at("out"), "is neither f32 nor f64");
    if (f.typed && n.integer[0] != Affine{static_cast<Index>(result.dtype), 0})
      wrong(at.at("integers"), "does not begin with the value's dtype");
    if (n.info == &tenon::detail::concatenate_info && n.integer[1] != Affine{n.operands, 0})
      wrong(at.at("integers"), "does not say how many operands there are");
  }
  // The weight, its gradient and its slots are alike, so that an update cannot leave their memory.
  void check_update(const Node& n, const Place& at) const {
    if (n.out.size() + 1 != n.in.size()) wrong(at.at("out"), "does not fit in");
    for (std::size_t k = 0; k < n.in.size(); ++k) {
      if (n.in[k] < 0) wrong(at.at("in").at(k), "is no operand");
      const Value &v = graph_.value(n.in[k]), &w = graph_.value(n.in[0]);
      if (v.dtype != n.info->compute || !(v.extents == w.extents))
        wrong(at.at("in").at(k), "is not like the weight");
    }
    for (std::size_t k = 0; k < n.out.size(); ++k)
      if (!(graph_.value(n.out[k]).extents == graph_.value(n.in[0]).extents))
        wrong(at.at("out").at(k), "is not like the weight");
  }

  void read_inputs() {
    const Json& list = array(root_, {"inputs"}, most_values);
    const io::SafetensorsFile file(detail::tensors_path(path_));
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Place at = Place{"inputs"}.at(i);
      const auto count = static_cast<std::int64_t>(graph_.values.size()) - 1;
      const int v = integer<int>(list[i], at.at("value"), 0, count);
      graph_.inputs.push_back(v);
      graph_.states.push_back(integer<int>(list[i], at.at("after"), -1, count));
      Value& value = graph_.value(v);
      value.origin = Origin::input;
      stored_.push_back(flag(list[i], at.at("stored")));
      tensors_.push_back(stored_.back() ? file.tensor(value.name) : AnyTensor{});
      if (!stored_.back()) continue;
      const Record& r = *tensors_.back().get();
      if (r.dtype != value.dtype || !(r.shape() == value.at(0)))
        wrong(at.at("value"),
              "is " + to_string(value.at(0)) + ", the tensor " + to_string(r.shape()));
    }
  }
  void read_optimizers() {
    const Json& list = array(root_, {"optimizers"}, 1 << 16);
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Place at = Place{"optimizers"}.at(i);
      const std::string name = words(list[i], at.at("rule"));
      const Rule* rule = nullptr;
      for (const Rule& r : rules_)
        if (name == r.name) rule = &r;
      if (!rule) wrong(at.at("rule"), "names no known rule: " + name.substr(0, 40));
      const std::vector<double> n = numbers(list[i], at.at("numbers"), 32);
      if (n.size() != rule->f32->scalars) wrong(at.at("numbers"), "has the wrong length");
      const auto steps = integer<std::int64_t>(list[i], at.at("steps"), 0, std::int64_t{1} << 60);
      optimizers_.push_back(rule->make(n.data(), steps));
      Source s;
      s.argument = static_cast<int>(i), s.steps = rule->steps;
      s.count = integer<std::int64_t>(list[i], at.at("count"), 0, 1 << 20);
      graph_.sources.push_back(s);
      for (const Node& node : graph_.nodes)
        if (node.way == Way::update && node.source == s.argument && name != node.info->name)
          wrong(at.at("rule"), "is not the rule of its updates");
    }
  }

  std::string path_, text_;
  std::span<const Rule> rules_;
  Index limit_;
  Json root_;
  Graph graph_;
  std::vector<AnyTensor> tensors_;
  std::vector<bool> stored_;
  std::vector<std::shared_ptr<void>> optimizers_;
};

/// Reads what save_graph wrote. The operations come with <tenon/registry/kernels.hpp>, in this file
/// or another of the program. rules: the optimizers it may name. limit: the most bytes that the
/// values of one run may take, Error::memory beyond.
/// Errors: Error::file; Error::format naming file, field and offset.
inline Loaded load_graph(const std::string& path, std::span<const Rule> rules,
                         Index limit = Index{1} << 32) {
  return Reader(path, rules, limit).read();
}

}  // namespace tenon::graph
