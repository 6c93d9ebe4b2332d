// SPDX-License-Identifier: Apache-2.0
// Dropout: what a mask depends on, that backward sees the mask of forward, and what is left of the
// mean.
#include <tenon/nn/layer/dropout.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {
using X = Tensor<float, Shape<50, 40>>;

const X& ones_of() {
  static const X x(made(Dtype::f32, extents({50, 40}), [](Index) { return 1; }));
  return x;
}
std::vector<double> mask(const nn::Dropout& drop, const X& x = ones_of()) {
  Training scope;
  return values(drop(x));
}
// Of two independent masks the share of positions where both keep is keep^2; five deviations.
bool independent(const std::vector<double>& a, const std::vector<double>& b, double keep) {
  double both = 0;
  for (std::size_t i = 0; i < a.size(); ++i) both += a[i] != 0 && b[i] != 0;
  const double n = static_cast<double>(a.size()), p = keep * keep;
  return std::fabs(both / n - p) <= 5 * std::sqrt(p * (1 - p) / n);
}
}  // namespace

TEST_CASE("dropout in evaluation, and with p = 0, is the identity to the bit") {
  const auto x = spread<float, 50, 40>(1);
  const nn::Dropout drop{0.5f}, none{0};
  CHECK(same_bits(Tensor(drop(x)).any(), x));
  Tape tape;
  CHECK(same_bits(Tensor(none(x)).any(), x));
  CHECK_FALSE(same_bits(Tensor(drop(x)).any(), x));
  Evaluation scope;
  CHECK(same_bits(Tensor(drop(x)).any(), x));
}

TEST_CASE("dropout in training gives 0 or x / (1 - p), with the right share of zeros") {
  seed_random(3);
  for (float p : {0.1f, 0.25f, 0.5f, 0.9f}) {
    CAPTURE(p);
    const auto y = mask(nn::Dropout{p});
    double zeros = 0, sum = 0;
    for (double v : y) {
      zeros += v == 0;
      sum += v;
      if (v != 0) CHECK(v == Approx(1 / (1 - double(p))).epsilon(1e-6));
    }
    const double n = static_cast<double>(y.size()), q = double(p);
    CHECK(std::fabs(zeros / n - q) <= 5 * std::sqrt(q * (1 - q) / n));
    CHECK(std::fabs(sum / n - 1) <= 5 * std::sqrt(q / (1 - q) / n));
  }
}

TEST_CASE(
    "masks are independent between calls, positions, shards and seeds, and repeat with them") {
  const nn::Dropout drop{0.5f};
  seed_random(3);
  const auto first = mask(drop), second = mask(drop);
  CHECK(first != second);
  CHECK(independent(first, second, 0.5));
  seed_random(3);
  CHECK(mask(drop) == first);
  CHECK(mask(drop) == second);
  seed_random(3);
  ambient().position = 1;
  CHECK(independent(mask(drop), first, 0.5));
  seed_random(3);
  ambient().shard = 1;
  CHECK(independent(mask(drop), first, 0.5));
  seed_random(4);
  CHECK(independent(mask(drop), first, 0.5));
  seed_random(0);
}

TEST_CASE("backward sees the mask of forward, wherever the statement ends") {
  seed_random(5);
  const auto x = spread<double, 30, 20>(1, 0.5, 1.5);
  const nn::Dropout drop{0.3f};
  {
    Tape tape;
    Tensor y = drop(x);
    Tensor loss = sum(y);
    const auto g = values(tape.gradient(loss, x)), out = values(y), in = values(x);
    for (std::size_t i = 0; i < g.size(); ++i) CHECK(g[i] == Approx(out[i] / in[i]).epsilon(1e-12));
  }
  Tape tape;
  Tensor loss = sum(square(drop(tanh(x))));
  CHECK(loss.item() > 0);
  const auto g = values(tape.gradient(loss, x));
  double kept = 0;
  for (double v : g) kept += v != 0;
  CHECK(kept / 600 == Approx(0.7).margin(5 * std::sqrt(0.21 / 600)));
}

TEST_CASE("two dropouts of one statement have masks of their own") {
  seed_random(6);
  const nn::Dropout drop{0.5f};
  Training scope;
  const auto both = values(drop(drop(ones_of())));
  double kept = 0;
  for (double v : both) {
    kept += v != 0;
    CHECK((v == 0 || v == 4));
  }
  CHECK(kept / 2000 == Approx(0.25).margin(5 * std::sqrt(0.1875 / 2000)));
}

TEST_CASE("gradients of dropout with its mask held") {
  const auto f = [](const auto& x) {
    seed_random(9);
    Training scope;
    return tanh(nn::Dropout{0.4f}(square(x)));
  };
  check_statement(f, spread<double, 5, 7>(1));
}

TEST_CASE("a mask does not depend on the number of threads") {
  const auto x = spread<float, 600, 500>(1);
  std::vector<AnyTensor> out;
  for (int threads : {1, 2, 3}) {
    set_num_threads(threads);
    seed_random(2);
    Training scope;
    out.push_back(Tensor(nn::Dropout{0.2f}(x)).any());
  }
  set_num_threads(0);
  CHECK(same_bits(out[0], out[1]));
  CHECK(same_bits(out[0], out[2]));
}

TEST_CASE("a probability outside [0, 1) is refused") {
  const auto x = spread<float, 3>(1);
  for (float p : {1.0f, -0.1f, 2.0f, std::numeric_limits<float>::quiet_NaN()}) {
    try {
      Tensor y = nn::Dropout{p}(x);
      FAIL("no error");
    } catch (const Error& e) {
      CHECK(e.code() == Error::value);
      CHECK_THAT(e.what(), ContainsSubstring("dropout: p is "));
    }
  }
}
