// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/kernels.hpp>

#include "support/catch.hpp"

using namespace tenon;

TEST_CASE("kernels: the fused groups have the passes that their formulas need") {
  using namespace registry::detail;
  CHECK(Softmax::plan.reductions == 1);
  CHECK(Softmax::plan.depth_max == 1);
  CHECK(LogSoftmax::plan.depth_max == 1);
  CHECK(Normalise::plan.reductions == 2);
  CHECK(Normalise::plan.depth_max == 2);
  CHECK(Linear::plan.depth_max == 0);
  CHECK(Softmax::plan.row[1]);
}
TEST_CASE("kernels: integers have only what gives integers") {
  CHECK(registry::detail::info_for<op::Tanh, std::int64_t>() == nullptr);
  CHECK(registry::detail::info_for<op::Divide, std::int64_t>() == nullptr);
  CHECK(registry::detail::info_for<op::Mean, std::int64_t>() == nullptr);
}
