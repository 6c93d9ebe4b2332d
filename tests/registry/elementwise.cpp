// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/elementwise.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE("elementwise: every operation of the list can be called by its name") {
  for (int i = 0; i < op::Elementwise::size; ++i) {
    const OpInfo* info = registry::elementwise(i, Dtype::f64);
    CAPTURE(info->name);
    REQUIRE(registry::find(info->name));
    const std::vector<AnyTensor> in(static_cast<std::size_t>(info->arity),
                                    tensor({2}, {0.5, 0.75}));
    const std::string name = info->name;
    const AnyTensor y = name == "gelu" || name == "softplus" ? one(name, {in[0]}) : one(name, in);
    CHECK(y.extents() == extents({2}));
    CHECK(y.dtype() == (info->boolean ? Dtype::boolean : Dtype::f64));
  }
}
TEST_CASE("elementwise: attributes choose the variant") {
  const AnyTensor x = tensor({3}, {-2, 0.5, 3});
  CHECK(result("clamp", {x}, {{"min", -1}, {"max", 1.5}}) == Numbers{-1, 0.5, 1.5});
  CHECK(result("clamp", {x}, {{"min", 0}}) == Numbers{0, 0.5, 3});
  CHECK(result("clamp", {x}, {{"max", 0.0}}) == Numbers{-2, 0, 0});
  CHECK(failing("clamp", {x}).code == Error::value);
  CHECK(failing("gelu", {x}, {{"approximate", "cubic"}}).code == Error::value);
  CHECK(near(result("elu", {x}, {{"alpha", 2}}), {2 * std::expm1(-2.0), 0.5, 3}));
  CHECK(result("prelu", {tensor({1, 2, 2}, {-1, 1, -1, -4}), tensor({2}, {0.5, 0.25})}) ==
        Numbers{-0.5, 1, -0.25, -1});
  CHECK(near(result("softplus", {x}, {{"beta", 2}, {"threshold", 4}}),
             {std::log1p(std::exp(-4.0)) / 2, std::log1p(std::exp(1.0)) / 2, 3}));
}
