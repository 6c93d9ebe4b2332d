// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/philox.hpp>

#include "support/catch.hpp"

using namespace tenon;

namespace {
constexpr RandomKey key{2024, 17, 3, 5};
}  // namespace

TEST_CASE("philox: ten rounds give the published answers", "[core]") {
  // Random123 1.14, tests/kat_vectors, rows philox4x32 10.
  STATIC_REQUIRE(Philox{}(Words{{0, 0, 0, 0}}, 0) ==
                 Words{{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  STATIC_REQUIRE(
      Philox{}(Words{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffffffffffff) ==
      Words{{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  STATIC_REQUIRE(
      Philox{}(Words{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822) ==
      Words{{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST_CASE("philox: the counter holds block 40, call 24, shard 16, position 48 bits", "[core]") {
  constexpr RandomKey k{1, 0x123456789abc, 0xdef0, 0xfedcba};
  STATIC_REQUIRE(k.counter(0x9876543210) ==
                 Words{{0x76543210, 0xfedcba98, 0x9abcdef0, 0x12345678}});
  STATIC_REQUIRE(k.words(7) == Philox{}(k.counter(7), 1));
}

TEST_CASE("philox: many blocks at once equal one at a time, across the carry too", "[core]") {
  std::uint32_t out[4 * detail::philox_lanes];
  for (std::uint64_t first : {std::uint64_t{0}, std::uint64_t{12345}, std::uint64_t{0xffffffd9},
                              RandomKey::blocks - detail::philox_lanes}) {
    detail::philox_words(key, first, out);
    int wrong = 0;
    for (int i = 0; i < 4 * detail::philox_lanes; ++i)
      wrong += out[i] != key.words(first + static_cast<std::uint64_t>(i / 4))[i % 4];
    CHECK(wrong == 0);
  }
}
