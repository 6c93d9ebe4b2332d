// SPDX-License-Identifier: Apache-2.0
#include <tenon/memory/device.hpp>

#include "support/catch.hpp"

using namespace tenon;

TEST_CASE("device: two are equal when kind and number are", "[memory][device]") {
  STATIC_REQUIRE(cpu == Device{});
  STATIC_REQUIRE(cuda(0) == cuda(0));
  STATIC_REQUIRE_FALSE(cuda(0) == cuda(1));
  STATIC_REQUIRE_FALSE(cpu == cuda(0));
  STATIC_REQUIRE(cuda(3).index == 3);
}
