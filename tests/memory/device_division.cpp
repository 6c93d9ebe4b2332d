// SPDX-License-Identifier: Apache-2.0
// Division by multiplication against the compiler's.
#include <tenon/memory/device_division.hpp>

#include "support/catch.hpp"

#include <vector>

using tenon::abi::Divisor;

TEST_CASE("a quotient is the compiler's, at the edges and between") {
  const std::int64_t most = std::int64_t{1} << 62;
  std::vector<std::int64_t> edges = {1, 2, 3, 5, 7, 10, 255, 641, 65537, 1000003, most - 1, most};
  for (int k = 2; k < 62; ++k)
    for (int d : {-1, 0, 1}) edges.push_back((std::int64_t{1} << k) + d);
  std::uint64_t state = 1;
  auto random = [&](int bits) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::int64_t>(state >> (64 - bits));
  };
  for (int i = 0; i < 300; ++i) edges.push_back(random(1 + i % 62) + 1);
  std::int64_t wrong = 0;
  for (std::int64_t d : edges) {
    const Divisor by = Divisor::of(d);
    auto check = [&](std::int64_t x) { wrong += x >= 0 && x < most && by.quotient(x) != x / d; };
    for (std::int64_t e : edges) check(e - 1), check(e), check(e + 1);
    for (int i = 0; i < 200; ++i) check(random(1 + i % 62));
    // Beside multiples of d, where a quotient that is off by one shows.
    for (int i = 0; i < 200; ++i) {
      const std::int64_t k = random(62) / d * d;
      check(k - 1), check(k), check(k + 1);
    }
    check(0), check(most - 1);
  }
  CHECK(wrong == 0);
  STATIC_REQUIRE(Divisor::of(8).shift == 3);
}
