// SPDX-License-Identifier: Apache-2.0
// Training on a device: optimizers, shards, norms, checkpoints; no step waits or takes new memory.
#include <tenon/kernel/device/update.hpp>

#include <tenon/nn/all.hpp>
#include <tenon/optim/all.hpp>
#include <tenon/train/checkpoint.hpp>

#include "support/any_device.hpp"
#include "support/files.hpp"

using namespace tests;

namespace update_test {

namespace {
struct Net {
  nn::Linear<12, 9> hidden;
  nn::LayerNorm<9> norm;
  nn::Dropout drop{.p = 0.25f};
  nn::Linear<9, 4> last;
  auto operator()(const auto& x) const { return last(drop(relu(norm(hidden(x))))); }
};
struct Sample {
  Tensor<float, Shape<dyn, 12>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }
Sample sample(Index n, unsigned seed) {
  return {Tensor<float, Shape<dyn, 12>>(spread(Dtype::f32, extents({n, 12}), seed)),
          Tensor<std::int64_t, Shape<dyn>>(
              made(Dtype::i64, extents({n}), [](Index i) { return (i * i + 1) % 4; }))};
}
struct WithShards {
  explicit WithShards(int v) { set_shards(v); }
  ~WithShards() { set_shards(1); }
};
double distance_of(const Net& there, const Net& here) {
  std::vector<AnyTensor> own;
  each_parameter(here, [&](const char*, auto& p) { own.push_back(p.any()); });
  double worst = 0;
  std::size_t i = 0;
  each_parameter(there,
                 [&](const char*, auto& p) { worst = std::max(worst, apart(p.any(), own[i++])); });
  return worst;
}

template <class T>
struct One {
  Tensor<T, Shape<dyn>> w;
};
template <class T, class Rule>
double after_steps(const Rule& rule, Index n) {
  One<T> here{Tensor<T, Shape<dyn>>(spread(dtype_of<T>, extents({n}), 1))},
      there = to(here, cuda(0));
  auto a = optim::make(rule, here);
  auto b = optim::make(rule, there);
  for (unsigned t = 1; t <= 5; ++t) {
    const One<T> g{Tensor<T, Shape<dyn>>(spread(dtype_of<T>, extents({n}), 100 + t, -1, 1))};
    a.step(here, g), b.step(there, to(g, cuda(0)));
  }
  return apart(there.w.any(), here.w.any());
}
}  // namespace

TEST_CASE("device: optimizers move weights as on the processor", "[device]") {
  if (!have_device()) return;
  for (Index n : {0, 1, 5, 1000, 4097}) {
    CHECK(after_steps<float>(optim::Sgd{.lr = 0.1f}, n) <= 1e-6);
    CHECK(after_steps<float>(optim::Sgd{.lr = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f}, n) <=
          2e-6);
    CHECK(after_steps<float>(optim::Sgd{.lr = 0.1f, .momentum = 0.9f, .nesterov = true}, n) <=
          2e-6);
    CHECK(after_steps<double>(optim::Sgd{.lr = 0.1f, .momentum = 0.9f, .dampening = 0.1f}, n) <=
          1e-14);
    CHECK(after_steps<float>(optim::Adam{.lr = 0.1f}, n) <= 1e-5);
    CHECK(after_steps<double>(optim::Adam{.lr = 0.1f, .weight_decay = 0.1f, .decoupled = true},
                              n) <= 1e-13);
  }
}

TEST_CASE("device: training is that of the processor, with one shard and with three", "[device]") {
  if (!have_device()) return;
  for (int count : {1, 3}) {
    const WithShards shards(count);
    Net here = nn::init<Net>(Rng{3}), there = to(here, cuda(0));
    auto a = optim::make(optim::Adam{.lr = 0.01f}, here);
    auto b = optim::make(optim::Adam{.lr = 0.01f}, there);
    for (unsigned t = 0; t < 4; ++t) {
      const Sample s = sample(17, t), moved = to(s, cuda(0));
      seed_random(t);
      auto g = batch_gradient(loss, here, s);
      seed_random(t);
      auto h = batch_gradient(loss, there, moved);
      CHECK(double(h.loss) == Approx(double(g.loss)).epsilon(1e-5));
      CHECK(h.norm() == Approx(g.norm()).epsilon(1e-5));
      CHECK(h.finite());
      CHECK(distance_of(h.model, g.model) <= 1e-5);
      g.scale(0.5), h.scale(0.5);
      CHECK(h.norm() == Approx(g.norm()).epsilon(1e-5));
      update(a, here, g), update(b, there, h);
    }
    // Adam divides by the size of the gradient: what is tiny differs by more than its rounding.
    CHECK(distance_of(there, here) <= 1e-4);
  }
}

TEST_CASE("device: a gradient that is not finite is seen", "[device]") {
  if (!have_device()) return;
  const Net net = to(nn::init<Net>(Rng{3}), cuda(0));
  Sample s = sample(5, 1);
  {
    auto x = s.x.write();
    x[7] = std::numeric_limits<float>::infinity();
  }
  CHECK_FALSE(batch_gradient(loss, net, to(s, cuda(0))).finite());
}

TEST_CASE("device: what shards leave adds up, in every type", "[device]") {
  if (!have_device()) return;
  for (Dtype t : {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::f16, Dtype::i64, Dtype::i32}) {
    AnyTensor here = spread(t, extents({7}), 1, -50, 50), there = here.to(cuda(0));
    const AnyTensor more = spread(t, extents({7}), 2, -50, 50);
    detail::add_state(here, more, -1);
    detail::add_state(there, more.to(cuda(0)), -1);
    CHECK(alike(there, here));
  }
  const auto number = [](double x, Device d) { return Scalar(of(Dtype::f32, {}, {x}).to(d)); };
  for (Device d : {cpu, cuda(0)}) {
    Scalar a = number(1.5, d);
    a *= 3, a += number(0.25, d), a /= 7;
    CHECK(double(a) == 4.75 / 7);
    a *= 2, a += 1;
    CHECK(double(a) == 4.75 / 7 * 2 + 1);
  }
}

TEST_CASE("device: a checkpoint goes from a device to a file and onto it again", "[device]") {
  if (!have_device()) return;
  const TemporaryFolder folder;
  Net net = to(nn::init<Net>(Rng{3}), cuda(0));
  auto optimizer = optim::make(optim::Adam{.lr = 0.01f}, net);
  train_step(net, optimizer, loss, to(sample(9, 1), cuda(0)));
  CHECK(train::hash_parameters(net) == train::hash_parameters(to(net, cpu)));
  const std::string path = folder / "net";
  train::save_checkpoint(path, net, optimizer, {.step = 1});
  Net other = to(nn::init<Net>(Rng{4}), cuda(0));
  auto again = optim::make(optim::Adam{.lr = 0.01f}, other);
  CHECK(train::load_checkpoint(path, other, again).step == 1);
  CHECK(other.last.weight.device() == cuda(0));
  CHECK(again.state[0].last.weight.device() == cuda(0));
  CHECK(train::hash_parameters(other) == train::hash_parameters(net));
  seed_random(1);
  train_step(net, optimizer, loss, to(sample(9, 2), cuda(0)));
  seed_random(1);
  train_step(other, again, loss, to(sample(9, 2), cuda(0)));
  CHECK(train::hash_parameters(other) == train::hash_parameters(net));
}

#if !defined(__CUDACC__)
TEST_CASE("device: a step neither waits nor takes memory from the system", "[device]") {
  for (int count : {1, 3}) {
    const WithShards shards(count);
    Net net = to(nn::init<Net>(Rng{3}), cuda(0));
    auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net);
    const Sample s = to(sample(17, 1), cuda(0));
    auto step = [&] {
      auto g = batch_gradient(loss, net, s);
      update(optimizer, net, g);
    };
    step(), step();
    const int waits = fake::on(0).waits;
    const auto calls = fake::on(0).pool->statistics().system_calls;
    for (int i = 0; i < 3; ++i) step();
    CAPTURE(count);
    CHECK(fake::on(0).waits == waits);
    CHECK(fake::on(0).pool->statistics().system_calls == calls);
  }
}
#endif

}  // namespace update_test
