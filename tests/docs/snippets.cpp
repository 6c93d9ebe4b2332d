// SPDX-License-Identifier: Apache-2.0
// The code of the pages in docs/, between example-begin and example-end; tests/docs/snippets.sh
// compares.
#include <tenon/eigen.hpp>
#include <tenon/tenon.hpp>

#include <thread>

#include "support/catch.hpp"

using namespace tenon;

namespace snippets_test {

namespace {

// example-begin layer
struct Scale {  // a layer: members that are tensors, an init, a call
  Tensor<float, Shape<8>> gain;

  void init(Rng rng) { nn::fill_uniform(gain, Extents{1, {8}}, rng.stream("gain"), 0.9, 1.1); }
  auto operator()(const auto& x) const { return x * gain; }
};

struct Block {
  nn::Linear<8, 8> linear;
  nn::LayerNorm<8> norm;
  Scale scale;
  auto operator()(const auto& x) const { return scale(norm(relu(linear(x)))); }
};

struct Net {
  std::array<Block, 2> blocks;  // parameters blocks.0.linear.weight, blocks.0.linear.bias, ...
  nn::Dropout drop{.p = 0.1f};
  nn::Linear<8, 3> head;
  auto operator()(const auto& x) const {
    Tensor h = blocks[0](x);  // a name in a loop or over a branch: Tensor, not auto
    for (std::size_t i = 1; i < blocks.size(); ++i) h = h + blocks[i](h);
    return head(drop(h));
  }
};
// example-end layer

// example-begin loss
struct Sample {
  Tensor<float, Shape<dyn, 8>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
struct Report {
  Tensor<float, Shape<>> loss;
  Tensor<float, Shape<>> right;  // a metric: summed over the shards
};
Report loss(const Net& net, const Sample& batch) {
  Tensor logits = net(batch.x);
  Tensor hit = argmax(logits, axis<-1>) == batch.label;
  return {nn::cross_entropy(logits, batch.label), sum(cast<float>(hit))};
}
// example-end loss

Sample some_batch(Index n) {
  return {normal(Rng{2}, Shape<dyn, 8>{n}), randint(Rng{3}, 0, 3, Shape<dyn>{n})};
}

// example-begin operation
/// y = x^3.
struct Cube {
  static constexpr const char* name = "cube";
  static constexpr int arity = 1;
  static constexpr op::Domain domain = op::Domain::floating;
  static constexpr op::Result result = op::Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr op::Range range[1] = {{-2.0, 2.0}};
  static constexpr double ulp = 1.5;

  template <class V>
  TENON_FN static constexpr V forward(V x) {
    return x * x * x;
  }
  template <class V>  // x, y, dy; what it does not read has no name
  TENON_FN static constexpr V backward(V x, V, V dy) {
    return dy * (V(3) * x * x);
  }
};
// example-end operation

}  // namespace

TEST_CASE("docs: nested lists") {
  // example-begin lists
  Tensor x = {{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}};               // Tensor<float, Shape<2, 3>>
  Tensor<double, Shape<dyn, 2>> y = {{1, 2}, {3, 4}, {5, 6}};  // the numbers become double
  y = {{0, 1}};                                                // another value, of one row
  // example-end lists
  static_assert(std::is_same_v<decltype(x), Tensor<float, Shape<2, 3>>>);
  CHECK(y.extents() == Extents{2, {1, 2}});
}

TEST_CASE("docs: tensors") {
  // example-begin views
  Tensor x = reshape<Shape<3, 4>>(arange<float>(12));
  Tensor before = x;             // O(1): shares its elements until one side is written
  x(0, 3) = 30;                  // writes into x, which detaches first; `before` keeps its 3
  x(slice<1, 3>(), every) *= 2;  // rows 1 and 2
  auto row = x(2);               // a view with a name is a value:
  row = row + 1;                 // row changes, x does not
  // example-end views
  CHECK(before(0, 3).item() == 3);
  CHECK(x(0, 3).item() == 30);
  CHECK(x(2, 0).item() == 16);
  CHECK(row(0).item() == 17);

  // example-begin memory
  std::vector<float> in(6, 2), out(6);
  auto a = from_span(std::span(in), Shape<2, 3>{});  // read in place
  into(std::span(out)) = a * a;                      // the result leaves into `out`
  {
    auto w = a.write();  // scoped: a gets memory of its own, `in` is never written
    w(1, -1) = 5;
  }
  const float total = as_eigen(a).sum();  // an Eigen::Map
  // example-end memory
  CHECK(out == std::vector<float>(6, 4));
  CHECK(in == std::vector<float>(6, 2));
  CHECK(total == 15);
}

TEST_CASE("docs: what fuses") {
  auto x = tensor<float>({{1, 2, 3}, {4, 5, 6}});
  kernel::counters() = {};
  // example-begin cut
  Tensor one = tanh(x * 2) + 1;    // temporaries: one kernel
  auto h = x * 2;                  // a name: evaluated once, on first use,
  Tensor two = tanh(h) + sqrt(h);  // so this is a second kernel
  Tensor fused = fuse(
      [](auto v) {
        auto d = v * 2;  // inside fuse a name costs nothing: one kernel
        return tanh(d) + sqrt(d);
      },
      x);
  // example-end cut
  CHECK(kernel::counters().forward == 4);
  CHECK(to_string(two) == to_string(fused));
  CHECK(one.size() == 6);
}

TEST_CASE("docs: tape") {
  Sample batch = some_batch(16);
  auto net = nn::init<Net>(Rng{1});
  auto optimizer = optim::make(optim::Sgd{.lr = 0.05f, .momentum = 0.9f}, net);
  // example-begin by_hand
  Tape tape;
  Tensor value = nn::cross_entropy(net(batch.x), batch.label);
  Net gradient = tape.gradient(value, net);  // ends the tape
  optimizer.step(net, gradient);
  // example-end by_hand
  CHECK(value.item() > 0);

  // example-begin nested
  auto x = tensor(0.5);
  Tape outer;
  Tensor<double, Shape<>> first;
  {
    Tape inner;
    auto y = sin(x) * x;
    first = inner.gradient(y, x);
  }
  Tensor second = outer.gradient(first, x);  // 2 cos x - x sin x
  // example-end nested
  CHECK(second.item() == Approx(2 * std::cos(0.5) - 0.5 * std::sin(0.5)));
}

namespace {
// example-begin state
struct Centre {  // subtracts a running mean of its inputs
  State<Tensor<float, Shape<8>>> running;

  void init(Rng) { running.value = zeros(Shape<8>{}); }
  auto operator()(const Tensor<float, Shape<dyn, 8>>& x) const {
    // In training mode; otherwise nothing.
    running.set(running.value * 0.9 + mean(x, axis<0>) * 0.1);
    return x - running.value;
  }
};
// example-end state
}  // namespace

TEST_CASE("docs: State") {
  const auto centre = nn::init<Centre>(Rng{1});
  const Tensor<float, Shape<dyn, 8>> x = some_batch(4).x;
  (void)Tensor(centre(x));
  CHECK(to_string(centre.running.value) == to_string(zeros(Shape<8>{})));
  Training scope;
  (void)Tensor(centre(x));
  CHECK(to_string(centre.running.value) == to_string(Tensor(mean(x, axis<0>) * 0.1)));
}

TEST_CASE("docs: functions of functions") {
  Sample batch = some_batch(16);
  auto net = nn::init<Net>(Rng{1});
  // example-begin transforms
  auto f = [](const auto& x) { return sin(x) * x; };
  Tensor x = {0.5, 1.5}, u = {1.0, 0.0};
  auto [y, pull] = vjp(f, x);        // y = f(x)
  Tensor dx = pull(u);               // u J, as often as asked for
  auto [same_y, dy] = jvp(f, x, u);  // J u
  auto total = [&](const auto& x) { return sum(f(x)); };
  auto [gradient, hessian_u] = jvp(grad(total), x, u);  // H u
  // example-end transforms
  CHECK(to_string(y) == to_string(same_y));
  CHECK(to_string(dx) == to_string(dy));
  CHECK(hessian_u.span()[0] == Approx(2 * std::cos(0.5) - 0.5 * std::sin(0.5)));
  CHECK(gradient.span()[1] == Approx(1.5 * std::cos(1.5) + std::sin(1.5)));
  {
    // example-begin remat
    Tape tape;
    Tensor h = batch.x;
    for (const Block& b : net.blocks) h = remat(b)(h);  // each block keeps its input only
    Tensor value = nn::cross_entropy(net.head(h), batch.label);
    Net g = tape.gradient(value, net);  // runs each block once more
    // example-end remat
    CHECK(g.head.bias.defined());
  }
  {
    // example-begin custom
    auto straight_through = custom_gradient(
        [](const auto& x) { return round(x); },           // forward(x...)
        [](const auto&, const auto& dy) { return dy; });  // backward(x..., dy) or (x..., y, dy)
    Tape tape;
    Tensor loss = sum(straight_through(x * 3));
    Tensor g = tape.gradient(loss, x);  // 3, 3
    // example-end custom
    CHECK(g.span()[0] == 3);
  }
}

TEST_CASE("docs: batch_gradient and update") {
  auto net = nn::init<Net>(Rng{1});
  auto optimizer = optim::make(optim::Adam{.lr = 1e-2f}, net);
  seed_random(1);
  for (int i = 0; i < 2; ++i) {
    Sample batch = some_batch(20);
    // example-begin step
    auto g = batch_gradient(loss, net, batch);
    const double norm = g.norm();
    update(optimizer, net, g, {.scale = norm > 1 ? 1 / norm : 1, .when = g.finite()});
    const double right = g.metrics[0].value;  // "right", of g.weight samples
    // example-end step
    CHECK(g.weight == 20);
    CHECK(right <= 20);
  }
}

TEST_CASE("docs: one model, several threads") {
  const auto net = nn::init<Net>(Rng{1});
  const Sample batch = some_batch(4);
  // example-begin threads
  auto work = [&net, &batch] {
    Tape tape;  // each thread has its own tape, expressions and random position
    Tensor value = nn::cross_entropy(net(batch.x), batch.label);
    Net gradient = tape.gradient(value, net);
  };
  std::thread a(work), b(work);
  a.join(), b.join();
  // example-end threads
  CHECK(net.head.bias.defined());
}

TEST_CASE("docs: an operation") {
  CHECK(Cube::forward(2.0) == 8);
  CHECK(Cube::backward(2.0, 8.0, 1.0) == 12);
  CHECK(op::backward_reads<Cube> == (op::Probe::a | op::Probe::dy));
}

}  // namespace snippets_test
