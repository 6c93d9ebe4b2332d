// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/norm.hpp>

#include "registry/help.hpp"

using namespace tests;
using List = std::vector<Index>;

TEST_CASE("norm: rows have mean 0 and variance 1, and the gradient is that of the formula") {
  const AnyTensor x = tensor({2, 4}, {1, 2, 4, 9, -3, 0.5, 2, 2});
  const AttributeMap a{{"normalized_shape", List{4}}, {"epsilon", 0.0}};
  const AnyTensor y = one("layer_norm", {x}, a);
  CHECK(near(result("mean", {y}, {{"axis", 1}}), {0, 0}));
  CHECK(near(result("var", {y}, {{"axis", 1}, {"correction", 0}}), {1, 1}));
  const AttributeMap plain{{"normalized_shape", List{4}}};
  const AnyTensor w = tensor({4}, {1, 2, 3, 4}), b = tensor({4}, {0, 1, 0, -1});
  for (int i : {0, 1, 2})
    CHECK(near(gradient("layer_norm", {x, w, b}, i, plain),
               differences("layer_norm", {x, w, b}, i, plain), 1e-5));
  CHECK(failing("layer_norm", {x}, {{"normalized_shape", List{3}}}).code == Error::shape);
  CHECK(failing("layer_norm", {x}, {{"normalized_shape", List{2, 2, 4}}}).code == Error::shape);
  CHECK(failing("batch_norm", {x, w, b, w, tensor({3}, {1, 1, 1})}).code == Error::shape);
  CHECK(failing("group_norm", {x, w, b}, {{"groups", 3}}).code == Error::shape);
}
TEST_CASE("norm: attention with equal keys is the mean of the values; causal, of those so far") {
  const AnyTensor q = tensor({3, 2}, {1, 2, 3, 4, 5, 6}), k = tensor({3, 2}, Numbers(6, 1)),
                  v = tensor({3, 1}, {3, 6, 9});
  CHECK(near(result("scaled_dot_product_attention", {q, k, v}), {6, 6, 6}));
  CHECK(near(result("scaled_dot_product_attention", {q, k, v}, {{"causal", true}}), {3, 4.5, 6}));
  CHECK(near(
      result("scaled_dot_product_attention", {q, k, v, tensor({1, 3}, {1, 0, 1}, Dtype::boolean)}),
      {6, 6, 6}));
}
