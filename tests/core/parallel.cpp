// SPDX-License-Identifier: Apache-2.0
// Work given to threads: every block once, whatever the number of threads; also built with the
// thread sanitizer.
#include <tenon/core/parallel.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "support/catch.hpp"
using tenon::Index;

TEST_CASE("parallel: every block is called once, for any number of threads and blocks", "[core]") {
  int threads = GENERATE(1, 2, 3, 16);
  Index blocks = GENERATE(Index{0}, Index{1}, Index{2}, Index{1000});
  CAPTURE(threads, blocks);
  std::vector<int> calls(static_cast<std::size_t>(blocks) + 1);
  tenon::parallel_for(blocks, threads, [&](Index i) { ++calls[static_cast<std::size_t>(i)]; });
  for (Index i = 0; i < blocks; ++i) REQUIRE(calls[static_cast<std::size_t>(i)] == 1);
  CHECK(calls.back() == 0);
}

TEST_CASE("parallel: what blocks wrote is seen after the call, also by a region inside a region",
          "[core]") {
  std::vector<int> sums(8);
  tenon::parallel_for(8, 4, [&](Index i) {
    std::vector<int> inner(100);
    tenon::parallel_for(100, 4,
                        [&](Index j) { inner[static_cast<std::size_t>(j)] = static_cast<int>(j); });
    for (int x : inner) sums[static_cast<std::size_t>(i)] += x;
  });
  for (int sum : sums) CHECK(sum == 4950);
}

TEST_CASE("parallel: several threads may each open regions", "[core]") {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&wrong, t] {
      for (int repeat = 0; repeat < 50; ++repeat) {
        std::vector<int> seen(64);
        tenon::parallel_for(64, 2,
                            [&](Index i) { seen[static_cast<std::size_t>(i)] = t + repeat; });
        for (int s : seen) wrong += s != t + repeat;
      }
    });
  for (auto& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("parallel: set_num_threads bounds num_threads; 0 and less ask for the default",
          "[core]") {
  int standard = tenon::num_threads();
  CHECK(standard >= 1);
#if defined(_OPENMP)
  tenon::set_num_threads(3);
  CHECK(tenon::num_threads() == 3);
#else
  tenon::set_num_threads(3);
  CHECK(tenon::num_threads() == 1);
#endif
  tenon::set_num_threads(0);
  CHECK(tenon::num_threads() == standard);
  tenon::set_num_threads(-1);
  CHECK(tenon::num_threads() == standard);
}
