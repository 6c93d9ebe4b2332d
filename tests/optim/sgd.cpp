// SPDX-License-Identifier: Apache-2.0
// SGD against the rule written as a loop in double, and published trajectories.
#include <tenon/optim/sgd.hpp>

#include "optim/models.hpp"
#include "optim/vectors.hpp"
#include "support/catch.hpp"

using namespace tests;

namespace sgd_test {

namespace {
// PyTorch's rule: without momentum there is no buffer, so dampening does nothing.
std::vector<double> by_hand(const optim::Sgd& r, std::vector<double> w, int steps) {
  std::vector<double> v(w.size());
  for (int t = 1; t <= steps; ++t) {
    const auto g = values(slope(static_cast<Index>(w.size()), t));
    for (std::size_t i = 0; i < w.size(); ++i) {
      double d = g[i] + double(r.weight_decay) * w[i];
      if (r.momentum != 0) {
        v[i] = t == 1 ? d : double(r.momentum) * v[i] + (1 - double(r.dampening)) * d;
        d = r.nesterov ? d + double(r.momentum) * v[i] : v[i];
      }
      w[i] -= double(r.lr) * d;
    }
  }
  return w;
}
const optim::Sgd rules[] = {
    {.lr = 0.1f},
    {.lr = 0.1f, .weight_decay = 0.05f},
    {.lr = 0.05f, .momentum = 0.9f},
    {.lr = 0.05f, .momentum = 0.9f, .nesterov = true},
    {.lr = 0.05f, .momentum = 0.9f, .dampening = 0.5f, .weight_decay = 0.01f},
    {.lr = 0.05f, .momentum = 0.9f, .weight_decay = 0.01f, .nesterov = true},
    {.lr = 0.05f, .dampening = 0.5f},
};
}  // namespace

TEST_CASE("sgd is its loop, for every number of elements and every option") {
  for (const optim::Sgd& rule : rules)
    for (Index n : {1, 7, 16, 37, 40000}) {
      CAPTURE(n, rule.momentum, rule.dampening, rule.weight_decay, rule.nesterov);
      const AnyTensor w = spread(Dtype::f32, extents({n}), 1).to(Dtype::f64);
      const auto g = [n](int t) { return slope(n, t); };
      const auto want = by_hand(rule, values(w), 4);
      // 1 - dampening is rounded to float.
      CHECK(distance(trajectory<double>(rule, w, 4, g).back(), want) <= 1e-14);
      CHECK(distance(trajectory<float>(rule, w, 4, g).back(), want) <= 2e-6);
    }
}

TEST_CASE("sgd follows PyTorch's trajectories") {
  int cases = 0;
  for (const Trajectory& t : trajectories("sgd")) {
    const optim::Sgd rule{.lr = t.number("lr"),
                          .momentum = t.number("momentum"),
                          .dampening = t.number("dampening"),
                          .weight_decay = t.number("weight_decay"),
                          .nesterov = t.flag("nesterov")};
    CAPTURE(t.name);
    CHECK(t.distance(trajectory<float>(rule, t.start, t.steps,
                                       [&](int i) { return t.gradient(i); })) <= t.tolerance);
    ++cases;
  }
  CHECK(cases >= 5);
}

}  // namespace sgd_test
