// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/atomic.hpp>

#include <thread>
#include <vector>

#include "support/catch.hpp"
using namespace tenon;

namespace {
template <class F>
void on_threads(int count, F f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&f, i] { f(i); });
  for (std::thread& t : threads) t.join();
}
}  // namespace

TEST_CASE("atomic: no addition is lost", "[core][atomic]") {
  Atomic<std::int64_t> sum{0};
  on_threads(4, [&](int i) {
    for (int k = 0; k < 10000; ++k) sum.fetch_add(i + 1, Order::relaxed);
  });
  CHECK(sum.load() == 10000 * (1 + 2 + 3 + 4));
  CHECK(sum.fetch_sub(5) == 100000);
  CHECK(sum.load() == 99995);
}

TEST_CASE("atomic: compare_exchange_weak succeeds for one of those who expect the same", "[core]") {
  Atomic<int> value{0};
  Atomic<int> winners{0};
  on_threads(4, [&](int i) {
    int expected = 0;
    while (expected == 0 && !value.compare_exchange_weak(expected, i + 1, Order::acq_rel)) {}
    if (expected == 0) winners.fetch_add(1);
  });
  CHECK(winners.load() == 1);
  CHECK(value.load() >= 1);
}

TEST_CASE("spin lock: what it guards is never seen half done", "[core][atomic]") {
  SpinLock lock;
  long first = 0, second = 0;
  Atomic<bool> torn{false};
  on_threads(3, [&](int) {
    for (int k = 0; k < 5000; ++k) {
      Locked held(lock);
      if (first != second) torn.store(true);
      ++first;
      ++second;
    }
  });
  CHECK_FALSE(torn.load());
  CHECK(first == 15000);
}

TEST_CASE("atomic: exchange and store replace the value", "[core][atomic]") {
  Atomic<bool> flag{false};
  CHECK_FALSE(flag.exchange(true));
  CHECK(flag.load(Order::acquire));
  flag.store(false, Order::release);
  CHECK_FALSE(flag.load());
}
