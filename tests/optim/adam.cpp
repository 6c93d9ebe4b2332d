// SPDX-License-Identifier: Apache-2.0
// Adam and AdamW against the rule written as a loop in double, and published trajectories.
#include <tenon/optim/adam.hpp>

#include "optim/models.hpp"
#include "optim/vectors.hpp"
#include "support/catch.hpp"

using namespace tests;

namespace {
// Biases are corrected as in the paper's algorithm, not in the rearranged form.
std::vector<double> by_hand(const optim::Adam& r, std::vector<double> w, int steps) {
  std::vector<double> m(w.size()), v(w.size());
  const double b1 = double(r.beta1), b2 = double(r.beta2), decay = double(r.weight_decay);
  for (int t = 1; t <= steps; ++t) {
    const auto g = values(slope(static_cast<Index>(w.size()), t));
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double d = r.decoupled ? g[i] : g[i] + decay * w[i];
      if (r.decoupled) w[i] -= double(r.lr) * decay * w[i];
      m[i] = b1 * m[i] + (1 - b1) * d;
      v[i] = b2 * v[i] + (1 - b2) * d * d;
      w[i] -= double(r.lr) * (m[i] / (1 - std::pow(b1, t))) /
              (std::sqrt(v[i] / (1 - std::pow(b2, t))) + double(r.eps));
    }
  }
  return w;
}
const optim::Adam rules[] = {
    {.lr = 0.05f},
    {.lr = 0.05f, .weight_decay = 0.1f},
    {.lr = 0.05f, .weight_decay = 0.1f, .decoupled = true},
    {.lr = 0.01f, .beta1 = 0.5f, .beta2 = 0.9f, .eps = 1e-3f},
    {.lr = 0.01f, .beta1 = 0},
};
template <class T>
void check_trajectories(const char* op, bool decoupled, int least) {
  int cases = 0;
  for (const Trajectory& t : trajectories(op)) {
    if (t.flag("amsgrad")) continue;
    optim::Adam rule{.lr = t.number("lr"),
                     .eps = t.number("eps", 1e-8f),
                     .weight_decay = t.number("weight_decay", decoupled ? 0.01f : 0),
                     .decoupled = decoupled};
    if (t.attributes.contains("betas")) {
      rule.beta1 = t.attributes.at("betas").at(0).get<float>();
      rule.beta2 = t.attributes.at("betas").at(1).get<float>();
    }
    CAPTURE(t.name);
    CHECK(t.distance(trajectory<T>(rule, t.start, t.steps, [&](int i) { return t.gradient(i); })) <=
          t.tolerance);
    ++cases;
  }
  CHECK(cases >= least);
}
}  // namespace

TEST_CASE("adam is its loop, for every number of elements and every option") {
  for (const optim::Adam& rule : rules)
    for (Index n : {1, 7, 16, 37, 40000}) {
      CAPTURE(n, rule.beta1, rule.weight_decay, rule.decoupled);
      const AnyTensor w = spread(Dtype::f32, extents({n}), 1).to(Dtype::f64);
      const auto g = [n](int t) { return slope(n, t); };
      const auto want = by_hand(rule, values(w), 5);
      // Rate and correction of a step are floats: 2^-24 of a step of lr each.
      CHECK(distance(trajectory<double>(rule, w, 5, g).back(), want) <= 5 * 2 * 0x1p-24 * 0.05);
      CHECK(distance(trajectory<float>(rule, w, 5, g).back(), want) <= 2e-6);
    }
}

TEST_CASE("adam's first step has the length lr, whatever the size of the gradient") {
  for (double size : {1e-3, 1.0, 1e6}) {
    const AnyTensor w = spread(Dtype::f64, extents({9}), 1);
    const auto g = [&](int) { return made(Dtype::f64, extents({9}), [=](Index) { return size; }); };
    const auto after = trajectory<double>(optim::Adam{.lr = 0.05f}, w, 1, g)[0], before = values(w);
    for (std::size_t i = 0; i < 9; ++i) CHECK(before[i] - after[i] == Approx(0.05).epsilon(2e-5));
  }
}

TEST_CASE("adam and adamw follow PyTorch's trajectories") {
  check_trajectories<float>("adam", false, 1);
  check_trajectories<float>("adamw", true, 1);
}
