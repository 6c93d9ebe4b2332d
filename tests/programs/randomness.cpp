// SPDX-License-Identifier: Apache-2.0
// Program 10 of docs/design.md: dropout with remat, gradient accumulation, two passes in one step.
// Masks are independent where they should be and equal where they must be.
#include <tenon/tenon.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {

using Mask = std::vector<bool>;
// Which elements dropout let pass.
Mask mask_of(const AnyTensor& y) {
  Mask m;
  for (double v : values(y)) m.push_back(v != 0);
  return m;
}
// The share of positions at which two masks agree: 1/2 for independent ones of p = 1/2.
double agreement(const Mask& a, const Mask& b) {
  REQUIRE(a.size() == b.size());
  double same = 0;
  for (std::size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
  return same / static_cast<double>(a.size());
}
bool independent(const Mask& a, const Mask& b) {  // 4,096 coins: six deviations are 0.047
  return std::fabs(agreement(a, b) - 0.5) < 0.047;
}

// A parameter for every element, so that the gradient shows the mask that backward used.
struct Net {
  Tensor<float, Shape<64, 64>> gain;
  nn::Dropout drop{.p = 0.5f};
  auto operator()(const auto& x) const { return drop(x * gain); }
};
Net net() { return {Tensor<float, Shape<64, 64>>(ones(Dtype::f32, extents({64, 64})))}; }
const Tensor<float, Shape<64, 64>> ones_in(ones(Dtype::f32, extents({64, 64})));

struct Batch {
  Tensor<float, Shape<dyn, 64>> x;
};
struct Row {  // for any number of rows
  Tensor<float, Shape<64>> gain;
  nn::Dropout drop{.p = 0.5f};
  auto operator()(const Tensor<float, Shape<dyn, 64>>& x) const { return drop(x * gain); }
};
struct Seen {
  Tensor<float, Shape<>> loss;
};

}  // namespace

TEST_CASE("the mask of backward is the mask of forward, with and without remat") {
  seed_random(5);
  const Net n = net();
  for (bool again : {false, true}) {
    Tape tape;
    Tensor<float, Shape<64, 64>> y = again ? remat(n)(ones_in) : Tensor(n(ones_in));
    const Net g = tape.gradient(Tensor(sum(y)), n);
    CHECK(mask_of(g.gain) == mask_of(y));
    CHECK(independent(mask_of(y), Mask(4096, true)));
  }
}

TEST_CASE("two passes in one step have masks of their own, each its own again in backward") {
  seed_random(5);
  const Net n = net();
  for (bool again : {false, true}) {
    Tape tape;
    Tensor a = again ? remat(n)(ones_in) : Tensor(n(ones_in));
    Tensor b = again ? remat(n)(ones_in) : Tensor(n(ones_in));
    CHECK(independent(mask_of(a), mask_of(b)));
    // The gradient counts how many of the two masks let an element pass: 2 a' + 6 b'.
    const Net g = tape.gradient(Tensor(sum(a) + sum(b) * 3), n);
    CHECK(values(g.gain) == values(a + b * 3));
  }
}

TEST_CASE("a step with remat has the bits of the step without: masks, value, gradient, position") {
  const Net n = net();
  const auto x = spread<float, 64, 64>(3);
  const auto step = [&](bool again) {
    seed_random(9);
    ambient().position = 4;
    Tape tape;
    Tensor h = again ? remat(n)(x) : Tensor(n(x));
    Tensor other = nn::Dropout{.p = 0.5f}(h);  // after it: the same call number in both
    Tensor y = again ? remat(n)(other) : Tensor(n(other));
    const Net g = tape.gradient(Tensor(sum(y * y)), n);
    return std::tuple{y.any(), g.gain.any(), ambient().call, ambient().position};
  };
  const auto plain = step(false), again = step(true);
  CHECK(same_bits(std::get<0>(plain), std::get<0>(again)));
  CHECK(distance(std::get<1>(plain), std::get<1>(again)) <= 1e-6);  // a sum over two uses
  CHECK(std::get<2>(plain) == std::get<2>(again));
  CHECK(std::get<3>(plain) == std::get<3>(again));
}

TEST_CASE(
    "gradient accumulation: every batch_gradient has masks of its own; a replay has the same") {
  const Row n{Tensor<float, Shape<64>>(ones(Dtype::f32, extents({64})))};
  // Each column sums one mask's column; 64 rows of one batch.
  const auto loss = [](const Row& n, const Batch& b) { return Seen{sum(n(b.x))}; };
  const auto loss_again = [](const Row& n, const Batch& b) { return Seen{sum(remat(n)(b.x))}; };
  const Batch batch{Tensor<float, Shape<dyn, 64>>(ones(Dtype::f32, extents({64, 64})))};
  for (int shards : {1, 4}) {
    CAPTURE(shards);
    set_shards(shards);
    const auto run = [&](auto f) {
      seed_random(21);
      auto g = batch_gradient(f, n, batch);
      const auto first = values(g.model.gain);
      const auto second = batch_gradient(f, n, batch);
      CHECK(values(second.model.gain) != first);
      g += second;
      return std::pair{first, values(g.model.gain)};
    };
    const auto plain = run(loss), replay = run(loss), again = run(loss_again);
    CHECK(plain == replay);
    CHECK(plain == again);
    set_shards(1);
  }
}

TEST_CASE("shards have masks of their own, at the same call number") {
  static std::vector<Mask> seen;
  seen.clear();
  const Row n{Tensor<float, Shape<64>>(ones(Dtype::f32, extents({64})))};
  const auto loss = [](const Row& n, const Batch& b) {
    Tensor y = remat(n)(b.x);
    seen.push_back(mask_of(y));
    return Seen{sum(y)};
  };
  const Batch batch{Tensor<float, Shape<dyn, 64>>(ones(Dtype::f32, extents({128, 64})))};
  set_shards(2);
  seed_random(3);
  (void)batch_gradient(loss, n, batch);
  set_shards(1);
  REQUIRE(seen.size() == 2);
  CHECK(independent(seen[0], seen[1]));
}

TEST_CASE("evaluation has no mask, inside remat as outside") {
  const Net n = net();
  Tape tape;
  Evaluation scope;
  const std::uint32_t call = ambient().call;
  Tensor y = remat(n)(ones_in);
  CHECK(values(y) == std::vector<double>(4096, 1));
  CHECK(ambient().call == call);
  CHECK(values(tape.gradient(Tensor(sum(y)), n).gain) == std::vector<double>(4096, 1));
}
