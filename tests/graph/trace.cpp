// SPDX-License-Identifier: Apache-2.0
// A traced step is the step: the same bits for any batch size, any number of times; what cannot be
// traced is an error that says why.
#include <tenon/graph/trace.hpp>

#include "support/model.hpp"

using namespace tests;

namespace {

template <class Rule>
void check_equal(Rule rule) {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(rule, net);
  auto twin = clone(net);
  auto twin_optimizer = own(optimizer);
  seed_random(5);
  auto traced = trace(training_step<Rule>, net, optimizer, batch(6, 1));
  CHECK(same_parameters(net, twin));
  CHECK(optimizer.steps == 0);
  bool same = true;
  for (int run = 0; run < 2; ++run) {
    auto& n = run ? twin : net;
    auto& o = run ? twin_optimizer : optimizer;
    seed_random(5);
    std::vector<double> losses;
    for (int i = 0; i < 7; ++i) {
      // A scheduled rate: the numbers of an optimizer are read anew in each step.
      o.rule.lr = 0.05f / static_cast<float>(1 + i);
      const Batch b =
          batch(std::array{6, 1, 9, 40}[static_cast<std::size_t>(i % 4)], static_cast<unsigned>(i));
      losses.push_back(run ? double(training_step(n, o, b)) : double(traced(n, o, b)));
    }
    static std::vector<double> before;
    if (run) same = before == losses;
    before = losses;
  }
  CHECK(same);
  CHECK(same_parameters(net, twin));
  for (std::size_t k = 0; k < optimizer.state.size(); ++k)
    CHECK(same_parameters(optimizer.state[k], twin_optimizer.state[k]));
  CHECK(optimizer.steps == 7);
}

}  // namespace

TEST_CASE("a traced step has the bits of the step, for other batch sizes and a scheduled rate") {
  check_equal(optim::Sgd{.lr = 0.05f, .momentum = 0.9f});
  check_equal(optim::Adam{.lr = 0.01f});
}

TEST_CASE("a traced gradient by hand, accumulated where a tensor is used twice") {
  struct Two {
    Tensor<double, Shape<3, 3>> w;
  };
  struct In {
    Tensor<double, Shape<dyn, 3>> x;
  };
  auto f = [](Two& net, const In& in) {
    Tape tape;
    Tensor h = matmul(in.x, net.w);
    Tensor y = mean(tanh(matmul(h, net.w)) * h + exp(-h));
    auto g = tape.gradient(y, net);
    net.w = net.w - 0.1 * g.w;
    return y;
  };
  auto sample = [](Index rows) {
    return In{Tensor<double, Shape<dyn, 3>>(spread(Dtype::f64, extents({rows, 3}), 7))};
  };
  Two net{Tensor<double, Shape<3, 3>>(spread(Dtype::f64, extents({3, 3}), 1))}, twin = clone(net);
  const In first = sample(4);
  auto traced = trace(f, net, first);
  for (Index rows : {4, 11, 2}) {
    const In in = sample(rows);
    const double a = traced(net, in).item(), b = f(twin, in).item();
    CHECK(a == b);
    CHECK(same_bits(net.w.any(), twin.w.any()));
  }
}

TEST_CASE("masks of a step written by hand are new in every run, as without a trace") {
  auto f = [](Net& n, const Batch& in) {
    Tape tape;
    return Tensor(n(in.x));
  };
  const auto net = nn::init<Net>(Rng{3});
  Net mine = net;
  const Batch b = batch(5, 2);
  seed_random(9);
  auto traced = trace(f, mine, b);
  std::vector<AnyTensor> eager, replayed;
  for (int i = 0; i < 3; ++i) eager.push_back(f(mine, b).any());
  seed_random(9);
  for (int i = 0; i < 3; ++i) replayed.push_back(traced(mine, b).any());
  for (std::size_t i = 0; i < 3; ++i) CHECK(same_bits(eager[i], replayed[i]));
  CHECK_FALSE(same_bits(eager[0], eager[1]));
}

TEST_CASE("a trace changes nothing: neither arguments nor the thread's random position") {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Sgd{}, net);
  const auto before = clone(net);
  seed_random(9);
  const Batch b = batch(5, 2);
  trace(training_step<optim::Sgd>, net, optimizer, b);
  CHECK(ambient().position == 0);
  CHECK(ambient().tracer == nullptr);
  CHECK(ambient().host_access == nullptr);
  CHECK(same_parameters(net, before));
}

TEST_CASE("what cannot be traced is an error that names it") {
  auto net = nn::init<Net>(Rng{3});
  const Batch b = batch(5, 2);
  auto refuses = [&](auto f, const char* words) {
    CHECK_THROWS_WITH(trace(f, net, b), ContainsSubstring(words));
    CHECK(ambient().tracer == nullptr);
  };
  const Net teacher = clone(net);
  refuses([&](Net& n, const Batch& in) { return mean(n(in.x) - teacher(in.x)).value(); },
          "is no argument and was not computed inside");
  refuses(
      [](Net& n, const Batch& in) {
        Tensor norm = mean(square(n.fc1.weight)) + 0 * mean(in.x);
        if (norm.item() > 1) norm = 2 * norm;
        return norm;
      },
      "has no elements for the host");
  refuses(
      [](Net& n, const Batch& in) {
        n.drop.p += 0.125f;
        return Tensor(mean(n(in.x)));
      },
      "the step changes argument 0.drop.p");
  refuses([](Net& n, const Batch& in) { return Tensor(mean(n(in.x)) / float(in.x.extent(0))); },
          "has other operands or numbers");
  refuses(
      [](Net& n, const Batch& in) {
        Tensor y = mean(n(in.x));
        for (Index i = 5; i < in.x.extent(0); ++i) y = y * y;
        return y;
      },
      "statements for one batch");
}

TEST_CASE("a whole step over several shards is refused with the way out") {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Sgd{}, net);
  set_shards(2);
  CHECK_THROWS_WITH(trace(training_step<optim::Sgd>, net, optimizer, batch(6, 1)),
                    ContainsSubstring("trace_loss"));
  set_shards(1);
}

TEST_CASE("members that are no tensors are guards, and inputs that do not fit are refused") {
  auto net = nn::init<Net>(Rng{3});
  const Batch b = batch(5, 2);
  auto f = [](Net& n, const Batch& in) { return Tensor(mean(n(in.x))); };
  auto traced = trace(f, net, b);
  net.drop.p = 0.5f;
  CHECK_THROWS_WITH(traced(net, b), ContainsSubstring("argument 0.drop.p was 0.25"));
  net.drop.p = 0.25f;
  Batch odd = batch(5, 2);
  odd.label = batch(4, 2).label;
  CHECK_THROWS_WITH(traced(net, odd), ContainsSubstring("argument 1.label does not fit on axis 0: "
                                                        "it has 4, the graph 5"));
}
