// SPDX-License-Identifier: Apache-2.0
#include <tenon/shape/broadcast.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tenon;
using tests::failure;

namespace {

// Every list of at most `rank` extents taken from `choices`.
std::vector<Extents> all_extents(int rank, const std::vector<Index>& choices) {
  std::vector<Extents> all{Extents{}};
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i].rank < rank)
      for (Index c : choices) {
        Extents e = all[i];
        e.extent[e.rank++] = c;
        all.push_back(e);
      }
  return all;
}

}  // namespace

TEST_CASE("broadcast: NumPy's published examples", "[shape][broadcast]") {
  struct Example {
    Extents a, b, result;
  };
  const Example examples[] = {{{3, {256, 256, 3}}, {1, {3}}, {3, {256, 256, 3}}},
                              {{4, {8, 1, 6, 1}}, {3, {7, 1, 5}}, {4, {8, 7, 6, 5}}},
                              {{2, {5, 4}}, {1, {1}}, {2, {5, 4}}},
                              {{2, {5, 4}}, {1, {4}}, {2, {5, 4}}},
                              {{3, {15, 3, 5}}, {3, {15, 1, 5}}, {3, {15, 3, 5}}},
                              {{3, {15, 3, 5}}, {2, {3, 1}}, {3, {15, 3, 5}}}};
  for (const Example& e : examples) {
    CHECK(broadcast(e.a, e.b).extents == e.result);
    CHECK(broadcast(e.a, e.b).mismatch.ok());
  }
  const Broadcast one = broadcast(Extents{1, {3}}, Extents{1, {4}});
  CHECK(one.mismatch.axis == 0);
  const Broadcast two = broadcast(Extents{2, {2, 1}}, Extents{3, {8, 4, 3}});
  CHECK(two.mismatch.axis == 1);
  CHECK(two.mismatch.left == 2);
  CHECK(two.mismatch.right == 4);
}

TEST_CASE("broadcast: it is commutative, idempotent and associative", "[shape][broadcast]") {
  const std::vector<Extents> all = all_extents(3, {0, 1, 2, 3});
  for (const Extents& a : all) {
    REQUIRE(broadcast(a, a).extents == a);
    REQUIRE(broadcast(a, Extents{}).extents == a);
    for (const Extents& b : all) {
      const Broadcast ab = broadcast(a, b), ba = broadcast(b, a);
      REQUIRE(ab.mismatch.ok() == ba.mismatch.ok());
      if (!ab.mismatch.ok()) continue;
      REQUIRE(ab.extents == ba.extents);
      for (const Extents& c : all) {
        const Broadcast bc = broadcast(b, c), left = broadcast(ab.extents, c);
        if (!bc.mismatch.ok()) continue;
        const Broadcast right = broadcast(a, bc.extents);
        REQUIRE(left.mismatch.ok() == right.mismatch.ok());
        if (left.mismatch.ok()) REQUIRE(left.extents == right.extents);
      }
    }
  }
}

TEST_CASE(
    "broadcast: where dyn may be anything, a known extent decides, and only a static 1 stretches",
    "[shape][broadcast]") {
  const Extents d{1, {dyn}}, one{1, {1}}, five{1, {5}};
  CHECK(broadcast(d, one).extents == d);
  CHECK(broadcast(one, d).extents == d);
  CHECK(broadcast(d, five).extents == five);
  CHECK(broadcast(five, d).extents == five);
  CHECK(broadcast(d, d).extents == d);
  CHECK(broadcast(d, Extents{2, {3, 4}}).extents == Extents{2, {3, 4}});
}

TEST_CASE("broadcast: errors name function, shapes, axis and both extents", "[shape][broadcast]") {
  const Extents a{2, {64, 10}}, b{1, {12}};
  auto f = failure([&] { fail_broadcast("add", a, b, broadcast(a, b).mismatch); });
  CHECK(f.code == Error::shape);
  CHECK(f.text == "tenon::add: operands do not broadcast on axis 1: [64, 10] and [12] (10 vs 12)");
  CHECK(to_string(Extents{}) == "[]");
}

TEST_CASE("broadcast: axes count from either end", "[shape][broadcast]") {
  for (int rank = 1; rank <= 8; ++rank)
    for (int axis = 0; axis < rank; ++axis) {
      CHECK(normalize_axis("sum", axis, rank) == axis);
      CHECK(normalize_axis("sum", axis - rank, rank) == axis);
    }
  CHECK(failure([] { normalize_axis("sum", 3, 3); }).code == Error::index);
  CHECK(failure([] { normalize_axis("sum", -4, 3); }).text ==
        "tenon::sum: axis -4 is out of range for a tensor of rank 3");
  CHECK(failure([] { normalize_axis("sum", 0, 0); }).code == Error::index);
}

TEST_CASE("broadcast: strides of a contiguous tensor count its elements in order",
          "[shape][broadcast]") {
  const Extents e{3, {2, 3, 4}};
  Index strides[max_rank] = {};
  contiguous_strides(e, strides);
  Index expected = 0;
  for (Index i = 0; i < 2; ++i)
    for (Index j = 0; j < 3; ++j)
      for (Index k = 0; k < 4; ++k)
        CHECK(i * strides[0] + j * strides[1] + k * strides[2] == expected++);
}
