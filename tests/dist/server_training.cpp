// SPDX-License-Identifier: Apache-2.0
// The loop of one process over servers: its bits, with dropout and metrics; and runs that go on.
#include <tenon/dist/server_training.hpp>

#include <tenon/nn/all.hpp>
#include <tenon/optim/all.hpp>
#include <tenon/train/checkpoint.hpp>

#include "dist/stores.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tests;
using dist::ServerTraining, dist::Store, dist::StoreOptions;

namespace server_training_test {

namespace {
struct Net {
  nn::Linear<12, 9> hidden;
  nn::Dropout drop{.p = 0.2f};
  nn::Linear<9, 4> last;
  auto operator()(const auto& x) const { return last(drop(tanh(hidden(x)))); }
};
struct Sample {
  Tensor<float, Shape<dyn, 12>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
struct Report {
  Tensor<float, Shape<>> loss;
  double seen = 0;
};
Report loss(const Net& net, const Sample& s) {
  return {nn::cross_entropy(net(s.x), s.label), static_cast<double>(s.x.extent(0))};
}
Sample sample(Index n, unsigned seed) {
  return {Tensor<float, Shape<dyn, 12>>(spread(Dtype::f32, extents({n, 12}), seed)),
          Tensor<std::int64_t, Shape<dyn>>(
              made(Dtype::i64, extents({n}), [](Index i) { return i % 4; }))};
}
struct WithShards {
  explicit WithShards(int v) { set_shards(v); }
  ~WithShards() { set_shards(1); }
};
struct Result {
  std::uint64_t weights = 0, state = 0;
  double loss = 0, seen = 0;
  std::int64_t steps = 0;
  bool operator==(const Result&) const = default;
};
// Steps first + 1 .. last with a falling rate, the gradient clipped by a constant factor.
template <class O>
Result run_steps(Net& net, O& optimizer, Index rows, int first, int last) {
  Result r;
  for (int i = first; i < last; ++i) {
    optimizer.rule.lr = 0.1f / static_cast<float>(i + 1);
    auto g = batch_gradient(loss, net, sample(rows, static_cast<unsigned>(i)));
    update(optimizer, net, g, {.scale = 0.5});
    r.loss = g.loss, r.seen = g.metrics.at(0).value;
  }
  return r;
}
void fill(Result& r, const Net& net, const auto& optimizer) {
  r.weights = train::hash_parameters(net), r.state = train::hash_parameters(optimizer.state[0]);
  r.steps = optimizer.steps;
}
template <class Rule>
Result alone(Rule rule, Index rows, int steps) {
  seed_random(5);
  Net net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(rule, net);
  Result r = run_steps(net, optimizer, rows, 0, steps);
  fill(r, net, optimizer);
  return r;
}
template <class Rule>
std::vector<Result> served(Rule rule, int workers, int servers, Index rows, int steps) {
  std::vector<Result> results(static_cast<std::size_t>(workers));
  StoreOptions o;
  o.servers = servers, o.split = 100;
  check_stores(workers, o, [&](Store& store) {
    seed_random(5);
    Net net = nn::init<Net>(Rng{store.worker() ? 4u : 3u});  // worker 0's counts
    auto optimizer = optim::make(rule, net);
    ServerTraining training(store, net, optimizer);
    Result r = run_steps(net, optimizer, rows, 0, steps);
    training.fetch(net, optimizer);
    fill(r, net, optimizer);
    results[static_cast<std::size_t>(store.worker())] = r;
  });
  return results;
}
}  // namespace

TEST_CASE("synchronous workers have the bits of one process with as many shards") {
  for (int workers : {1, 2, 3, 4}) {
    WithShards scope(workers);
    for (Index rows : {Index{32}, Index{2}}) {
      const Result sgd = alone(optim::Sgd{.momentum = 0.9f}, rows, 5),
                   adam = alone(optim::Adam{}, rows, 3);
      CHECK(sgd.seen == static_cast<double>(rows));
      for (int servers : {1, 2}) {
        CAPTURE(workers, servers, rows);
        for (const Result& r : served(optim::Sgd{.momentum = 0.9f}, workers, servers, rows, 5))
          CHECK(r == sgd);
        for (const Result& r : served(optim::Adam{}, workers, servers, rows, 3)) CHECK(r == adam);
      }
    }
  }
}

TEST_CASE("a run goes on elsewhere from a worker's checkpoint, to the bit") {
  WithShards scope(2);
  TemporaryFolder folder;
  const optim::Sgd rule{.momentum = 0.9f};
  const Result want = alone(rule, 32, 8);
  auto part = [&](int servers, int first, int last) {
    Result out;
    StoreOptions o;
    o.servers = servers, o.split = 100;
    check_stores(2, o, [&](Store& store) {
      seed_random(5);
      Net net = nn::init<Net>(Rng{3});
      auto optimizer = optim::make(rule, net);
      if (first > 0) train::load_checkpoint(folder / "c", net, optimizer);
      ServerTraining training(store, net, optimizer);
      Result r = run_steps(net, optimizer, 32, first, last);
      if (store.worker() != 0) return;
      training.fetch(net, optimizer);
      fill(r, net, optimizer);
      train::save_checkpoint(folder / "c", net, optimizer, {last});
      out = r;
    });
    return out;
  };
  CHECK(part(1, 0, 5).weights != want.weights);
  CHECK(part(2, 5, 8) == want);
}

TEST_CASE("a wish to stop reaches all workers after the same step") {
  WithShards scope(3);
  std::vector<int> ended(3);
  check_stores(3, {}, [&](Store& store) {
    Net net = nn::init<Net>(Rng{3});
    auto optimizer = optim::make(optim::Sgd{}, net);
    ServerTraining training(store, net, optimizer);
    int i = 0;
    for (; i < 1000 && !training.stop(); ++i) {
      if (store.worker() == 2 && i == 4) training.ask_to_stop();
      train_step(net, optimizer, loss, sample(8, 1));
    }
    ended[static_cast<std::size_t>(store.worker())] = i;
  });
  CHECK(ended == std::vector<int>{5, 5, 5});
}

TEST_CASE("asynchronous workers train one model, each on batches of its own") {
  StoreOptions o;
  o.synchronous = false;
  double before = 0, after = 0;
  const Sample test = sample(64, 0);
  check_stores(2, o, [&](Store& store) {
    seed_random(static_cast<std::uint64_t>(store.worker()));
    Net net = nn::init<Net>(Rng{3});
    auto optimizer = optim::make(optim::Sgd{.lr = 0.1f}, net);
    Evaluation evaluation;
    if (store.worker() == 0) before = Tensor(loss(net, test).loss).item();
    ServerTraining training(store, net, optimizer);
    for (int i = 0; i < 100; ++i) train_step(net, optimizer, loss, test);
    store.barrier();
    training.fetch(net, optimizer);
    if (optimizer.steps != 200) fail(Error::value, {optimizer.steps, " updates"});
    if (store.worker() == 0) after = Tensor(loss(net, test).loss).item();
  });
  CHECK(after < 0.8 * before);
}

TEST_CASE("workers at other steps or with other batches, and shards that are not the workers") {
  WithShards scope(2);
  auto words = [](auto rows) {
    std::string all;
    for (const std::string& text : run_stores(2, {}, [&](Store& store) {
           Net net = nn::init<Net>(Rng{3});
           auto optimizer = optim::make(optim::Sgd{}, net);
           ServerTraining training(store, net, optimizer);
           train_step(net, optimizer, loss, sample(rows(store.worker()), 1));
         }))
      all += text + "\n";
    return all;
  };
  CHECK_THAT(words([](int w) { return w ? 8 : 6; }),
             ContainsSubstring("rank 1 (" + dist::host_name() +
                               ") has a batch of 8 rows at random position 1"));
  set_shards(3);
  CHECK_THAT(words([](int) { return 8; }), ContainsSubstring("3 shards for 2 workers"));
}

}  // namespace server_training_test
