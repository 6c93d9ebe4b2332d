// SPDX-License-Identifier: Apache-2.0
// The offset of a field in a JSON text.
#include <tenon/graph/json_place.hpp>

#include "support/catch.hpp"

using namespace tenon::graph;

TEST_CASE("place_in: members by name, elements by number, texts with brackets skipped") {
  const std::string t =
      "{ \"a\": [1, {\"b\": \"x]}\\\"\", \"c\": [true, -2e5]}],\n \"d\": {\"e\": null} }";
  auto rest = [&](const Place& p) { return t.substr(place_in(t, p)); };
  CHECK(rest(Place("a").at(0)).rfind("1,", 0) == 0);
  CHECK(rest(Place("a").at(1).at("b")).rfind("\"x]", 0) == 0);
  CHECK(rest(Place("a").at(1).at("c").at(1)).rfind("-2e5", 0) == 0);
  CHECK(rest(Place("d").at("e")).rfind("null", 0) == 0);
  // What does not exist: the last part of the way that does.
  CHECK(rest(Place("d").at("f")).rfind("{\"e\"", 0) == 0);
  CHECK(rest(Place("a").at(7)).rfind("[1,", 0) == 0);
  CHECK(place_in("", Place("a")) == 0);
  CHECK(place_in("[[[", Place("a").at(0)) == 0);
  CHECK(Place("nodes").at(3).at("in").at(1).text() == "nodes[3].in[1]");
}
