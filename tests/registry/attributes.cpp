// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/attributes.hpp>

#include "support/catch.hpp"

using namespace tenon;
using registry::AttributeMap;

TEST_CASE("attributes: keep their order, the last value of a name and their type") {
  AttributeMap a{{"axis", -1}, {"keepdim", true}, {"mode", "reflect"}, {"axis", 2}};
  CHECK(a.size() == 3);
  CHECK(a.find("axis") == 0);
  CHECK(std::get<Index>(a[0].second) == 2);
  CHECK(std::get<bool>(a[1].second));
  CHECK(std::get<std::string>(a[2].second) == "reflect");
  CHECK(a.find("missing") == -1);
  a.set("betas", std::vector<double>{0.9, 0.999});
  CHECK(std::get<std::vector<double>>(a[3].second).size() == 2);
  a.set("lr", 1.0);
  CHECK(std::holds_alternative<double>(a[4].second));
}
