// SPDX-License-Identifier: Apache-2.0
// Graphs of steps on a device: the bits of the step there, the values of the processor, and graphs
// that run where their inputs lie, wherever they were recorded.
#include "support/fake_device.hpp"

#include <tenon/graph/trace.hpp>

#include "support/model.hpp"

#include <tenon/train/traced_loss.hpp>

using namespace tests;

namespace {

AnyTensor here(const AnyTensor& t) { return t.to(cpu); }
AnyTensor here(const Scalar& s) { return s.tensor().to(cpu); }

constexpr Index rows_of_step[] = {6, 1, 9, 40, 6};

struct Run {
  std::vector<AnyTensor> losses;
  Net net;
};
/// Steps over batches of several sizes on a device; `traced`: recorded on which, 0 eager.
template <class Rule>
Run trained(Rule rule, Device device, const Device* traced) {
  Run r{{}, to(nn::init<Net>(Rng{3}), device)};
  auto optimizer = optim::make(rule, r.net);
  seed_random(5);
  auto step =
      [&]() -> std::optional<decltype(trace(training_step<Rule>, r.net, optimizer, batch(6, 1)))> {
    if (!traced) return {};
    Net example = to(r.net, *traced);
    auto other = optim::make(rule, example);
    return trace(training_step<Rule>, example, other, to(batch(6, 1), *traced));
  }();
  seed_random(5);
  unsigned seed = 0;
  for (Index rows : rows_of_step) {
    const Batch b = to(batch(rows, ++seed), device);
    optimizer.rule.lr = 0.05f / static_cast<float>(seed);
    r.losses.push_back(
        here(step ? (*step)(r.net, optimizer, b) : training_step(r.net, optimizer, b)));
  }
  CHECK(r.net.fc1.weight.any().device() == device);
  r.net = to(r.net, cpu);
  return r;
}
template <class Rule>
void check_rule(Rule rule) {
  const Device d = cuda(0), other = cuda(1), host = cpu;
  const Run eager = trained(rule, d, nullptr), processor = trained(rule, cpu, nullptr);
  for (const Device* recorded : {&d, &other, &host}) {
    const Run r = trained(rule, d, recorded);
    for (std::size_t i = 0; i < r.losses.size(); ++i)
      CHECK(same_bits(r.losses[i], eager.losses[i]));
    CHECK(same_parameters(r.net, eager.net));
  }
  for (std::size_t i = 0; i < eager.losses.size(); ++i)
    CHECK(distance(eager.losses[i], processor.losses[i]) < 1e-5);
  CHECK(distance(eager.net.fc1.weight.any(), processor.net.fc1.weight.any()) < 1e-5);
  const Run back = trained(rule, cpu, &d);  // recorded on a device, run by the processor
  CHECK(same_parameters(back.net, processor.net));
}

}  // namespace

TEST_CASE("a traced step on a device has the bits of the step there and the processor's values") {
  check_rule(optim::Sgd{.lr = 0.05f, .momentum = 0.9f});
  check_rule(optim::Adam{.lr = 0.01f});
}

TEST_CASE("trace_loss on a device: the gradient of batch_gradient, for one shard and several") {
  const Net net = to(nn::init<Net>(Rng{3}), cuda(1));
  const auto traced = trace_loss(loss_of, net, to(batch(6, 1), cuda(1)));
  for (int shards : {1, 3}) {
    set_shards(shards);
    for (Index rows : {6, 11}) {
      const Batch b = to(batch(rows, 4), cuda(1));
      seed_random(9);
      const auto eager = batch_gradient(loss_of, net, b);
      seed_random(9);
      const auto replayed = batch_gradient(traced, net, b);
      CHECK(double(eager.loss) == double(replayed.loss));
      CHECK(replayed.model.fc2.weight.any().device() == cuda(1));
      CHECK(same_parameters(to(eager.model, cpu), to(replayed.model, cpu)));
    }
  }
  set_shards(1);
}

TEST_CASE("one workspace follows its inputs from device to device") {
  auto f = [](const Net& net, const Batch& b) { return Tensor(mean(net(b.x))); };
  const Net net = nn::init<Net>(Rng{3});
  Evaluation evaluation;
  auto traced = trace(f, net, batch(6, 1));
  const Batch b = batch(7, 2);
  const AnyTensor expected = f(net, b).any();
  for (Device d : {cuda(0), cpu, cuda(1), cuda(0)}) {
    const AnyTensor y = traced(to(net, d), to(b, d)).any();
    CHECK(y.device() == d);
    CHECK(distance(here(y), expected) < 1e-5);
  }
}

namespace {
struct Lookup {
  Tensor<float, Shape<9, 4>> rows;
  Tensor<float, Shape<4>> unused, scale;
};
struct Sentence {
  Tensor<std::int64_t, Shape<dyn>> word;
  Tensor<float, Shape<dyn, 4>> x;
};
}  // namespace

TEST_CASE("lookups, views, joins and gradients of zero replay on a device") {
  auto f = [](const Lookup& t, const Sentence& w) {
    Tape tape;
    Tensor taken = take(t.rows, w.word);
    Tensor both = concatenate(axis<1>, taken, Tensor(w.x * t.scale));
    Tensor part = Tensor(both(every, slice(1, 7, 2)));
    Tensor hot = matmul(one_hot<9>(w.word), t.rows);
    Tensor loss = mean(square(part) + tanh(Tensor(flip(part, axis<0>)))) + mean(square(hot));
    return std::pair{loss, tape.gradient(loss, t)};
  };
  struct Out {
    Tensor<float, Shape<>> loss;
    Lookup gradient;
  };
  auto step = [&](const Lookup& t, const Sentence& w) {
    auto [loss, gradient] = f(t, w);
    return Out{loss, gradient};
  };
  auto words = [](Index rows) {
    Sentence w;
    w.word = Tensor<std::int64_t, Shape<dyn>>(
        made(Dtype::i64, extents({rows}), [](Index i) { return i * 5 % 9; }));
    w.x = Tensor<float, Shape<dyn, 4>>(spread(Dtype::f32, extents({rows, 4}), 3));
    return w;
  };
  const Lookup table{spread<float, 9, 4>(1), spread<float, 4>(2), spread<float, 4>(4)},
      there = to(table, cuda(0));
  auto traced = trace(step, there, to(words(5), cuda(0)));
  for (Index rows : {5, 3, 20}) {
    const Sentence w = to(words(rows), cuda(0));
    const Out a = step(there, w), b = traced(there, w), c = step(table, words(rows));
    CHECK(same_bits(here(a.loss.any()), here(b.loss.any())));
    CHECK(same_parameters(to(a.gradient, cpu), to(b.gradient, cpu)));
    CHECK(b.gradient.unused.any().device() == cuda(0));
    CHECK(distance(here(a.gradient.rows.any()), c.gradient.rows.any()) < 1e-5);
  }
}

TEST_CASE("what a step computes on the host in between is recorded, gradients and all") {
  struct Point {
    Tensor<float, Shape<dyn, 4>> x;
  };
  struct Weight {
    Tensor<float, Shape<4>> w;
  };
  auto step = [](const Weight& net, const Point& p) {
    Tape tape;
    const AnyTensor y = Tensor(p.x * net.w).any();
    const Tensor<float, Shape<dyn, 4>> there(to_device(y, cpu));
    const Tensor<float, Shape<dyn, 4>> back(to_device(Tensor(tanh(there)).any(), y.device()));
    Tensor loss = mean(square(back + p.x));
    return tape.gradient(loss, net);
  };
  const Weight net{spread<float, 4>(1)};
  auto point = [](Index rows, Device d) {
    return to(Point{Tensor<float, Shape<dyn, 4>>(spread(Dtype::f32, extents({rows, 4}), 2))}, d);
  };
  const Weight there = to(net, cuda(0));
  auto traced = trace(step, there, point(3, cuda(0)));
  for (Index rows : {3, 8}) {
    const AnyTensor eager = step(there, point(rows, cuda(0))).w.any(),
                    replayed = traced(there, point(rows, cuda(0))).w.any(),
                    host = step(net, point(rows, cpu)).w.any();
    CHECK(replayed.device() == cuda(0));
    CHECK(same_bits(here(eager), here(replayed)));
    CHECK(distance(here(eager), host) < 1e-5);
    CHECK(distance(traced(net, point(rows, cpu)).w.any(), host) < 1e-5);
  }
}

TEST_CASE("inputs on two places are an error that names them") {
  auto f = [](const Net& net, const Batch& b) { return Tensor(mean(net(b.x))); };
  const Net net = to(nn::init<Net>(Rng{3}), cuda(0));
  CHECK_THROWS_WITH(trace(f, net, batch(6, 1)),
                    ContainsSubstring("trace: the inputs argument 0.fc1.weight and argument 1.x "
                                      "lie on cuda(0) and on the host"));
  auto traced = trace(f, net, to(batch(6, 1), cuda(0)));
  CHECK_THROWS_WITH(traced(net, to(batch(6, 1), cuda(1))),
                    ContainsSubstring("graph: the inputs argument 0.fc1.weight and argument 1.x "
                                      "lie on cuda(0) and on cuda(1)"));
}
