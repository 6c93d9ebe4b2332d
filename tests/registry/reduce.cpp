// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/reduce.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE("reduce: axes are a list, negative, one number or none; keepdim keeps them") {
  const AnyTensor x = tensor({2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  using List = std::vector<Index>;
  CHECK(result("sum", {x}) == Numbers{66});
  CHECK(result("sum", {x}, {{"axis", List{}}}) == Numbers{66});
  CHECK(result("sum", {x}, {{"axis", 1}}) == Numbers{6, 9, 24, 27});
  CHECK(result("sum", {x}, {{"axis", List{-3, 2}}}) == Numbers{14, 22, 30});
  CHECK(one("sum", {x}, {{"axis", List{0, 2}}, {"keepdim", true}}).extents() == extents({1, 3, 1}));
  CHECK(result("mean", {x}, {{"axis", List{0, 2}}}) == Numbers{3.5, 5.5, 7.5});
  CHECK(near(result("var", {x}, {{"axis", 0}, {"correction", 1}}), Numbers(6, 18)));
  CHECK(near(result("std", {x}, {{"axis", 0}, {"correction", 0}}), Numbers(6, 3)));
  CHECK(result("prod", {x}, {{"axis", List{1, 2}}}) == Numbers{0, 332640});
  CHECK(near(result("norm", {x}, {{"axis", 1}, {"ord", "inf"}}), {4, 5, 10, 11}));
  CHECK(failing("sum", {x}, {{"axis", 3}}).text ==
        "tenon::sum: axis 3 is out of range for a tensor of rank 3");
  CHECK(failing("sum", {x}, {{"axis", List{1, -2}}}).code == Error::index);
  CHECK(failing("norm", {x}, {{"ord", "nuc"}}).code == Error::value);
}
TEST_CASE("reduce: an empty row has sum 0 and product 1, but no largest element") {
  const AnyTensor x = tensor({2, 0}, {});
  CHECK(result("sum", {x}, {{"axis", 1}}) == Numbers{0, 0});
  CHECK(result("prod", {x}, {{"axis", 1}}) == Numbers{1, 1});
  CHECK(near(result("mean", {x}, {{"axis", 1}}), {not_a_number, not_a_number}));
  CHECK(result("all", {x}, {{"axis", 1}}) == Numbers{1, 1});
  CHECK(result("any", {x}, {{"axis", 1}}) == Numbers{0, 0});
  CHECK(failing("amax", {x}, {{"axis", 1}}).code == Error::shape);
  CHECK(failing("argmin", {x}, {{"axis", 1}}).code == Error::shape);
  CHECK(one("amax", {x}, {{"axis", 0}}).extents() == extents({0}));
}
TEST_CASE("reduce: softmax sums to one for huge scores, its gradient is orthogonal to ones") {
  const AnyTensor x = tensor({2, 3}, {1e4, 1e4 - 1, -1e4, 0.5, 0.25, -2});
  const Numbers y = result("softmax", {x});
  CHECK(near({y[0] + y[1] + y[2], y[3] + y[4] + y[5]}, {1, 1}));
  const Numbers g = gradient("softmax", {x}, 0);
  CHECK(near({g[3] + g[4] + g[5]}, {0}));
  CHECK(near(result("exp", {one("log_softmax", {x})}), y));
  const AnyTensor mask = tensor({1, 3}, {0, 1, 1}, Dtype::boolean);
  CHECK(near(result("masked_softmax", {x, mask}),
             {0, 1, 0, 0, 1 / (1 + std::exp(-2.25)), 1 / (1 + std::exp(2.25))}));
}
TEST_CASE("reduce: a product with zeros has exact gradients") {
  CHECK(near(gradient("prod", {tensor({4}, {2, 0, 3, 5})}, 0), {0, 0, 0, 0}));
  Tape tape;
  const AnyTensor x = tensor({4}, {2, 0, 3, 5}), y = one("prod", {x});
  AnyTensor g;
  tape.gradient(y, std::span<const AnyTensor>(&x, 1), std::span<AnyTensor>(&g, 1));
  CHECK(numbers(g) == Numbers{0, 30, 0, 0});
}
