// SPDX-License-Identifier: Apache-2.0
// What is computed twice is computed once; what only looks alike stays.
#include <tenon/graph/pass/common.hpp>

#include "support/model.hpp"

using namespace tests;

TEST_CASE("common subexpressions: equal statements of equal values become one") {
  struct In {
    Tensor<double, Shape<dyn, 4>> x, y;
  };
  auto f = [](const In& in) {
    Tensor a = exp(in.x), b = exp(in.x), c = exp(in.y);
    Tensor d = sum(a, axis<0>), e = sum(b, axis<0>);
    Tensor other = sum(b, axis<1>);
    return std::array{Tensor(sum(d * e)), Tensor(sum(c) + sum(other))};
  };
  const In in{Tensor<double, Shape<dyn, 4>>(spread(Dtype::f64, extents({3, 4}), 1)),
              Tensor<double, Shape<dyn, 4>>(spread(Dtype::f64, extents({3, 4}), 2))};
  auto traced = trace(f, in);
  graph::Graph g = traced.graph();
  const std::size_t before = g.nodes.size();
  graph::remove_common(g);
  graph::verify(g);
  CHECK(g.nodes.size() == before - 2);
  const auto out = run(g, {in.x.any(), in.y.any()});
  const auto want = f(in);
  for (std::size_t i = 0; i < 2; ++i) CHECK(same_bits(out[i], want[i].any()));
}
