// SPDX-License-Identifier: Apache-2.0
// The plan of a group: depths, passes, edges, found at compile time.
#include <tenon/expr/group.hpp>

#include "support/catch.hpp"

using namespace tenon;
using namespace tenon::expr;

namespace {
constexpr int mean_ = reduction_number<op::Mean>, mul = op::number<op::Multiply>,
              sub = op::number<op::Subtract>, gt = op::number<op::Greater>,
              choose = op::number<op::Where>;
// d = x - mean(x); d * mean(d * d)
using Variance = Group<1, 0, 0, word(mean_, 0), word(sub, 0, 1), word(mul, 2, 2), word(mean_, 3),
                       word(mul, 2, 4)>;
}  // namespace

TEST_CASE("numbers of reductions and operations name each other") {
  STATIC_REQUIRE(std::is_same_v<OpAt<reduction_number<op::Pick>>, op::Pick>);
  STATIC_REQUIRE(std::is_same_v<OpAt<op::number<op::Lerp>>, op::Lerp>);
  STATIC_REQUIRE(reduction_number<op::Sum> == first_reduction);
}

TEST_CASE("depth counts nested reductions; what they give is constant along the row") {
  constexpr auto& p = Variance::plan;
  CHECK(p.depth_max == 2);
  CHECK(p.reductions == 2);
  CHECK(p.row[1]);
  CHECK(p.row[4]);
  CHECK_FALSE(p.row[2]);
  CHECK(p.depth[2] == 1);
  CHECK(p.depth[5] == 2);
}

TEST_CASE("an operand met twice in a pass is assigned first and added to then") {
  constexpr auto& p = Variance::plan;
  CHECK(p.edge[1][3][0] == assign_edge);  // d * d in the pass of the inner mean
  CHECK(p.edge[1][3][1] == add_edge);
}

TEST_CASE("nothing flows into the condition of a choice, nor behind a step") {
  using Choice = Group<3, 0, 0, word(gt, 0, 1), word(choose, 3, 2, 1)>;
  constexpr auto& p = Choice::plan;
  CHECK_FALSE(p.grad[3]);
  CHECK(p.backward[0] == 0);
  CHECK(p.backward[2] != 0);
}
