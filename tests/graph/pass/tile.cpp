// SPDX-License-Identifier: Apache-2.0
// Element-wise operations in tiles: the bits of the operations one by one, over random graphs;
// fewer values with memory; graphs of any form in time that grows with their nodes.
#include <tenon/graph/pass/tile.hpp>

#include <tenon/graph/pass/expand.hpp>
#include <tenon/graph/summary.hpp>
#include <tenon/registry/table.hpp>

#include "support/model.hpp"

using namespace tests;

namespace {

int tiled(const graph::Graph& g) {
  int n = 0;
  for (const graph::Node& node : g.nodes) n += node.way == graph::Way::together;
  return n;
}

/// Graphs of random element-wise operations, now and then a number, a sum, a cast or another shape
/// between them.
class Random {
 public:
  Random(const Extents& e, unsigned seed) : e_(e), state_(seed * 2654435761u + 88172645463325252u) {
    for (int i = 0; i < 6; ++i) input();
    for (int i = 0; i < 24; ++i) node();
    for (std::size_t v = 0; v < g.values.size(); ++v)
      if (g.values[v].origin == graph::Origin::node && below(4) == 0)
        g.outputs.push_back(static_cast<int>(v));
    g.outputs.push_back(static_cast<int>(g.values.size()) - 1);
  }
  graph::Graph g;
  std::vector<AnyTensor> inputs;

 private:
  unsigned below(unsigned n) {
    state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
    return static_cast<unsigned>(state_ >> 11) % n;
  }
  int add(graph::Origin origin, Dtype dtype, const Extents& e) {
    graph::Value v;
    v.origin = origin, v.dtype = dtype;
    for (int i = 0; i < e.rank; ++i) v.extents.push_back({e.extent[i], 0});
    g.values.push_back(v);
    return static_cast<int>(g.values.size()) - 1;
  }
  Dtype any_dtype() {
    constexpr Dtype all[] = {Dtype::f32, Dtype::f32,     Dtype::f64, Dtype::i64,
                             Dtype::f16, Dtype::boolean, Dtype::f32, Dtype::u8};
    return all[below(8)];
  }
  void input() {
    Extents e = e_;
    if (inputs.size() > 1) {  // broadcast: without its first axes, or with some of extent 1
      const int drop = static_cast<int>(below(static_cast<unsigned>(e.rank) + 1));
      e.rank -= drop;
      for (int i = 0; i < e.rank; ++i) e.extent[i] = below(3) == 0 ? 1 : e_.extent[i + drop];
    }
    const Dtype d = inputs.empty() ? Dtype::f32 : any_dtype();
    AnyTensor t = made(d, e, [&](Index i) {
      constexpr double special[] = {0, -0.0, infinity, not_a_number, 1e-41, -infinity, 3e38, 1};
      return i % 29 == 7 ? special[below(8)] : static_cast<double>(below(4000)) / 1000 - 2;
    });
    inputs.push_back(below(3) == 0 ? strided(t) : t);
    g.inputs.push_back(add(graph::Origin::input, d, e)), g.states.push_back(-1);
  }
  int operand() {  // a late one more often
    const unsigned n = static_cast<unsigned>(g.values.size());
    return static_cast<int>(below(2) ? n - 1 - below(std::min(n, 5u)) : below(n));
  }
  Extents extents(int v) const { return g.value(v).at(0); }
  void node() {
    graph::Node n;
    const unsigned kind = below(12);
    const int a = operand();
    if (kind == 0 && g.value(a).rank() > 0) {
      n.info = registry::reduction<op::Sum>(registry::compute_type(g.value(a).dtype))->single;
      n.in = {a}, n.how.axes = 1u << (g.value(a).rank() - 1), n.how.keepdims = true;
      Extents e = extents(a);
      e.extent[e.rank - 1] = 1;
      n.out = {add(graph::Origin::node, n.info->compute, e), -1};
    } else if (kind == 1) {
      const Dtype to = any_dtype();
      n.info = &kernel::detail::cast_info, n.in = {a};
      n.integer = {{static_cast<Index>(to), 0}};
      n.out = {add(graph::Origin::node, to, extents(a)), -1};
    } else if (kind == 2) {
      const Dtype to = any_dtype();
      n.info = &kernel::detail::fill_info, n.number = {below(40) / 8.0};
      n.integer = {{static_cast<Index>(to), 0}};
      n.out = {add(graph::Origin::node, to, extents(a)), -1};
    } else {
      constexpr Dtype all[] = {Dtype::f32, Dtype::f32, Dtype::f64, Dtype::i64};
      const OpInfo* op = nullptr;
      while (!op)
        op = registry::elementwise(static_cast<int>(below(op::Elementwise::size)), all[below(4)]);
      n.info = op->single, n.in = {a};
      Extents e = extents(a);
      while (static_cast<int>(n.in.size()) < op->arity) {
        n.in.push_back(operand());
        e = broadcast(e, extents(n.in.back())).extents;
      }
      const Dtype to = below(5) == 0 ? any_dtype() : n.info->compute;
      n.out = {add(graph::Origin::node, to, e), -1};
    }
    n.operands = static_cast<int>(n.in.size());
    g.nodes.push_back(n);
  }
  Extents e_;
  std::uint64_t state_;
};

/// Nodes that follow each other and could be one are one.
bool nothing_left(const graph::Graph& g) {
  auto list = [&](const graph::Node& n) { return n.together || graph::detail::element_wise(g, n); };
  auto size = [](const graph::Node& n) { return n.together ? n.together->nodes.size() : 1; };
  for (std::size_t i = 1; i < g.nodes.size(); ++i) {
    const graph::Node &a = g.nodes[i - 1], &b = g.nodes[i];
    if (!list(a) || !list(b) || size(a) + size(b) > std::size_t{graph::Together::most}) continue;
    const graph::Value &x = g.value(a.out[0]), &y = g.value(b.out[0]);
    if (x.dtype == y.dtype && x.extents == y.extents &&
        a.in.size() + b.in.size() <= std::size_t{max_leaves})
      return false;
  }
  return true;
}

}  // namespace

TEST_CASE("tile: random graphs have the bits of their operations one by one") {
  struct Threads {
    ~Threads() { set_num_threads(0); }
  } threads;
  int lists = 0;
  for (const Extents& e :
       {extents({}), extents({1}), extents({0, 3}), extents({7}), extents({64}), extents({1000}),
        extents({5, 33}), extents({40, 10}), extents({3, 300}), extents({2, 1024}),
        extents({2, 1, 3, 1, 2, 5, 1, 4}), extents({3, 4, 5, 6}), extents({33, 1025})})
    for (unsigned seed = 0; seed < 12; ++seed) {
      const Random r(e, seed);
      CAPTURE(to_string(e), seed);
      graph::verify(r.g);
      const graph::Graph t = graph::tile(r.g);
      lists += tiled(t);
      CHECK(nothing_left(t));
      const auto want = run(r.g, r.inputs);
      for (int n : {1, 2}) {
        set_num_threads(n);
        const auto got = run(t, r.inputs);
        for (std::size_t k = 0; k < want.size(); ++k) REQUIRE(same_bits(got[k], want[k]));
      }
    }
  CHECK(lists > 0);
}

TEST_CASE("tile: a training step has the bits of its operations, with fewer values in memory") {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
  const auto traced = trace(training_step<optim::Sgd>, net, optimizer, batch(6, 1));
  const graph::Graph whole = graph::expand(traced.graph()), g = graph::tile(whole);
  auto with_memory = [](const graph::Graph& of) {
    std::vector<bool> made(of.values.size(), false);
    for (const graph::Node& n : of.nodes)
      for (int v : n.out)
        if (v >= 0) made[static_cast<std::size_t>(v)] = true;
    return std::count(made.begin(), made.end(), true);
  };
  std::ptrdiff_t between = 0;
  for (const graph::Node& n : g.nodes)
    if (n.together) between += std::ssize(n.together->nodes) - std::ssize(n.out);
  CHECK(between > 0);
  CHECK(with_memory(g) == with_memory(whole) - between);
  CHECK(nothing_left(g));
  const graph::Plan a = graph::plan(whole, 100), b = graph::plan(g, 100);
  CHECK(b.bytes + b.outside < a.bytes + a.outside);
  CHECK(a.all == b.all);
  CHECK(graph::summary(g, 6).find("multiply, ") != std::string::npos);
  CHECK(graph::to_dot(g).find("multiply, ") != std::string::npos);

  const graph::Program single(whole), tiles(g);
  graph::Workspace w[2];
  auto inputs = [&](Net& n, auto& o, Batch& in) {
    std::vector<AnyTensor*> list;
    auto take = [&](auto& x) {
      graph::detail::each_tensor({}, x, [&](const auto&, AnyTensor& t) { list.push_back(&t); });
    };
    take(n), take(o), take(in);
    return list;
  };
  auto twin = clone(net);
  auto twin_optimizer = own(optimizer);
  for (Index rows : {6, 1, 40, 6}) {
    Batch in = batch(rows, 4);
    std::vector<AnyTensor> out(whole.outputs.size()), twin_out = out;
    const std::uint64_t position = ambient().position;
    void* const argument[] = {&net, &optimizer, &in};
    single(w[0], inputs(net, optimizer, in), out, argument);
    ambient().position = position;
    void* const twin_argument[] = {&twin, &twin_optimizer, &in};
    tiles(w[1], inputs(twin, twin_optimizer, in), twin_out, twin_argument);
    CHECK(same_bits(out[0], twin_out[0]));
    CHECK(same_parameters(net, twin));
  }
  // A list that reads what its node does not is no legal graph.
  graph::Graph broken = g;
  for (graph::Node& n : broken.nodes)
    if (n.together) n.in.pop_back(), --n.operands;
  CHECK_THROWS_WITH(graph::verify(broken), ContainsSubstring("reads what the node does not"));
  // Taken apart again it is what it was.
  CHECK(tiled(graph::expand(g)) == 0);
  CHECK(graph::expand(g).nodes.size() == whole.nodes.size());
}

TEST_CASE("tile: what reads a parameter runs before its update") {
  // u = w w; update(w); y = u + w before it: the sum must not draw u behind the update.
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Sgd{}, net);
  auto step = [](Net& n, auto& o, const Batch& in) {
    Tensor before = n.fc2.bias * n.fc2.bias;
    training_step(n, o, in);
    return Tensor(before + exp(before));
  };
  const graph::Graph g =
      graph::tile(graph::expand(trace(step, net, optimizer, batch(6, 1)).graph()));
  std::vector<int> moved(g.values.size(), 0);
  for (const graph::Node& n : g.nodes) {
    for (int v : n.in) CHECK((v < 0 || n.way == graph::Way::update || moved[std::size_t(v)] == 0));
    for (std::size_t k = 0; k < n.in.size() && n.way == graph::Way::update; ++k)
      if (k != 1) moved[std::size_t(n.in[k])] = 1;
  }
}

TEST_CASE("tile: long graphs of any form in one pass") {
  const StatementInfo *add = registry::elementwise(op::number<op::Add>, Dtype::f32)->single,
                      *sum = registry::reduction<op::Sum>(Dtype::f32)->single;
  for (int form = 0; form < 4; ++form) {
    graph::Graph g;
    auto value = [&](graph::Origin origin, Index extent) {
      graph::Value v;
      v.origin = origin, v.extents = {{extent, 0}};
      g.values.push_back(v);
      return static_cast<int>(g.values.size()) - 1;
    };
    g.inputs = {value(graph::Origin::input, 3)}, g.states = {-1};
    int last = 0;
    for (int i = 0; i < 100000; ++i) {
      graph::Node n;
      n.info = add, n.operands = 2;
      n.in = {form == 1 ? 0 : last, form == 2 ? std::max(0, last - i % 977) : last};
      if (form == 3 && i % 2) {
        n.info = sum, n.in = {last}, n.operands = 1, n.how.axes = 1, n.how.keepdims = true;
        n.out = {value(graph::Origin::node, 1), -1};
      } else {
        n.out = {last = value(graph::Origin::node, 3), -1};
      }
      g.nodes.push_back(n);
    }
    g.outputs = {last};
    const graph::Graph t = graph::tile(g);
    std::size_t count = 0;
    for (const graph::Node& n : t.nodes) count += n.together ? n.together->nodes.size() : 1;
    CHECK(count == g.nodes.size());
    constexpr std::size_t most = graph::Together::most;
    if (form == 0) CHECK(t.nodes.size() == (g.nodes.size() + most - 1) / most);
  }
}
