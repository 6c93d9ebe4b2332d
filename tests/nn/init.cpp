// SPDX-License-Identifier: Apache-2.0
// Initial weights follow from seed and path alone and lie where each layer's rule says.
#include <tenon/nn/init.hpp>

#include <tenon/nn/layer/layer_norm.hpp>
#include <tenon/nn/layer/linear.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace {
struct Forth {
  nn::Linear<6, 5> a;
  nn::Linear<6, 5> b;
};
struct Back {
  nn::Linear<6, 5> b;
  nn::Linear<6, 5> a;
  nn::LayerNorm<5> more;
};
struct Blocks {
  std::vector<nn::Linear<4, 4>> blocks = std::vector<nn::Linear<4, 4>>(2);
  std::array<nn::Linear<4, 4>, 2> pair;
  std::optional<nn::Linear<4, 4>> some = nn::Linear<4, 4>{}, none;
  Tensor<float, Shape<3>> outside;
};
struct Scale {
  Tensor<double, Shape<2>> value;
  void init(Rng rng) { nn::fill_uniform(value, extents({2}), rng.stream("value"), 3, 4); }
};
struct OwnRule {
  Scale scale;
};
double mean_of(const std::vector<double>& v) {
  double sum = 0;
  for (double x : v) sum += x;
  return sum / static_cast<double>(v.size());
}
double deviation_of(const std::vector<double>& v) {
  const double m = mean_of(v);
  double sum = 0;
  for (double x : v) sum += (x - m) * (x - m);
  return std::sqrt(sum / static_cast<double>(v.size()));
}
}  // namespace

TEST_CASE("initial weights depend on seed and path, not on the order of members") {
  const auto x = nn::init<Forth>(Rng{7});
  const auto y = nn::init<Back>(Rng{7});
  CHECK(same_bits(x.a.weight, y.a.weight));
  CHECK(same_bits(x.b.weight, y.b.weight));
  CHECK(same_bits(x.b.bias, y.b.bias));
  CHECK_FALSE(same_bits(x.a.weight, x.b.weight));
  CHECK_FALSE(same_bits(x.a.weight, nn::init<Forth>(Rng{8}).a.weight));
  Tensor<float, Shape<5, 6>> by_path;
  const double k = 1 / std::sqrt(6.0);
  nn::fill_uniform(by_path, extents({5, 6}), Rng{7}.stream("a.weight"), -k, k);
  CHECK(same_bits(x.a.weight, by_path));
}

TEST_CASE("elements of lists are named by their number, optionals by their member") {
  const auto x = nn::init<Blocks>(Rng{3});
  nn::Linear<4, 4> alone;
  const char* paths[] = {"blocks.0", "blocks.1", "pair.0", "pair.1", "some"};
  const nn::Linear<4, 4>* layers[] = {&x.blocks[0], &x.blocks[1], &x.pair[0], &x.pair[1], &*x.some};
  for (int i = 0; i < 5; ++i) {
    CAPTURE(paths[i]);
    alone.init(Rng{3}.stream(paths[i]));
    CHECK(same_bits(layers[i]->weight, alone.weight));
    CHECK(same_bits(layers[i]->bias, alone.bias));
  }
  CHECK_FALSE(x.none);
  CHECK_FALSE(x.outside.defined());
}

TEST_CASE("a struct with an init of its own is filled by it") {
  const auto x = nn::init<OwnRule>(Rng{1});
  for (double v : values(x.scale.value)) CHECK((v >= 3 && v < 4));
}

TEST_CASE("a width that only the program knows gives the weights of one that the type knows") {
  nn::Linear<dyn, dyn> open{.in = {6}, .out = {5}};
  nn::Linear<6, 5> closed;
  nn::init(open, Rng{9});
  nn::init(closed, Rng{9});
  CHECK(same_bits(open.weight, closed.weight));
  CHECK(same_bits(open.bias, closed.bias));
  nn::Linear<dyn, 5> forgotten;
  CHECK_THROWS_WITH(nn::init(forgotten, Rng{9}), ContainsSubstring("width"));
}

TEST_CASE("fills have the interval, mean and deviation asked for, in every floating dtype") {
  constexpr Index n = 40000;
  Tensor<float, Shape<dyn>> f;
  Tensor<double, Shape<dyn>> d;
  Tensor<bf16, Shape<dyn>> b;
  const auto check = [&](auto& t, double rounding) {
    nn::fill_uniform(t, extents({n}), Rng{5}, -0.25, 0.75);
    auto v = values(t);
    CHECK(*std::min_element(v.begin(), v.end()) >= -0.25);
    CHECK(*std::max_element(v.begin(), v.end()) <= 0.75);
    // Five deviations of the mean of n uniform numbers.
    CHECK(std::fabs(mean_of(v) - 0.25) <= 5 * std::sqrt(1.0 / 12 / n) + rounding);
    CHECK(deviation_of(v) == Approx(std::sqrt(1.0 / 12)).epsilon(0.02));
    nn::fill_normal(t, extents({n}), Rng{5}, 2, 3);
    v = values(t);
    CHECK(std::fabs(mean_of(v) - 2) <= 5 * 3 / std::sqrt(double(n)) + rounding);
    CHECK(deviation_of(v) == Approx(3).epsilon(0.02));
    nn::fill_constant(t, extents({n}), 0.5);
    CHECK(values(t) == std::vector<double>(n, 0.5));
  };
  check(f, 0);
  check(d, 0);
  check(b, 0.01);
}
