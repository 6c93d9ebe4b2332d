// SPDX-License-Identifier: Apache-2.0
#include <tenon/shape/shape.hpp>

#include "support/catch.hpp"

using namespace tenon;

TEST_CASE("shape: static extents cost nothing, each dyn one number", "[shape]") {
  STATIC_REQUIRE(std::is_empty_v<Shape<64, 784>>);
  STATIC_REQUIRE(std::is_empty_v<Shape<>>);
  STATIC_REQUIRE(sizeof(Shape<dyn, 784>) == sizeof(Index));
  STATIC_REQUIRE(sizeof(Shape<dyn, 3, dyn>) == 2 * sizeof(Index));
}

TEST_CASE("shape: extents come from the type or from the constructor, in the order of axes",
          "[shape]") {
  constexpr Shape<dyn, 3, dyn, 5> s(7, 2);
  STATIC_REQUIRE(s[0] == 7);
  STATIC_REQUIRE(s[1] == 3);
  STATIC_REQUIRE(s[2] == 2);
  STATIC_REQUIRE(s[3] == 5);
  STATIC_REQUIRE(s.size() == 210);
  STATIC_REQUIRE(s.extents() == Extents{4, {7, 3, 2, 5}});
  STATIC_REQUIRE(Shape<dyn, 3, dyn, 5>(s.extents()).extents() == s.extents());
  STATIC_REQUIRE(Shape<4, 6>().size() == 24);
  STATIC_REQUIRE(Shape<>().size() == 1);
  STATIC_REQUIRE(Shape<>::rank == 0);
  STATIC_REQUIRE(Shape<3, 0, 5>().size() == 0);
  STATIC_REQUIRE(Shape<1, 2, 1, 2, 1, 2, 1, dyn>(3).size() == 24);
  STATIC_REQUIRE(Shape<64, 784>::is_static);
  STATIC_REQUIRE_FALSE(Shape<dyn, 784>::is_static);
  STATIC_REQUIRE(Shape<dyn, 784>::known[0] == dyn);
}

TEST_CASE("shape: the constructor takes as many numbers as there are dyn extents", "[shape]") {
  STATIC_REQUIRE(std::is_constructible_v<Shape<dyn, 784>, int>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<Shape<dyn, 784>, int, int>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<Shape<64, 784>, int>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<int, Shape<dyn>>);
  STATIC_REQUIRE(Shape<dyn>()[0] == 0);
}

TEST_CASE("shape: extents are equal when rank and every extent are", "[shape]") {
  STATIC_REQUIRE(Extents{2, {3, 4}} == Extents{2, {3, 4, 9}});
  STATIC_REQUIRE_FALSE(Extents{2, {3, 4}} == Extents{2, {3, 5}});
  STATIC_REQUIRE_FALSE(Extents{2, {3, 4}} == Extents{3, {3, 4, 1}});
  STATIC_REQUIRE(Extents{}.size() == 1);
}
