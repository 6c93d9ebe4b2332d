// SPDX-License-Identifier: Apache-2.0
// batch_gradient and update: what shards give, what they may not depend on, what is refused.
#include <tenon/optim/step.hpp>

#include <tenon/nn/all.hpp>
#include <tenon/train/checkpoint.hpp>

#include "support/files.hpp"
#include "support/statements.hpp"

using namespace tests;

namespace step_test {

namespace {
struct Net {
  nn::Linear<12, 9> hidden;
  nn::Dropout drop{.p = 0};
  nn::Linear<9, 4> last;
  template <class X>
  auto operator()(X&& x) const {
    return last(drop(tanh(hidden(x))));
  }
};
struct Sample {
  Tensor<float, Shape<dyn, 12>> x;
  Tensor<std::int64_t, Shape<dyn>> label;
};
auto loss(const Net& net, const Sample& s) { return nn::cross_entropy(net(s.x), s.label); }

Sample sample(Index n, unsigned seed = 1) {
  return {Tensor<float, Shape<dyn, 12>>(spread(Dtype::f32, extents({n, 12}), seed)),
          Tensor<std::int64_t, Shape<dyn>>(
              made(Dtype::i64, extents({n}), [](Index i) { return (i * i + 1) % 4; }))};
}
Sample rows(const Sample& s, Index begin, Index end) {
  return {Tensor<float, Shape<dyn, 12>>(detail::rows_of(s.x, begin, end)),
          Tensor<std::int64_t, Shape<dyn>>(detail::rows_of(s.label, begin, end))};
}
struct WithShards {
  explicit WithShards(int v) { set_shards(v); }
  ~WithShards() { set_shards(1); }
};
std::vector<double> all_values(const Net& net) {
  std::vector<double> all;
  each_parameter(net, [&](const char*, auto& p) {
    const auto v = values(p);
    all.insert(all.end(), v.begin(), v.end());
  });
  return all;
}

// A linear model in f64, whose gradient of a sum is known: dL/dw_j = sum of x_ij.
struct Line {
  Tensor<double, Shape<3>> w;
};
struct Points {
  Tensor<double, Shape<dyn, 3>> x;
  std::optional<Tensor<double, Shape<dyn>>> scale;
};
struct Counted {
  Tensor<double, Shape<>> loss, weight;
  Tensor<std::int64_t, Shape<>> rows;
  double first = 0;
};
Tensor<double, Shape<>> number(double x) {
  return Tensor<double, Shape<>>(made(Dtype::f64, Extents{}, [=](Index) { return x; }));
}
Counted weighted(const Line& line, const Points& p) {
  Counted c;
  c.loss = mean(sum(p.x * line.w, axis<-1>));
  c.weight = number(p.x.any().data<double>()[0]);
  c.rows = Tensor<std::int64_t, Shape<>>(
      made(Dtype::i64, Extents{}, [&](Index) { return p.x.extent(0); }));
  c.first = 2;
  return c;
}
Points points(Index n) {
  return {Tensor<double, Shape<dyn, 3>>(spread(Dtype::f64, extents({n, 3}), 4, 0.5, 1.5)), {}};
}
Line line() { return {Tensor<double, Shape<3>>(spread(Dtype::f64, extents({3}), 5))}; }
}  // namespace

TEST_CASE("with one shard a step has the bits of the loop written by hand") {
  auto net = nn::init<Net>(Rng{1}), own = net;
  net.drop.p = own.drop.p = 0.25f;
  const Sample s = sample(40);
  auto optimizer = optim::make(optim::Sgd{.lr = 0.1f, .momentum = 0.9f}, net), mine = optimizer;
  seed_random(7);
  for (int i = 0; i < 4; ++i) {
    const auto g = batch_gradient(loss, net, s);
    auto copy = g;
    update(optimizer, net, copy);
    CHECK(g.weight == 40);
  }
  seed_random(7);
  for (int i = 0; i < 4; ++i) {
    ++ambient().position, ambient().call = 0;
    Tape tape;
    Tensor l = loss(own, s);
    mine.step(own, tape.gradient(l, own));
  }
  CHECK(train::hash_parameters(net) == train::hash_parameters(own));
}

TEST_CASE("the gradient over V shards is the weighted mean of the shards' gradients") {
  const auto net = nn::init<Net>(Rng{2});
  const Index batches[] = {1, 3, 7, 8, 40};
  for (Index n : batches)
    for (int v : {1, 3, 8, 64}) {
      CAPTURE(n, v);
      const Sample s = sample(n);
      std::vector<double> want(all_values(net).size());
      double mean = 0;
      for (Index k = 0; k < v; ++k) {
        const Index begin = k * n / v, end = (k + 1) * n / v;
        if (begin == end) continue;
        const auto part = all_values(batch_gradient(loss, net, rows(s, begin, end)).model);
        const double share = double(end - begin) / double(n);
        for (std::size_t i = 0; i < want.size(); ++i) want[i] += share * part[i];
        mean += share * batch_gradient(loss, net, rows(s, begin, end)).loss;
      }
      WithShards scope(v);
      const auto g = batch_gradient(loss, net, s);
      CHECK(distance(all_values(g.model), want) <= 1e-6);
      CHECK(g.loss == Approx(mean).epsilon(1e-6));
      CHECK(g.weight == double(n));
      CHECK(g.metrics.empty());
    }
}

TEST_CASE("for a fixed number of shards the bits do not depend on the number of threads") {
  for (int v : {1, 8}) {
    WithShards scope(v);
    std::vector<std::uint64_t> hashes;
    for (int threads : {1, 2, 3}) {
      set_num_threads(threads);
      seed_random(3);
      auto net = nn::init<Net>(Rng{3});
      net.drop.p = 0.2f;
      auto optimizer = optim::make(optim::Adam{.lr = 0.01f}, net);
      for (int i = 0; i < 5; ++i) train_step(net, optimizer, loss, sample(40, 1));
      hashes.push_back(train::hash_parameters(net));
    }
    set_num_threads(0);
    CHECK(hashes[0] == hashes[1]);
    CHECK(hashes[0] == hashes[2]);
  }
}

TEST_CASE("shards have dropout masks of their own, and each step has new ones") {
  auto net = nn::init<Net>(Rng{4});
  net.drop.p = 0.5f;
  // All rows alike: without masks, or with the same mask, both halves would give one gradient.
  const Sample s = {
      Tensor<float, Shape<dyn, 12>>(
          made(Dtype::f32, extents({2, 12}), [](Index i) { return double(i % 12) / 12; })),
      Tensor<std::int64_t, Shape<dyn>>(made(Dtype::i64, extents({2}), [](Index) { return 1; }))};
  seed_random(1);
  WithShards scope(2);
  const auto both = all_values(batch_gradient(loss, net, s).model);
  const auto next = all_values(batch_gradient(loss, net, s).model);
  CHECK(both != next);
  seed_random(1);
  CHECK(all_values(batch_gradient(loss, net, s).model) == both);
  set_shards(1);
  seed_random(1);
  const auto first = all_values(batch_gradient(loss, net, rows(s, 0, 1)).model);
  CHECK(first != both);
  CHECK(ambient().shard == 0);
}

TEST_CASE("a struct of loss, weight and metrics: weights weigh, metrics are summed") {
  const Points p = points(12);
  const auto x = values(p.x);
  for (int v : {1, 4}) {
    WithShards scope(v);
    const auto g = batch_gradient(weighted, line(), p);
    double total = 0;
    std::vector<double> want(3);
    const Index part = 12 / v;
    for (int k = 0; k < v; ++k) {
      const auto at = [&](Index r, Index c) {
        return x[static_cast<std::size_t>((k * part + r) * 3 + c)];
      };
      const double weight = at(0, 0);
      total += weight;
      for (Index c = 0; c < 3; ++c) {
        double mean = 0;
        for (Index r = 0; r < part; ++r) mean += at(r, c) / double(part);
        want[static_cast<std::size_t>(c)] += weight * mean;
      }
    }
    for (double& w : want) w /= total;
    CHECK(distance(values(g.model.w), want) <= 1e-14);
    CHECK(g.weight == Approx(total).epsilon(1e-14));
    REQUIRE(g.metrics.size() == 2);
    CHECK(g.metrics[0].name == "rows");
    CHECK(g.metrics[0].value == 12);
    CHECK(g.metrics[1].name == "first");
    CHECK(g.metrics[1].value == 2 * v);
  }
}

TEST_CASE("extra arguments are passed whole and are not differentiated") {
  const auto teacher = nn::init<Net>(Rng{5});
  auto f = [](const Net& net, const Sample& s, const Net& teacher, const float& scale) {
    return nn::mse_loss(net(s.x), Tensor(teacher(s.x))) * scale;
  };
  const auto net = nn::init<Net>(Rng{6});
  const auto before = train::hash_parameters(teacher);
  WithShards scope(3);
  const auto g = batch_gradient(f, net, sample(9), teacher, 2.0f);
  CHECK(g.loss > 0);
  CHECK(g.norm() > 0);
  CHECK(train::hash_parameters(teacher) == before);
  const auto same = batch_gradient(f, teacher, sample(9), teacher, 2.0f);
  CHECK(same.loss == 0);
  CHECK(same.norm() == 0);
}

TEST_CASE("an optional tensor of the batch is cut where it is there") {
  auto f = [](const Line& l, const Points& p) -> Tensor<double, Shape<>> {
    if (!p.scale) return mean(sum(p.x * l.w, axis<-1>));
    return mean(sum(p.x * l.w, axis<-1>) * *p.scale);
  };
  Points p = points(6);
  const auto plain = values(batch_gradient(f, line(), p).model.w);
  p.scale = Tensor<double, Shape<dyn>>(made(Dtype::f64, extents({6}), [](Index) { return 2; }));
  for (int v : {1, 3}) {
    WithShards scope(v);
    auto twice = values(batch_gradient(f, line(), p).model.w);
    for (double& x : twice) x /= 2;
    CHECK(distance(twice, plain) <= 1e-14);
  }
}

TEST_CASE("an empty batch, tensors that differ on axis 0 and shards out of range are errors") {
  const auto net = nn::init<Net>(Rng{1});
  for (int v : {1, 4}) {
    WithShards scope(v);
    const Failure empty = failure([&] { batch_gradient(loss, net, sample(0)); });
    CHECK(empty.code == Error::value);
    CHECK_THAT(empty.text, ContainsSubstring("no samples"));
    Sample s = sample(5);
    s.label = sample(4).label;
    const Failure differ = failure([&] { batch_gradient(loss, net, s); });
    CHECK(differ.code == Error::shape);
    CHECK_THAT(differ.text, ContainsSubstring("axis 0 (5 vs 4)"));
    s.label = {};
    CHECK(failure([&] { batch_gradient(loss, net, s); }).code == Error::uninitialised);
  }
  for (int v : {0, -1, 65536}) CHECK(failure([&] { set_shards(v); }).code == Error::value);
  CHECK(shards() == 1);
}

TEST_CASE("a parameter without a value is named, and a loss that throws leaves nothing behind") {
  auto net = nn::init<Net>(Rng{1});
  net.last.bias = {};
  const Failure f = failure([&] { batch_gradient(loss, net, sample(4)); });
  CHECK(f.code == Error::uninitialised);
  Sample s = sample(8);
  s.label =
      Tensor<std::int64_t, Shape<dyn>>(made(Dtype::i64, extents({8}), [](Index i) { return i; }));
  net = nn::init<Net>(Rng{1});
  WithShards scope(8);
  CHECK(failure([&] { batch_gradient(loss, net, s); }).code == Error::index);
  CHECK(ambient().shard == 0);
  CHECK_FALSE(is_training());
}

TEST_CASE("a loss that is not one number is refused") {
  const auto net = nn::init<Net>(Rng{1});
  auto rows_loss = [](const Net& net, const Sample& s) {
    return nn::cross_entropy_rows(net(s.x), s.label);
  };
  CHECK_THROWS_AS(batch_gradient(rows_loss, net, sample(4)), Error);
}

TEST_CASE("Gradient: norm, scale, finite and += are those of one long vector") {
  const auto net = nn::init<Net>(Rng{2});
  auto a = batch_gradient(loss, net, sample(6, 1));
  const auto b = batch_gradient(loss, net, sample(2, 2));
  const auto x = all_values(a.model), y = all_values(b.model);
  long double squares = 0;
  for (double v : x) squares += static_cast<long double>(v) * v;
  CHECK(a.norm() == Approx(double(std::sqrt(squares))).epsilon(1e-12));
  CHECK(a.finite());
  auto sum = a;
  sum += b;
  std::vector<double> want;
  for (std::size_t i = 0; i < x.size(); ++i) want.push_back(double(float(x[i]) + float(y[i])));
  CHECK(distance(all_values(sum.model), want) == 0);
  CHECK(sum.weight == 8);
  CHECK(sum.loss == Approx((6 * a.loss + 2 * b.loss) / 8).epsilon(1e-12));
  CHECK(all_values(a.model) == x);  // what shared memory with the sum
  sum.scale(0.5);
  for (double& v : want) v /= 2;
  CHECK(distance(all_values(sum.model), want) == 0);
  a.scale(std::numeric_limits<double>::infinity());
  CHECK_FALSE(a.finite());
  auto g = b;
  g.loss = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(g.finite());
}

TEST_CASE("gradients of models that differ cannot be added") {
  struct Open {
    std::vector<Tensor<float, Shape<dyn>>> list;
  };
  const auto gradient = [](std::initializer_list<Index> lengths) {
    Gradient<Open> g;
    for (Index n : lengths)
      g.model.list.push_back(Tensor<float, Shape<dyn>>(spread(Dtype::f32, extents({n}), 1)));
    return g;
  };
  auto g = gradient({2, 3});
  CHECK(failure([&] { g += gradient({2}); }).code == Error::shape);
  const Failure f = failure([&] { g += gradient({2, 4}); });
  CHECK(f.code == Error::shape);
  CHECK_THAT(f.text, ContainsSubstring("list.1 differ: [3] and [4]"));
  CHECK_NOTHROW(g += gradient({2, 3}));
}

TEST_CASE("update scales, and does nothing when told so") {
  auto net = nn::init<Net>(Rng{3});
  auto optimizer = optim::make(optim::Sgd{.lr = 1}, net);
  const auto start = all_values(net);
  auto g = batch_gradient(loss, net, sample(4));
  update(optimizer, net, g, {.when = false});
  CHECK(all_values(net) == start);
  CHECK(optimizer.steps == 0);
  const auto slope = all_values(g.model);
  update(optimizer, net, g, {.scale = 0.25});
  std::vector<double> want;
  for (std::size_t i = 0; i < start.size(); ++i) want.push_back(start[i] - 0.25 * slope[i]);
  CHECK(distance(all_values(net), want) <= 1e-7);
  CHECK(optimizer.steps == 1);
}

TEST_CASE("accumulation over two halves is the gradient of the whole") {
  const auto net = nn::init<Net>(Rng{3});
  const Sample s = sample(16);
  auto g = batch_gradient(loss, net, rows(s, 0, 8));
  g += batch_gradient(loss, net, rows(s, 8, 16));
  g.scale(0.5);
  CHECK(distance(all_values(g.model), all_values(batch_gradient(loss, net, s).model)) <= 1e-6);
}

}  // namespace step_test
