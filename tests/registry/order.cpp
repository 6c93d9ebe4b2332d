// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/order.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE("order: ties give the first index, NaN is largest in a sort and wins in max") {
  const AnyTensor x = tensor({2, 4}, {3, 1, 3, 1, not_a_number, 2, -1, 2});
  CHECK(result("argmax", {x}, {{"axis", 1}}) == Numbers{0, 0});
  CHECK(result("argmin", {x}, {{"axis", 1}}) == Numbers{1, 0});
  CHECK(near(result("sort", {x}, {{"axis", 1}}), {1, 1, 3, 3, -1, 2, 2, not_a_number}));
  CHECK(result("argsort", {x}, {{"axis", 1}}) == Numbers{1, 3, 0, 2, 2, 1, 3, 0});
  CHECK(result("argsort", {x}, {{"axis", 1}, {"descending", true}}) ==
        Numbers{0, 2, 1, 3, 0, 1, 3, 2});
  CHECK(result("argmax", {tensor({2, 2}, {1, 5, 7, 2})}) == Numbers{2});
}
TEST_CASE("order: integers beyond 2^53 are told apart") {
  AnyTensor x = AnyTensor::empty(Dtype::i64, extents({3}));
  auto* p = static_cast<std::int64_t*>(x.raw_writable());
  p[0] = (Index{1} << 60) + 1, p[1] = (Index{1} << 60) + 2, p[2] = Index{1} << 60;
  CHECK(result("argmax", {x}) == Numbers{1});
  CHECK(result("argsort", {x}, {{"axis", 0}}) == Numbers{2, 0, 1});
}
TEST_CASE("order: values carry their gradient to the element they came from") {
  const AnyTensor x = tensor({5}, {4, 1, 3, 5, 2});
  CHECK(gradient("max", {x}, 0, {{"axis", 0}}) == Numbers{0, 0, 0, 5, 0});
  CHECK(gradient("median", {x}, 0, {{"axis", 0}}) == Numbers{0, 0, 3, 0, 0});
  CHECK(gradient("kthvalue", {x}, 0, {{"axis", 0}, {"k", 2}}) == Numbers{0, 0, 0, 0, 2});
  CHECK(result("topk", {x}, {{"k", 2}, {"axis", 0}}) == Numbers{5, 4});
  CHECK(near(result("quantile", {x}, {{"q", 0.125}, {"axis", 0}}), {1.5}));
  CHECK(failing("topk", {x}, {{"k", 6}, {"axis", 0}}).code == Error::index);
  CHECK(failing("kthvalue", {x}, {{"k", 0}, {"axis", 0}}).code == Error::index);
  CHECK(failing("quantile", {x}, {{"q", 1.5}, {"axis", 0}}).code == Error::value);
}
