// SPDX-License-Identifier: Apache-2.0
// One training step of an MLP 784-256-128-10, batch 64, SGD with momentum, one thread; its allocations and its memory.
#include "support/allocations.hpp"
#include "support/bench.hpp"
#include "support/data.hpp"
#include "support/limits.hpp"

using namespace tenon;

namespace {

struct Net {
  nn::Linear<784, 256> fc1;
  nn::Linear<256, 128> fc2;
  nn::Linear<128, 10> fc3;
  auto operator()(const auto& x) const { return fc3(relu(fc2(relu(fc1(x))))); }
};
struct Sample {
  Tensor<float, Shape<dyn, 784>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss_of(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }

using Optimizer = decltype(optim::make(optim::Sgd{}, Net{}));
struct Training {
  Net net = nn::init<Net>(Rng{1});
  Optimizer optimizer = optim::make(optim::Sgd{.lr = 0.05f, .momentum = 0.9f}, net);
  Sample batch;
  explicit Training(Index rows) : batch{bench::numbers({rows, 784}, 3), bench::labels(rows, 10)} {}

  void by_hand() {
    Tape tape;
    Tensor loss = loss_of(net, batch);
    optimizer.step(net, tape.gradient(loss, net));
    benchmark::DoNotOptimize(loss.item());
  }
  void by_train_step() {
    benchmark::DoNotOptimize(train_step(net, optimizer, loss_of, batch).loss);
  }
};

// Products forward, for the weights, and for the inputs of all layers but the first.
double flops(Index rows) {
  const double all = 784 * 256 + 256 * 128 + 128 * 10, first = 784 * 256;
  return 2 * static_cast<double>(rows) * (3 * all - first);
}
constexpr Index parameters = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10;

// Heap allocations and blocks asked of the system in a step after the second, and bytes at most.
void count(bench::Contest& c, Training& t, const std::function<void()>& step) {
  step(), step();
  const auto before = memory::statistics();
  const long heap = bench::allocations();
  constexpr int steps = 100;
  for (int i = 0; i < steps; ++i) step();
  c.extra["heap_allocations_a_step"] = static_cast<double>(bench::allocations() - heap) / steps;
  c.extra["system_blocks_a_step"] =
      static_cast<double>(memory::statistics().system_calls - before.system_calls) / steps;
  c.extra["peak_MB"] = static_cast<double>(memory::statistics().peak) / 1e6;
  (void)t;
}

bench::Contest step(Index rows, bool by_hand) {
  auto t = std::make_shared<Training>(rows);
  bench::Contest c;
  if (by_hand) c.tenon = [t] { t->by_hand(); };
  else c.tenon = [t] { t->by_train_step(); };
  count(c, *t, c.tenon);
  c.peer = peer::make("train_step", {rows});
  // Weights and momenta are read and written, gradients read.
  c.limit = [work = flops(rows), traffic = bench::stream<3, 2, 2>(parameters)] {
    bench::multiply_adds(work);
    traffic();
  };
  return c;
}

}  // namespace

int main(int argc, char** argv) {
  return bench::main(argc, argv, [] {
    for (Index rows : {64, 512})
      for (bool by_hand : {true, false})
        bench::add("train step, batch " + std::to_string(rows) +
                       (by_hand ? ", tape by hand" : ", train_step"),
                   [=] { return step(rows, by_hand); });
  });
}
