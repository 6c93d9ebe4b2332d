// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/window.hpp>

#include "registry/help.hpp"

using namespace tests;
using List = std::vector<Index>;

TEST_CASE("window: windows that do not overlap fold back to the image, overlapping ones count it") {
  AnyTensor x = tensor({1, 2, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  const AttributeMap there{{"kernel", List{2, 2}}, {"stride", 2}};
  AttributeMap back = there;
  back.set("output", List{2, 4});
  CHECK(numbers(one("fold", {one("unfold", {x}, there)}, back)) == numbers(x));
  const AttributeMap close{{"kernel", List{1, 3}}};
  const AnyTensor columns =
      one("unfold", {one("abs", {tensor({1, 1, 1, 5}, Numbers(5, 1))})}, close);
  CHECK(columns.extents() == extents({1, 3, 3}));
  CHECK(result("fold", {columns}, {{"kernel", List{1, 3}}, {"output", List{1, 5}}}) ==
        Numbers{1, 2, 3, 2, 1});
}
TEST_CASE("window: kernels, factors and images that do not fit are errors") {
  const AnyTensor x = tensor({1, 1, 2, 2}, {1, 2, 3, 4});
  CHECK(failing("unfold", {x}, {{"kernel", List{3, 1}}}).code == Error::shape);
  CHECK(failing("unfold", {x}, {{"kernel", List{0, 1}}}).code == Error::value);
  CHECK(failing("unfold", {x}, {{"kernel", List{1, 1}}, {"stride", 0}}).code == Error::value);
  CHECK(failing("unfold", {tensor({2}, {1, 2})}, {{"kernel", List{1, 1}}}).code == Error::shape);
  CHECK(failing("fold", {tensor({1, 1, 3}, {1, 2, 3})},
                {{"kernel", List{1, 1}}, {"output", List{2, 2}}})
            .code == Error::shape);
  CHECK(failing("pixel_unshuffle", {x}, {{"factor", 3}}).code == Error::shape);
  CHECK(failing("pixel_shuffle", {x}, {{"factor", 0}}).code == Error::shape);
  CHECK(numbers(one("pixel_shuffle", {one("pixel_unshuffle", {x}, {{"factor", 2}})},
                    {{"factor", 2}})) == numbers(x));
}
