// SPDX-License-Identifier: Apache-2.0
// Ranks whose models lie on devices: what travels does so by the host, results come back, and the
// bits are those of one process on one device.
#include "support/fake_device.hpp"

#include <tenon/dist/server_training.hpp>
#include <tenon/nn/all.hpp>
#include <tenon/optim/all.hpp>
#include <tenon/train/checkpoint.hpp>
#include <tenon/train/traced_loss.hpp>

#include "dist/ranks.hpp"
#include "dist/stores.hpp"
#include "support/catch.hpp"

using namespace tests;

namespace devices_test {

namespace {
struct Net {
  nn::Linear<12, 9> hidden;
  nn::Dropout drop{.p = 0.2f};
  nn::Linear<9, 4> last;
  State<Tensor<float, Shape<4>>> mean;
  State<Tensor<std::int64_t, Shape<2>>, Join::sum> seen;
  State<Tensor<double, Shape<4>>, Join::first> early;
  auto operator()(const auto& x) const {
    Tensor y = last(drop(tanh(hidden(x))));
    const Index n = y.extent(0);
    mean.set(sum(y, axis<0>) * (1.0f / static_cast<float>(n)));
    early.set(cast<double>(Tensor(sum(y, axis<0>))));
    Tensor<std::int64_t, Shape<2>> count(
        AnyTensor(seen.value.any().to(cpu).to_contiguous().clone()));
    {
      auto w = count.any().template write<std::int64_t>();
      w[0] += n, w[1] -= 2 * n;
    }
    seen.set(Tensor<std::int64_t, Shape<2>>(count.any().to(y.any().device())));
    return y;
  }
};
struct Plain {
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
  double weight = 0, seen = 0;
};
auto loss = [](const auto& net, const Sample& s) {
  const double rows = static_cast<double>(s.x.extent(0));
  return Report{nn::cross_entropy(net(s.x), s.label), rows * 0.3, rows};
};
Sample sample(Index n, Device d) {
  return to(Sample{Tensor<float, Shape<dyn, 12>>(spread(Dtype::f32, extents({n, 12}), 1)),
                   Tensor<std::int64_t, Shape<dyn>>(
                       made(Dtype::i64, extents({n}), [](Index i) { return (i * i + 1) % 4; }))},
            d);
}
// On threads of ranks, where CHECK may not be used.
void need(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}
template <class N>
N start(Device d) {
  N net = nn::init<N>(Rng{3});
  if constexpr (std::is_same_v<N, Net>) {
    net.mean.value = Tensor<float, Shape<4>>(zeros(Dtype::f32, extents({4})));
    net.seen.value = Tensor<std::int64_t, Shape<2>>(zeros(Dtype::i64, extents({2})));
    net.early.value = Tensor<double, Shape<4>>(zeros(Dtype::f64, extents({4})));
  }
  return to(net, d);
}
struct Result {
  std::uint64_t weights = 0, gradient = 0, momentum = 0;
  double loss = 0, weight = 0, seen = 0;
  std::vector<double> states{};
  bool operator==(const Result&) const = default;
};
Result train_net(Index rows, Device d) {
  seed_random(5);
  Net net = start<Net>(d);
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
  Result r;
  for (int i = 0; i < 3; ++i) {
    const auto g = train_step(net, optimizer, loss, sample(rows, d));
    r.loss = g.loss, r.weight = g.weight, r.seen = g.metrics.at(0).value;
    r.gradient = train::hash_parameters(g.model);
    need(g.model.last.weight.any().device() == d, "the gradient lies elsewhere");
  }
  need(net.hidden.weight.any().device() == d, "a parameter lies elsewhere");
  need(net.mean.value.any().device() == d, "a state lies elsewhere");
  r.weights = train::hash_parameters(net), r.momentum = train::hash_parameters(optimizer.state[0]);
  for (const AnyTensor& t : {net.mean.value.any(), net.seen.value.any(), net.early.value.any()})
    for (double x : values(t.to(cpu))) r.states.push_back(x);
  return r;
}
struct WithShards {
  explicit WithShards(int v) { set_shards(v); }
  ~WithShards() { set_shards(1); }
};
const dist::Timeouts quick{.deadline = 20, .progress = 60};
}  // namespace

TEST_CASE("two ranks on two devices have the bits of one process on one device, states and all") {
  WithShards scope(4);
  for (Index rows : {Index{3}, Index{20}}) {
    const Result want = train_net(rows, cuda(0));
    CHECK(want.states.at(4) == static_cast<double>(3 * rows));
    std::vector<Result> got(2);
    const auto thrown = run_ranks(2, [&](dist::Transport& t) {
      const Device d = cuda(t.rank());
      seed_random(5);
      dist::Communicator c(t, quick);
      dist::DataParallel ranks(c, start<Net>(d), {.bucket = 200, .program = {}});
      got[static_cast<std::size_t>(t.rank())] = train_net(rows, d);
      c.finish();
    });
    for (const std::string& text : thrown) CHECK(text == "");
    for (const Result& r : got) CHECK(r == want);
  }
}

TEST_CASE("ranks on a device and on the processor agree on the model and on the values") {
  WithShards scope(4);
  const Result want = train_net(20, cpu);
  std::vector<Result> got(2);
  const auto thrown = run_ranks(2, [&](dist::Transport& t) {
    const Device d = t.rank() ? cuda(1) : cpu;
    seed_random(5);
    dist::Communicator c(t, quick);
    dist::DataParallel ranks(c, start<Net>(d));  // compares the parameters' bits
    got[static_cast<std::size_t>(t.rank())] = train_net(20, d);
    c.finish();
  });
  for (const std::string& text : thrown) CHECK(text == "");
  for (const Result& r : got) CHECK(distance({r.loss}, {want.loss}) < 1e-5);
}

TEST_CASE("a traced loss over ranks on devices has the same bits") {
  WithShards scope(4);
  auto mean_loss = [](const Plain& net, const Sample& s) {
    return nn::cross_entropy(net(s.x), s.label);
  };
  auto run = [&](Device d, bool traced) {
    seed_random(5);
    Plain net = start<Plain>(d);
    auto optimizer = optim::make(optim::Adam{}, net);
    const auto graph = trace_loss(mean_loss, net, sample(8, d));
    seed_random(5);
    for (Index rows : {20, 9}) {
      auto g = traced ? batch_gradient(graph, net, sample(rows, d))
                      : batch_gradient(mean_loss, net, sample(rows, d));
      update(optimizer, net, g);
    }
    return train::hash_parameters(net);
  };
  const std::uint64_t want = run(cuda(0), false);
  CHECK(run(cuda(1), true) == want);
  std::vector<std::uint64_t> got(2);
  const auto thrown = run_ranks(2, [&](dist::Transport& t) {
    seed_random(5);
    dist::Communicator c(t, quick);
    dist::DataParallel ranks(c, start<Plain>(cuda(t.rank())));
    got[static_cast<std::size_t>(t.rank())] = run(cuda(t.rank()), true);
    c.finish();
  });
  for (const std::string& text : thrown) CHECK(text == "");
  CHECK(got == std::vector<std::uint64_t>{want, want});
}

// Servers apply rules on the processor, whose rounding is not that of a device's kernel.
bool near(const Plain& a, const Plain& b) {
  detail::Members p(detail::Members::parameters), q(detail::Members::parameters);
  detail::collect_members(p, a), detail::collect_members(q, b);
  bool all = p.size() == q.size();
  for (std::size_t i = 0; all && i < p.size(); ++i) {
    const AnyTensor x = p[i].to(cpu).to_contiguous(), y = q[i].to(cpu).to_contiguous();
    for (Index k = 0; k < x.size(); ++k) {
      const float u = x.data<float>()[k], v = y.data<float>()[k];
      all = all && std::abs(u - v) <= 1e-6f * (1 + std::abs(v));
    }
  }
  return all;
}

TEST_CASE("a parameter server takes gradients from devices and gives values to them") {
  WithShards scope(2);
  auto mean_loss = [](const Plain& net, const Sample& s) {
    return nn::cross_entropy(net(s.x), s.label);
  };
  auto steps = [&](Plain& net, auto& optimizer, Device d) {
    for (int i = 0; i < 3; ++i) train_step(net, optimizer, mean_loss, sample(16, d));
  };
  seed_random(5);
  Plain alone = start<Plain>(cuda(0));
  auto own = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, alone);
  steps(alone, own, cuda(0));
  // Each thread keeps to its own device: a fake one serves one thread.
  const Plain weights = to(alone, cpu), momentum = to(own.state[0], cpu);
  dist::StoreOptions o;
  o.servers = 1, o.split = 100;
  check_stores(2, o, [&](dist::Store& store) {
    const Device d = cuda(store.worker());
    seed_random(5);
    Plain net = start<Plain>(d);
    auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
    dist::ServerTraining training(store, net, optimizer);
    steps(net, optimizer, d);
    training.fetch(net, optimizer);
    need(net.hidden.weight.any().device() == d, "a parameter lies elsewhere");
    need(optimizer.state[0].hidden.weight.any().device() == d, "the momentum lies elsewhere");
    need(near(net, weights), "other weights");
    need(near(optimizer.state[0], momentum), "another momentum");
    need(store.push_pull("last.bias", net.last.bias.any()).device() == d, "pulled to elsewhere");
  });
}

}  // namespace devices_test
