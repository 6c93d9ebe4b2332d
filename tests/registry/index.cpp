// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/index.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE(
    "index: lookups count from either end, refuse what is out of range, and add up backwards") {
  const AnyTensor x = tensor({3, 2}, {1, 2, 3, 4, 5, 6});
  auto at = [](const Numbers& n) { return tensor({static_cast<Index>(n.size())}, n, Dtype::i64); };
  CHECK(result("take", {x, at({-1, 0, 2})}, {{"axis", 0}}) == Numbers{5, 6, 1, 2, 5, 6});
  CHECK(gradient("take", {x, at({2, 0, 2})}, 0, {{"axis", 0}}) == Numbers{1, 2, 0, 0, 10, 12});
  CHECK(failing("take", {x, at({3})}, {{"axis", 0}}).text ==
        "tenon::take: index 3 at position 0 is out of range for extent 3");
  CHECK(failing("take", {x, at({-4})}, {{"axis", 0}}).code == Error::index);
  CHECK(failing("take", {x, tensor({1}, {0})}, {{"axis", 0}}).code == Error::dtype);
  CHECK(failing("embedding", {at({5}), x}).code == Error::index);
  CHECK(one("take", {x, tensor({0}, {}, Dtype::i64)}, {{"axis", 1}}).extents() == extents({3, 0}));
  CHECK(result("index_add", {x, at({1, 1}), tensor({2, 2}, {1, 1, 1, 1})}, {{"axis", 0}}) ==
        Numbers{1, 2, 5, 6, 5, 6});
  CHECK(failing("index_add", {x, at({1}), tensor({2, 2}, {1, 1, 1, 1})}, {{"axis", 0}}).code ==
        Error::shape);
  CHECK(failing("gather", {x, tensor({4, 3}, Numbers(12, 0), Dtype::i64)}, {{"axis", 0}}).code ==
        Error::shape);
  CHECK(failing("one_hot", {at({2})}, {{"classes", 2}}).code == Error::index);
  CHECK(failing("gather_nd", {x, tensor({1, 3}, {0, 0, 0}, Dtype::i64)}).code == Error::shape);
  CHECK(failing("masked_select", {x, tensor({2}, {1, 0}, Dtype::boolean)}).code == Error::shape);
}
TEST_CASE("index: scatter is undone by gather") {
  const AnyTensor x = tensor({3, 2}, Numbers(6, 0)), s = tensor({2, 2}, {7, 8, 9, 10});
  const AnyTensor i = tensor({2, 2}, {2, 0, 1, 1}, Dtype::i64);
  const AnyTensor y = one("scatter", {x, i, s}, {{"axis", 0}});
  CHECK(numbers(y) == Numbers{0, 8, 9, 10, 7, 0});
  CHECK(result("gather", {y, i}, {{"axis", 0}}) == numbers(s));
  CHECK(gradient("scatter", {tensor({3, 2}, Numbers(6, 1)), i, s}, 0, {{"axis", 0}}) ==
        Numbers{1, 0, 0, 0, 0, 1});
  CHECK(result("masked_fill", {s, tensor({2}, {1, 0}, Dtype::boolean)}, {{"value", -1}}) ==
        Numbers{-1, 8, -1, 10});
  CHECK(result("nonzero", {tensor({2, 2}, {0, 3, 4, 0})}) == Numbers{0, 1, 1, 0});
}
