// SPDX-License-Identifier: Apache-2.0
// What a step does to memory and handles: one kernel a parameter, copy on write, no allocation, no
// step in part.
#include <tenon/optim/optimizer.hpp>

#include <tenon/nn/all.hpp>
#include <tenon/train/checkpoint.hpp>

#include <cstdlib>
#include <new>

#include "optim/models.hpp"
#include "support/files.hpp"
#include "support/statements.hpp"

namespace {
thread_local std::int64_t allocations = 0;
}
// g++ takes free() in operator delete for a mistake where it sees operator new inlined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

using namespace tests;

namespace {
template <class Blocks>
Blocks two_of() {
  Blocks blocks{};
  if constexpr (requires { blocks.resize(2); }) blocks.resize(2);
  return blocks;
}
template <class Blocks>
struct NetOf {
  nn::Linear<20, 16> the_first_layer_with_a_long_name;
  Blocks blocks = two_of<Blocks>();
  nn::LayerNorm<16> norm;
  nn::Dropout drop{.p = 0.1f};
  nn::Linear<16, 5> last;
  template <class X>
  auto operator()(X&& x) const {
    Tensor h = relu(the_first_layer_with_a_long_name(x));
    for (const auto& b : blocks) h = relu(b(h));
    return last(drop(norm(h)));
  }
};
// A model that holds a vector copies it, once a gradient; other models need no memory but that of
// tensors.
using Net = NetOf<std::vector<nn::Linear<16, 16>>>;
using Fixed = NetOf<std::array<nn::Linear<16, 16>, 2>>;
struct Sample {
  Tensor<float, Shape<dyn, 20>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss(const Fixed& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }
Sample sample(Index n) {
  return {Tensor<float, Shape<dyn, 20>>(spread(Dtype::f32, extents({n, 20}), 1)),
          Tensor<std::int64_t, Shape<dyn>>(
              made(Dtype::i64, extents({n}), [](Index i) { return i % 5; }))};
}
template <class Rule>
void check_allocations(const Rule& rule) {
  auto net = nn::init<Fixed>(Rng{1});
  auto optimizer = optim::make(rule, net);
  const Sample s = sample(32);
  for (int step = 1; step <= 6; ++step) {
    const std::int64_t heap = allocations, system = memory::statistics().system_calls;
    const double value = train_step(net, optimizer, loss, s).loss;
    const std::int64_t made = allocations - heap,
                       asked = memory::statistics().system_calls - system;
    CAPTURE(step);
    CHECK(std::isfinite(value));
    if (step <= 2) continue;
    CHECK(made == 0);
    CHECK(asked == 0);
  }
}
struct Pair {
  Tensor<float, Shape<3>> a, b;
};
Pair pair_of(double x) {
  const AnyTensor t = made(Dtype::f32, extents({3}), [=](Index) { return x; });
  return {Tensor<float, Shape<3>>(t.clone()), Tensor<float, Shape<3>>(t.clone())};
}
}  // namespace

TEST_CASE("a training step allocates nothing after the second") {
  check_allocations(optim::Sgd{.lr = 0.05f, .momentum = 0.9f});
  check_allocations(optim::Adam{.lr = 0.01f});
}

TEST_CASE("a step is one kernel for each parameter") {
  auto net = nn::init<Net>(Rng{1});
  Net g = clone(net);
  Index parameters = 0;
  each_parameter(net, [&](const char*, auto&) { ++parameters; });
  REQUIRE(parameters == 10);
  auto sgd = optim::make(optim::Sgd{}, net);
  auto adam = optim::make(optim::Adam{}, net);
  for (const kernel::Counters& c :
       {counted([&] { sgd.step(net, g); }), counted([&] { adam.step(net, g); })}) {
    CHECK(c.forward == parameters);
    CHECK(c.backward + c.products + c.single == 0);
  }
}

TEST_CASE(
    "a step changes the model alone: copies, clones, the gradient and the start keep their "
    "values") {
  auto net = nn::init<Net>(Rng{1});
  const Net copy = net, target = clone(net);
  const auto start = train::hash_parameters(net);
  Net g = clone(net);
  auto optimizer = optim::make(optim::Sgd{.lr = 0.5f, .momentum = 0.9f}, net);
  const auto kept = optimizer.state[0];
  for (int i = 0; i < 3; ++i) optimizer.step(net, g);
  CHECK(train::hash_parameters(net) != start);
  CHECK(train::hash_parameters(copy) == start);
  CHECK(train::hash_parameters(target) == start);
  CHECK(train::hash_parameters(g) == start);
  for (double v : values(kept.last.weight)) CHECK(v == 0);
}

TEST_CASE("a step in place keeps its memory and gives the parameter a new id") {
  Pair net = pair_of(1);
  auto optimizer = optim::make(optim::Sgd{.lr = 0.5f}, net);
  optimizer.step(net, pair_of(0));  // a and b shared their elements
  const void* memory = net.a.any().raw();
  const std::uint64_t id = net.a.id();
  optimizer.step(net, pair_of(1));
  CHECK(net.a.any().raw() == memory);
  CHECK(net.a.id() != id);
  CHECK(values(net.a) == std::vector<double>(3, 0.5));
}

TEST_CASE("state starts at zero, and a rule's numbers may be changed between steps") {
  Pair net = pair_of(1);
  auto optimizer = optim::make(optim::Sgd{.lr = 1, .momentum = 0.5f}, net);
  CHECK(values(optimizer.state[0].a) == std::vector<double>(3, 0));
  CHECK(optimizer.steps == 0);
  optimizer.step(net, pair_of(1));  // v = 1, w = 0
  optimizer.rule.lr = 0.25f;
  optimizer.step(net, pair_of(1));  // v = 1.5, w = -0.375
  CHECK(values(net.b) == std::vector<double>(3, -0.375));
  CHECK(values(optimizer.state[0].b) == std::vector<double>(3, 1.5));
  CHECK(optimizer.steps == 2);
}

TEST_CASE("storage types are computed in float and rounded once a step") {
  One<bf16> net = one<bf16>(spread(Dtype::f32, extents({37}), 1));
  const One<bf16> g = one<bf16>(spread(Dtype::f32, extents({37}), 2));
  const auto w = values(net.w), d = values(g.w);
  auto optimizer = optim::make(optim::Sgd{.lr = 0.125f, .momentum = 0.5f}, net);
  optimizer.step(net, g);
  auto want = made(Dtype::bf16, extents({37}), [&](Index i) {
    return w[static_cast<std::size_t>(i)] - 0.125 * d[static_cast<std::size_t>(i)];
  });
  CHECK(distance(net.w.any(), want) <= 1e-12);
  CHECK(distance(values(optimizer.state[0].w), d) == 0);
  optimizer.step(net, g);
  CHECK(
      distance(values(optimizer.state[0].w), values(made(Dtype::bf16, extents({37}), [&](Index i) {
                 return 1.5 * d[static_cast<std::size_t>(i)];
               }))) <= 1e-12);
}

TEST_CASE("the bits of a step do not depend on the number of threads, or on where rows begin") {
  const Index n = 200 * 1000 + 3;
  const AnyTensor w = spread(Dtype::f32, extents({n}), 1);
  std::vector<AnyTensor> out;
  for (int threads : {1, 2, 3}) {
    set_num_threads(threads);
    One<float> net = one<float>(w);
    auto optimizer = optim::make(optim::Adam{.lr = 0.01f}, net);
    for (int t = 1; t <= 3; ++t) optimizer.step(net, one<float>(slope(n, t)));
    out.push_back(net.w.any());
  }
  set_num_threads(0);
  CHECK(same_bits(out[0], out[1]));
  CHECK(same_bits(out[0], out[2]));
  // The last elements, alone, as a tensor of 3: computed by the partial pack.
  One<float> last = one<float>(w.view(Extents{1, {3}}, std::array<Index, 1>{1}.data(), n - 3));
  auto optimizer = optim::make(optim::Adam{.lr = 0.01f}, last);
  for (int t = 1; t <= 3; ++t)
    optimizer.step(
        last, one<float>(slope(n, t).view(Extents{1, {3}}, std::array<Index, 1>{1}.data(), n - 3)));
  CHECK(
      same_bits(last.w.any(), out[0].view(Extents{1, {3}}, std::array<Index, 1>{1}.data(), n - 3)));
}

TEST_CASE("what does not fit is named, and then nothing has changed") {
  Net net = nn::init<Net>(Rng{1});
  Net g = clone(net);
  auto optimizer = optim::make(optim::Sgd{.lr = 0.5f}, net);
  const auto start = train::hash_parameters(net);
  const auto fails = [&](Error::Code code, const char* words) {
    const Failure f = failure([&] { optimizer.step(net, g); });
    CHECK(f.code == code);
    CHECK_THAT(f.text, ContainsSubstring(words));
    CHECK(train::hash_parameters(net) == start);
    CHECK(optimizer.steps == 0);
  };
  g.last.bias = {};
  fails(Error::uninitialised, "last.bias has no gradient");
  g = clone(net);
  g.blocks.pop_back();
  fails(Error::shape, "10 parameters, its gradient 8");
  g = clone(net);
  optimizer.state[0].blocks.pop_back();
  fails(Error::shape, "10 parameters, its state 8");

  One<float> open = one<float>(spread(Dtype::f32, extents({4}), 1));
  auto other = optim::make(optim::Sgd{}, open);
  const Failure f =
      failure([&] { other.step(open, one<float>(spread(Dtype::f32, extents({5}), 1))); });
  CHECK(f.code == Error::shape);
  CHECK_THAT(f.text, ContainsSubstring("parameter w is f32 [4], its gradient f32 [5]"));
  const Failure empty = failure([] { optim::make(optim::Sgd{}, Net{}); });
  CHECK(empty.code == Error::uninitialised);
  CHECK_THAT(empty.text, ContainsSubstring("the_first_layer_with_a_long_name.weight"));
}
