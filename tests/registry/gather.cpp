// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/gather.hpp>

#include "registry/help.hpp"

using namespace tests;
using registry::Value;

TEST_CASE("gather: taking and adding are adjoint: <take(x), y> = <x, add(y)>") {
  const AnyTensor x = tensor({2, 3}, {1, 2, 3, 4, 5, 6}), y = tensor({5}, {1, -2, 3, 0.5, 7});
  const AnyTensor map = tensor({5}, {0, 5, 5, -1, 2}, Dtype::i64);
  CHECK(numbers(registry::take_at(x, map)) == Numbers{1, 6, 6, 0, 3});
  CHECK(numbers(registry::add_at(y, map, x.extents())) == Numbers{1, 0, 7, 0, 0, 1});
  Tape tape;
  const AnyTensor loss = one("sum", {one("multiply", {registry::take_at(x, map), y})});
  AnyTensor g;
  tape.gradient(loss, std::span<const AnyTensor>(&x, 1), std::span<AnyTensor>(&g, 1));
  CHECK(numbers(g) == Numbers{1, 0, 7, 0, 0, 1});
}
TEST_CASE("gather: a permutation is a view, its gradient the inverse permutation") {
  AnyTensor x = tensor({2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  const int order[] = {2, 0, 1, 3, 4, 5, 6, 7};
  const AnyTensor y = registry::permute(x, order);
  CHECK(y.raw() == x.raw());
  CHECK(y.extents() == extents({2, 2, 3}));
  CHECK(numbers(y) == Numbers{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11});
  const AttributeMap a{{"axes", std::vector<Index>{2, 0, 1}}};
  CHECK(near(gradient("permute", {x}, 0, a), numbers(x)));
}
TEST_CASE("gather: more tensors than a statement has operands are joined, with their gradients") {
  std::vector<AnyTensor> parts;
  for (int i = 0; i < 60; ++i) parts.push_back(tensor({1, 2}, {double(i), -double(i)}));
  const AnyTensor y = one("concat", parts, {{"axis", 0}});
  CHECK(y.extents() == extents({60, 2}));
  CHECK(numbers(y)[2 * 37] == 37);
  CHECK(gradient("concat", parts, 59, {{"axis", 0}}) == Numbers{59, -59});
  CHECK(
      failing("concat", {tensor({1, 2}, {1, 2}), tensor({1, 3}, {1, 2, 3})}, {{"axis", 0}}).code ==
      Error::shape);
  CHECK(numbers(one("concat", {tensor({1}, {-0.0}), tensor({0}, {})}, {{"axis", 0}})).size() == 1);
}
