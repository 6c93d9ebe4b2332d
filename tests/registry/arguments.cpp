// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/arguments.hpp>

#include "registry/help.hpp"

using namespace tests;
using registry::Arguments;

TEST_CASE("arguments: read by type, with defaults; what nobody reads is an error") {
  const AttributeMap map{
      {"axis", -1}, {"k", 2.5}, {"on", true}, {"how", "x"}, {"list", std::vector<Index>{1, 0}}};
  const std::vector<AnyTensor> in = {tensor({2, 3}, Numbers(6, 1))};
  const Arguments a("f", in, map);
  CHECK(a.axis("axis", 3) == 2);
  CHECK(a.number("axis") == -1);
  CHECK(a.number("k") == 2.5);
  CHECK(a.flag("on", false));
  CHECK(a.text("how", "") == "x");
  CHECK(a.integer("absent", 7) == 7);
  CHECK(failure([&] { a.check_all_read(); }).text == "tenon::f: takes no attribute \"list\"");
  CHECK(a.list("list") == std::vector<Index>{1, 0});
  CHECK(a.list("axis") == std::vector<Index>{-1});
  CHECK(a.axes("list", 3) == 3u);
  CHECK(a.axes("absent", 3) == 7u);
  a.check_all_read();
}
TEST_CASE("arguments: a wrong type, axis or number of tensors names the operation") {
  const AttributeMap map{{"axis", 3}, {"k", 2.5}, {"axes", std::vector<Index>{1, -1}}};
  const std::vector<AnyTensor> in = {tensor({2, 3}, Numbers(6, 1))};
  const Arguments a("f", in, map);
  CHECK(failure([&] { a.integer("k"); }).text == "tenon::f: attribute \"k\" must be an integer");
  CHECK(failure([&] { a.flag("axis", true); }).code == Error::value);
  CHECK(failure([&] { a.text("axis", ""); }).code == Error::value);
  CHECK(failure([&] { a.integer("n"); }).text == "tenon::f: needs the attribute \"n\"");
  CHECK(failure([&] { a.axis("axis", 3); }).text ==
        "tenon::f: axis 3 is out of range for a tensor of rank 3");
  CHECK(failure([&] { a.axes("axes", 2); }).text == "tenon::f: axis -1 is named twice");
  CHECK(failure([&] { a.takes(2, 3); }).text == "tenon::f: takes 2 to 3 tensors, not 1");
  CHECK(failure([&] { a[1]; }).code == Error::value);
}
