// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/shape.hpp>

#include "registry/help.hpp"

using namespace tests;
using List = std::vector<Index>;

TEST_CASE("shape: moving back restores the tensor") {
  const AnyTensor x = tensor({2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  auto twice = [&](const char* op, const AttributeMap& there, const AttributeMap& back) {
    const AnyTensor y = one(op, {one(op, {x}, there)}, back);
    return y.extents() == x.extents() && numbers(y) == numbers(x);
  };
  CHECK(twice("roll", {{"axis", 1}, {"shift", 5}}, {{"axis", 1}, {"shift", -5}}));
  CHECK(twice("flip", {{"axis", List{0, 2}}}, {{"axis", List{0, 2}}}));
  CHECK(
      twice("moveaxis", {{"source", 0}, {"destination", 2}}, {{"source", 2}, {"destination", 0}}));
  CHECK(twice("rot90", {{"axes", List{0, 1}}, {"k", 1}}, {{"axes", List{0, 1}}, {"k", -1}}));
  CHECK(twice("permute", {{"axes", List{2, 0, 1}}}, {{"axes", List{1, 2, 0}}}));
  CHECK(twice("reshape", {{"shape", List{-1, 4}}}, {{"shape", List{2, 3, -1}}}));
  const registry::Results parts =
      registry::call("split", std::vector<AnyTensor>{x}, {{"axis", 1}, {"sizes", List{1, 2}}});
  CHECK(numbers(one("concat", parts, {{"axis", 1}})) == numbers(x));
}
TEST_CASE("shape: slices read as NumPy reads them") {
  const AnyTensor x = tensor({6}, {0, 1, 2, 3, 4, 5});
  auto slice = [&](Index a, Index b, Index s) {
    return result("slice", {x}, {{"start", a}, {"stop", b}, {"step", s}});
  };
  CHECK(slice(1, 5, 2) == Numbers{1, 3});
  CHECK(slice(-2, -6, -2) == Numbers{4, 2});
  CHECK(slice(4, 100, 1) == Numbers{4, 5});
  CHECK(slice(3, 3, 1) == Numbers{});
  CHECK(slice(5, -100, -1) == Numbers{5, 4, 3, 2, 1, 0});
  CHECK(result("slice", {x}, {{"step", -2}}) == Numbers{5, 3, 1});
  CHECK(failing("slice", {x}, {{"step", 0}}).code == Error::value);
}
TEST_CASE("shape: what does not fit is an error, not a wrong tensor") {
  const AnyTensor x = tensor({2, 3}, {0, 1, 2, 3, 4, 5});
  CHECK(failing("reshape", {x}, {{"shape", List{4, 2}}}).code == Error::shape);
  CHECK(failing("reshape", {x}, {{"shape", List{-1, 4}}}).code == Error::shape);
  CHECK(failing("reshape", {x}, {{"shape", List{-1, -1}}}).code == Error::shape);
  CHECK(failing("reshape", {x}, {{"shape", List(9, 1)}}).code == Error::shape);
  CHECK(failing("permute", {x}, {{"axes", List{0, 0}}}).code == Error::index);
  CHECK(failing("expand", {x}, {{"shape", List{3, 3}}}).code == Error::shape);
  CHECK(failing("squeeze", {x}, {{"axis", 0}}).code == Error::shape);
  CHECK(failing("split", {x}, {{"axis", 1}, {"sizes", List{1, 1}}}).code == Error::shape);
  CHECK(failing("pad", {x}, {{"pad", List{0, 0, 3, 0}}, {"mode", "reflect"}}).code == Error::shape);
  CHECK(failing("tile", {x}, {{"reps", List{1, -1}}}).code == Error::value);
  CHECK(failing("pixel_shuffle", {x}, {{"factor", 2}}).code == Error::shape);
  AnyTensor full = tensor({1, 1, 1, 1, 1, 1, 1, 1}, {1});
  CHECK(failing("unsqueeze", {full}, {{"axis", 0}}).code == Error::shape);
  CHECK(failing("stack", {full, full}, {{"axis", 0}}).code == Error::shape);
}
TEST_CASE("shape: gradients against differences") {
  const AnyTensor x = tensor({2, 3}, {0.5, 1, -2, 3, 4, 5});
  const std::pair<const char*, AttributeMap> calls[] = {
      {"pad", {{"pad", List{0, 1, 2, 1}}, {"mode", "circular"}}},
      {"expand", {{"shape", List{4, 2, 3}}}},
      {"tril", {}},
      {"repeat_interleave", {{"axis", 0}, {"repeats", 3}}},
      {"diagonal", {{"offset", 1}}},
      {"tile", {{"reps", List{2, 2}}}}};
  for (const auto& [op, attributes] : calls) {
    CAPTURE(op);
    CHECK(near(gradient(op, {x}, 0, attributes), differences(op, {x}, 0, attributes), 1e-6));
  }
}
TEST_CASE("shape: attributes of absurd size are errors, not overflows") {
  const AnyTensor x = tensor({2, 3}, {0, 1, 2, 3, 4, 5}), none = tensor({0, 3}, {});
  const Index least = std::numeric_limits<Index>::min(), huge = Index{1} << 40;
  CHECK(failing("roll", {x}, {{"axis", 0}, {"shift", least}}).code == Error::value);
  CHECK(failing("slice", {x}, {{"start", least}}).code == Error::value);
  CHECK(failing("diagonal", {x}, {{"offset", least}}).code == Error::value);
  CHECK(failing("tile", {x}, {{"reps", List{huge, huge}}}).code == Error::memory);
  CHECK(failing("reshape", {none}, {{"shape", List{huge, huge, 0}}}).code == Error::shape);
  CHECK(failing("expand", {none}, {{"shape", List{huge, huge, 0, 3}}}).code == Error::memory);
  CHECK(failing("unfold", {tensor({1, 1, 1, 1}, {1})},
                {{"kernel", List{huge, huge}}, {"dilation", huge}})
            .code == Error::value);
  AttributeMap many;
  for (int i = 0; i < 65; ++i) many.set("a" + std::to_string(i), i);
  CHECK(failing("exp", {x}, many).code == Error::value);
}
