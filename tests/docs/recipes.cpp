// SPDX-License-Identifier: Apache-2.0
// The code of docs/recipes.md: a layer, an optimizer rule and a pass of one's own.
#include <tenon/graph.hpp>

#include "support/model.hpp"

using namespace tests;

namespace recipes {

// example-begin layer
// y = x / sqrt(mean(x^2) + eps) * weight over the last axis.   x, y: [..., N]   weight: [N]
// Source: Zhang, Sennrich, Root mean square layer normalization, 2019, eq. 4.
template <Index N>
struct RmsNorm {
  Tensor<float, Shape<N>> weight{};
  float eps = 1e-6f;

  void init(Rng) { nn::fill_constant(weight, Extents{1, {N}}, 1); }
  auto operator()(const auto& x) const {
    return fuse([](auto x, auto w,
                   auto eps) { return x * rsqrt(mean(x * x, axis<-1>, keepdims) + eps) * w; },
                x, weight, eps);
  }
};
// example-end layer

// example-begin rule
// w -= lr sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g
// Source: Chen et al., Symbolic discovery of optimization algorithms, 2023, algorithm 2.
struct Lion {
  static constexpr const char* name = "lion";  // what a saved graph calls it
  float lr = 1e-4f, beta1 = 0.9f, beta2 = 0.99f;

  template <class V>
  struct Slot {  // its state, one model-shaped struct for each member
    V m;
  };
  struct Step {};  // what depends on the number of steps alone
  Step at(std::int64_t) const { return {}; }

  template <class V>  // numbers and SIMD registers
  TENON_FN V operator()(V w, V g, Slot<V>& s, Step) const {
    using namespace scalar;
    const V c = V(beta1) * s.m + V(1 - beta1) * g;
    s.m = V(beta2) * s.m + V(1 - beta2) * g;
    return w - V(lr) * select(c > V(0), V(1), select(c < V(0), V(-1), V(0)));
  }
};
// example-end rule

// example-begin pass
// x * 1 is x: nodes that multiply by a constant 1 are gone.
void remove_multiplications_by_one(graph::Graph& g) {
  std::vector<int> now(g.values.size());
  for (std::size_t v = 0; v < now.size(); ++v) now[v] = static_cast<int>(v);
  auto is_one = [&](int v) {
    for (const graph::Node& n : g.nodes)
      if (n.out[0] == v) return std::string(n.info->name) == "fill" && n.number[0] == 1;
    return false;
  };
  auto same = [&](int a, int b) { return g.value(a).extents == g.value(b).extents; };
  std::vector<graph::Node> kept;
  for (graph::Node& n : g.nodes) {
    for (int& v : n.in)
      if (v >= 0) v = now[static_cast<std::size_t>(v)];
    if (std::string(n.info->name) == "multiply" && is_one(n.in[1]) && same(n.out[0], n.in[0]))
      now[static_cast<std::size_t>(n.out[0])] = n.in[0];
    else kept.push_back(n);
  }
  g.nodes = kept;
  for (auto* list : {&g.outputs, &g.states})
    for (int& v : *list)
      if (v >= 0) v = now[static_cast<std::size_t>(v)];
  graph::remove_dead_code(g);
  graph::verify(g);
}
// example-end pass

}  // namespace recipes

TEST_CASE("recipes: a layer, its gradient and its kernel") {
  const auto norm = nn::init<recipes::RmsNorm<5>>(Rng{1});
  const auto x = Tensor<float, Shape<dyn, 5>>(spread(Dtype::f32, extents({3, 5}), 1));
  const std::vector<double> y = values(Tensor(norm(x))), in = values(x);
  for (std::size_t r = 0; r < 3; ++r) {
    double squares = 0;
    for (std::size_t j = 0; j < 5; ++j) squares += in[5 * r + j] * in[5 * r + j];
    for (std::size_t j = 0; j < 5; ++j)
      CHECK(std::abs(y[5 * r + j] - in[5 * r + j] / std::sqrt(squares / 5 + 1e-6)) < 1e-5);
  }
  const Index before = kernel::counters().forward;
  Tensor again = norm(x);
  CHECK(kernel::counters().forward == before + 1);
}

TEST_CASE("recipes: a rule is an optimizer") {
  struct One {
    Tensor<float, Shape<3>> w;
  };
  One net{Tensor<float, Shape<3>>(made(Dtype::f32, extents({3}), [](Index i) { return i; }))};
  auto optimizer = optim::make(recipes::Lion{.lr = 0.5f}, net);
  const One g{Tensor<float, Shape<3>>(
      made(Dtype::f32, extents({3}), [](Index i) { return static_cast<double>(i) - 1; }))};
  optimizer.step(net, g);
  CHECK(values(net.w) == std::vector<double>{0.5, 1, 1.5});
}

TEST_CASE("recipes: a pass keeps the result") {
  struct In {
    Tensor<double, Shape<dyn, 4>> x;
  };
  const In in{Tensor<double, Shape<dyn, 4>>(spread(Dtype::f64, extents({3, 4}), 1))};
  auto traced = trace([](const In& i) { return Tensor(exp(i.x * 1.0) * 2.0); }, in);
  graph::Graph g = graph::expand(traced.graph());
  const std::size_t before = g.nodes.size();
  recipes::remove_multiplications_by_one(g);
  CHECK(g.nodes.size() == before - 2);
  const graph::Program program(g);
  graph::Workspace w;
  AnyTensor x = in.x.any(), out[1];
  AnyTensor* const inputs[] = {&x};
  program(w, inputs, out);
  CHECK(distance(values(out[0]), values(traced(in))) < 1e-14);
}
