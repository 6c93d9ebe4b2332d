// SPDX-License-Identifier: Apache-2.0
#include <tenon/kernel/cpu/scratch.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <limits>

using namespace tenon;

TEST_CASE("scratch: a buffer is aligned to a cache line and only grows", "[kernel][scratch]") {
  kernel::Scratch buffer;
  void* small = buffer.get(100);
  CHECK(reinterpret_cast<std::uintptr_t>(small) % 64 == 0);
  CHECK(buffer.get(1) == small);
  CHECK(buffer.get(100) == small);
  void* large = buffer.get(1 << 20);
  CHECK(reinterpret_cast<std::uintptr_t>(large) % 64 == 0);
  CHECK(buffer.get(100) == large);
}

TEST_CASE("scratch: users do not share, and a user meets its buffer again", "[kernel][scratch]") {
  struct One;
  struct Other;
  void* one = kernel::scratch<One>(64);
  CHECK(kernel::scratch<Other>(64) != one);
  CHECK(kernel::scratch<One>(64) == one);
}

TEST_CASE("scratch: what no object can have is Error::memory, and the buffer stays usable",
          "[kernel][scratch]") {
  kernel::Scratch buffer;
  try {
    buffer.get(std::numeric_limits<std::size_t>::max());
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == Error::memory);
  }
  CHECK(buffer.get(64) != nullptr);
}
