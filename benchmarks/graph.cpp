// SPDX-License-Identifier: Apache-2.0
// A training step as a graph: replayed against the step itself, and loaded from a file against the replay (column "by
// hand" in both cases: what it is compared with); its planned memory as a share of all values its groups produce.
#include "support/bench.hpp"
#include "support/data.hpp"
#include "support/limits.hpp"

#include <tenon/graph/save.hpp>
#include <tenon/train/saved_graph.hpp>

#include <unistd.h>

using namespace tenon;

namespace {

struct Net {
  nn::Linear<784, 256> fc1;
  nn::Linear<256, 128> fc2;
  nn::Linear<128, 100> fc3;
  nn::Linear<100, 10> fc4;
  nn::Dropout drop{.p = 0.1f};
  auto operator()(const auto& x) const {
    return fc4(drop(relu(fc3(drop(relu(fc2(drop(relu(fc1(x))))))))));
  }
};
struct Sample {
  Tensor<float, Shape<dyn, 784>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss_of(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }
using Optimizer = decltype(optim::make(optim::Sgd{}, Net{}));
Scalar step(Net& net, Optimizer& optimizer, const Sample& s) {
  return train_step(net, optimizer, loss_of, s).loss;
}

struct Training {
  Net net = nn::init<Net>(Rng{1});
  Optimizer optimizer = optim::make(optim::Sgd{.lr = 0.01f, .momentum = 0.9f}, net);
  Sample batch;
  explicit Training(Index rows) : batch{bench::numbers({rows, 784}, 3), bench::labels(rows, 10)} {}
  auto traced() { return trace(step, net, optimizer, batch); }
};

bench::Contest replay(Index rows) {
  auto eager = std::make_shared<Training>(rows), other = std::make_shared<Training>(rows);
  auto traced = std::make_shared<decltype(other->traced())>(other->traced());
  bench::Contest c;
  c.tenon = [=] {
    benchmark::DoNotOptimize((*traced)(other->net, other->optimizer, other->batch));
  };
  c.hand = [=] { benchmark::DoNotOptimize(step(eager->net, eager->optimizer, eager->batch)); };
  const graph::Plan p = graph::plan(traced->graph(), rows);
  c.extra["planned_of_all_values"] =
      static_cast<double>(p.bytes + p.outside) / static_cast<double>(p.all);
  c.extra["planned_MB"] = static_cast<double>(p.bytes + p.outside) / 1e6;
  return c;
}
bench::Contest loaded(Index rows) {
  auto t = std::make_shared<Training>(rows);
  auto traced = std::make_shared<decltype(t->traced())>(t->traced());
  const std::string path = "/tmp/tenon_bench_graph_" + std::to_string(getpid());
  graph::save_graph(path + ".json", *traced, t->net, t->optimizer, t->batch);
  auto graph = std::make_shared<graph::Loaded>(graph::load_graph(path + ".json"));
  unlink((path + ".json").c_str()), unlink((path + ".safetensors").c_str());
  bench::Contest c;
  c.tenon = [=] {
    const AnyTensor in[] = {t->batch.x.any(), t->batch.label.any()};
    benchmark::DoNotOptimize((*graph)(in));
  };
  c.hand = [=] { benchmark::DoNotOptimize((*traced)(t->net, t->optimizer, t->batch)); };
  return c;
}

// What element-wise work dominates.
struct Five {
  Tensor<float, Shape<dyn>> a, x, b, c, d;
};
Five five(Index n) {
  using T = Tensor<float, Shape<dyn>>;
  auto made = [n](int seed) { return T(bench::numbers({n}, seed)); };
  return {made(1), made(2), made(3), made(4), made(5)};
}
auto formula = [](const auto& f) { return tanh(f.a * f.x + f.b) * sigmoid(f.c) + f.d; };
auto value = [](const Five& f) { return Tensor(formula(f)); };
auto gradient = [](const Five& f) {
  Tape tape;
  Tensor loss = mean(square(formula(f)));
  return tape.gradient(loss, f);
};

template <class F>
bench::Contest element_wise(const F& f, Index n) {
  auto in = std::make_shared<Five>(five(n));
  auto traced = std::make_shared<decltype(trace(f, *in))>(trace(f, *in));
  const std::string path = "/tmp/tenon_bench_graph_" + std::to_string(getpid());
  graph::save_graph(path + ".json", *traced, *in);
  auto graph = std::make_shared<graph::Loaded>(graph::load_graph(path + ".json"));
  unlink((path + ".json").c_str()), unlink((path + ".safetensors").c_str());
  bench::Contest c;
  c.tenon = [=] {
    const AnyTensor all[] = {in->a.any(), in->x.any(), in->b.any(), in->c.any(), in->d.any()};
    benchmark::DoNotOptimize((*graph)(all));
  };
  c.hand = [=] { benchmark::DoNotOptimize((*traced)(*in)); };
  return c;
}

}  // namespace

int main(int argc, char** argv) {
  return bench::main(argc, argv, [] {
    for (Index rows : {64, 512}) {
      bench::add("traced step / step, batch " + std::to_string(rows), [=] { return replay(rows); });
      bench::add("loaded step / traced step, batch " + std::to_string(rows),
                 [=] { return loaded(rows); });
    }
    for (Index n : {1024, 64 * 1024, 1024 * 1024}) {
      const std::string size = " of " + std::to_string(n / 1024) + " K, loaded / traced";
      bench::add("tanh(a*x+b)*sigmoid(c)+d" + size, [=] { return element_wise(value, n); });
      bench::add("mean of its square, gradient" + size, [=] { return element_wise(gradient, n); });
    }
  });
}
