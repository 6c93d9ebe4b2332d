// SPDX-License-Identifier: Apache-2.0
// The pool of a device: sizes, reuse, counts, limits, and what happens when there is no memory left.
#include <tenon/memory/device_pool.hpp>

#include "support/catch.hpp"

#include <map>

using namespace tenon;

namespace {
std::map<char*, std::size_t> taken;
std::size_t room;
char* next_place;

void* take(int device, std::size_t bytes) {
  CHECK(device == 3);
  CHECK(bytes % 512 == 0);
  if (bytes > room) return nullptr;
  room -= bytes;
  char* p = next_place;
  next_place += bytes;
  taken[p] = bytes;
  return p;
}
void give(int, void* p) {
  room += taken.at(static_cast<char*>(p));
  taken.erase(static_cast<char*>(p));
}
memory::DevicePool fresh(std::size_t bytes) {
  taken.clear();
  room = bytes;
  next_place = reinterpret_cast<char*>(std::uintptr_t{1} << 40);  // addresses only, never touched
  return {3, take, give};
}
}  // namespace

TEST_CASE("a block has room for what was asked, aligned, and is handed out again") {
  auto pool = fresh(std::size_t{1} << 40);
  for (int asked : {0, 1, 255, 256, 511, 512, 513, 1000, 4096, 100000, 12345678}) {
    const auto bytes = static_cast<std::size_t>(asked);
    void* p = pool.allocate(bytes);
    REQUIRE(p);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 256 == 0);
    CHECK(taken.at(static_cast<char*>(p)) >= bytes);
    CHECK(taken.at(static_cast<char*>(p)) <= bytes + bytes / 2 + 512);
    const auto calls = pool.statistics().system_calls;
    pool.deallocate(p, bytes);
    CHECK(pool.allocate(bytes) == p);
    CHECK(pool.statistics().system_calls == calls);
    pool.deallocate(p, bytes);
  }
}

TEST_CASE("what lives, what is kept and the peak are counted") {
  auto pool = fresh(std::size_t{1} << 40);
  void *a = pool.allocate(1024), *b = pool.allocate(2048);
  const auto live = pool.statistics().live;
  CHECK(live >= 3072);
  pool.deallocate(a, 1024);
  CHECK(pool.statistics().live + pool.statistics().cached == live);
  CHECK(pool.statistics().peak == live);
  pool.release_cache();
  CHECK(pool.statistics().cached == 0);
  CHECK(taken.size() == 1);
  pool.deallocate(b, 2048);
  CHECK(pool.statistics().live == 0);
}

TEST_CASE("what is kept goes back before an allocation fails, and a failure counts nothing") {
  auto pool = fresh(8192);
  void* a = pool.allocate(4096);
  pool.deallocate(a, 4096);
  CHECK(pool.allocate(8192));  // fits only when the first block has been given back
  const auto live = pool.statistics().live;
  CHECK(pool.allocate(1 << 20) == nullptr);
  CHECK(pool.allocate(std::size_t{1} << 60) == nullptr);
  CHECK(pool.statistics().live == live);
}

TEST_CASE("a limit holds for what lives") {
  auto pool = fresh(std::size_t{1} << 40);
  pool.set_limit(4096);
  void* a = pool.allocate(4096);
  REQUIRE(a);
  CHECK(pool.allocate(1) == nullptr);
  pool.deallocate(a, 4096);
  CHECK(pool.allocate(1));
  pool.set_limit(0);
  CHECK(pool.allocate(1 << 30));
}
