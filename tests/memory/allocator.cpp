// SPDX-License-Identifier: Apache-2.0
#include <tenon/memory/allocator.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

#if defined(__linux__)
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

using namespace tenon;
using tests::failure;

TEST_CASE(
    "allocator: a size class is large enough, the next smaller one is not, and little is lost",
    "[memory][allocator]") {
  int previous = 0;
  for (std::size_t b = 0; b < 300000; ++b) {
    const int c = memory::detail::size_class(b);
    REQUIRE((c == previous || c == previous + 1));
    REQUIRE(memory::detail::class_bytes(c) >= b);
    if (c > 0) {
      REQUIRE(memory::detail::class_bytes(c - 1) < b);
      REQUIRE(static_cast<double>(memory::detail::class_bytes(c)) <=
              1.25 * static_cast<double>(b) + 16);
    }
    previous = c;
  }
  for (int power = 18; power <= 46; ++power)
    for (std::size_t b : {(std::size_t{1} << power) - 1, std::size_t{1} << power}) {
      const int c = memory::detail::size_class(b);
      REQUIRE(c < memory::detail::classes);
      REQUIRE(memory::detail::class_bytes(c) >= b);
      REQUIRE(memory::detail::class_bytes(c - 1) < b);
    }
}

TEST_CASE("allocator: blocks are aligned to 64, writable to their end and do not overlap",
          "[memory][allocator]") {
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (std::size_t b :
       {1u, 63u, 64u, 65u, 100u, 128u, 1000u, 4096u, 65536u, 65537u, 300000u, 64u, 1u}) {
    auto* p = static_cast<unsigned char*>(memory::allocate(b));
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 64 == 0);
    std::memset(p, static_cast<int>(blocks.size()), b);
    blocks.emplace_back(p, b);
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    auto [p, b] = blocks[i];
    CHECK(p[0] == i);
    CHECK(p[b - 1] == i);
    memory::deallocate(p, b);
  }
  void* nothing = memory::allocate(0);
  CHECK(nothing != nullptr);
  memory::deallocate(nothing, 0);
}

TEST_CASE("allocator: a block freed is the next one of its class, without asking the system",
          "[memory][allocator]") {
  for (std::size_t b : {40u, 5000u, 200000u}) {
    void* p = memory::allocate(b);
    memory::deallocate(p, b);
    const auto calls = memory::statistics().system_calls;
    for (int i = 0; i < 10; ++i) {
      void* q = memory::allocate(b);
      CHECK(q == p);
      memory::deallocate(q, b);
    }
    CHECK(memory::statistics().system_calls == calls);
  }
}

TEST_CASE("allocator: statistics count what is held, the peak, and what is kept",
          "[memory][allocator]") {
  memory::release_cache();
  memory::reset_peak();
  const auto before = memory::statistics();
  CHECK(before.cached == 0);
  CHECK(before.peak == before.live);
  void* p = memory::allocate(1 << 20);
  void* q = memory::allocate(1 << 20);
  memory::deallocate(p, 1 << 20);
  const auto held = memory::statistics();
  CHECK(held.live - before.live == 1 << 20);
  CHECK(held.peak - before.live == 2 << 20);
  CHECK(held.cached == 1 << 20);
  memory::deallocate(q, 1 << 20);
  CHECK(memory::statistics().live == before.live);
  memory::release_cache();
  CHECK(memory::statistics().cached == 0);
  const auto calls = memory::statistics().system_calls;
  p = memory::allocate(1 << 20);
  CHECK(memory::statistics().system_calls == calls + 1);
  memory::deallocate(p, 1 << 20);
}

TEST_CASE("allocator: what passes the limit or the machine is an error that leaves no trace",
          "[memory][allocator]") {
  const auto live = memory::statistics().live;
  memory::set_limit(live + (1 << 20));
  void* p = memory::allocate(1 << 19);
  auto f = failure([] { memory::allocate(1 << 20); });
  memory::set_limit(0);
  CHECK(f.code == Error::memory);
  CHECK_THAT(f.text, ContainsSubstring("limit"));
  CHECK(memory::statistics().live == live + (1 << 19));
  memory::deallocate(p, 1 << 19);
  p = memory::allocate(1 << 20);
  memory::deallocate(p, 1 << 20);
  CHECK(failure([] { memory::allocate(~std::size_t{0}); }).code == Error::memory);
  CHECK(failure([] { memory::allocate((std::size_t{1} << 46) + 1); }).code == Error::memory);
  CHECK(memory::statistics().live == live);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // More than any address space of 47 bits has left.
  std::vector<void*> large;
  f = failure([&] {
    for (int i = 0; i < 4; ++i) large.push_back(memory::allocate(std::size_t{1} << 46));
  });
  CHECK(f.code == Error::memory);
  for (void* block : large) memory::deallocate(block, std::size_t{1} << 46);
  memory::release_cache();
  CHECK(memory::statistics().live == live);
#endif
}

TEST_CASE("allocator: threads take and return each other's blocks", "[memory][allocator]") {
  const auto live = memory::statistics().live;
  std::vector<void*> blocks(4000);
  auto size = [](std::size_t i) { return 16 + i % 7 * 20000; };
  std::thread first([&] {
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      blocks[i] = memory::allocate(size(i));
      std::memset(blocks[i], 1, 16);
    }
  });
  first.join();
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < blocks.size(); i += 4) {
        memory::deallocate(blocks[i], size(i));
        void* p = memory::allocate(size(i));
        std::memset(p, 2, 16);
        memory::deallocate(p, size(i));
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(memory::statistics().live == live);
}

namespace {
// A thread that does one thing after another while it lives.
class Worker {
 public:
  ~Worker() {
    done_ = true;
    thread_.join();
  }
  void run(std::function<void()> work) {
    work_ = std::move(work);
    busy_ = true;
    while (busy_) std::this_thread::yield();
  }

 private:
  std::function<void()> work_;
  std::atomic<bool> busy_{false}, done_{false};
  std::thread thread_{[this] {
    while (!done_)
      if (busy_) work_(), busy_ = false;
      else std::this_thread::yield();
  }};
};
constexpr std::size_t small_block = 1000;  // bytes; takes 1024
std::vector<void*> blocks_of(std::size_t count) {
  std::vector<void*> blocks(count);
  for (void*& p : blocks) p = memory::allocate(small_block);
  return blocks;
}
void return_all(const std::vector<void*>& blocks) {
  for (void* p : blocks) memory::deallocate(p, small_block);
}
}  // namespace

TEST_CASE("allocator: what living threads hold is counted to the byte, whoever returns it",
          "[memory][allocator][threads]") {
  for (std::size_t count : {1u, 100u, 256u, 257u, 3000u}) {
    Worker one, two;
    const auto live = memory::statistics().live;
    const auto bytes = static_cast<std::int64_t>(count * 1024);
    std::vector<void*> first, second;
    one.run([&] { first = blocks_of(count); });
    CHECK(memory::statistics().live == live + bytes);
    two.run([&] { second = blocks_of(count); });
    CHECK(memory::statistics().live == live + 2 * bytes);
    two.run([&] { return_all(first); });
    CHECK(memory::statistics().live == live + bytes);
    return_all(second);
    CHECK(memory::statistics().live == live);
  }
}

TEST_CASE("allocator: the peak is right but for what threads count for themselves",
          "[memory][allocator][threads]") {
  constexpr std::int64_t apart = 2 * 256 * 1024;  // this thread and the other one
  Worker one;
  for (std::size_t count : {600u, 3000u, 20000u}) {
    memory::reset_peak();
    const auto live = memory::statistics().live;
    const auto bytes = static_cast<std::int64_t>(count * 1024);
    const auto peak_is = [&](std::int64_t expected) {
      const auto s = memory::statistics();
      CHECK(s.live == live);
      CHECK(std::abs(s.peak - expected) <= apart);
    };
    one.run([&] { return_all(blocks_of(count)); });
    peak_is(live + bytes);
    one.run([&] { return_all(blocks_of(count / 2)); });
    peak_is(live + bytes);
    memory::reset_peak();
    CHECK(memory::statistics().peak == live);
    one.run([&] {
      const std::vector<void*> held = blocks_of(count);
      memory::deallocate(memory::allocate(8 << 20), 8 << 20);
      return_all(held);
    });
    peak_is(live + bytes + (8 << 20));
  }
}

TEST_CASE("allocator: with one thread the peak is exact", "[memory][allocator]") {
  for (std::size_t count : {1u, 100u, 256u, 257u, 3000u}) {
    const auto live = memory::statistics().live;
    const auto bytes = static_cast<std::int64_t>(count * 1024);
    memory::reset_peak();
    return_all(blocks_of(count));
    CHECK(memory::statistics().peak == live + bytes);
    return_all(blocks_of(count / 2));
    CHECK(memory::statistics().peak == live + bytes);
    memory::set_limit(live + 2 * bytes);
    CHECK(memory::statistics().peak == live + bytes);
    const std::vector<void*> held = blocks_of(count + 1);
    memory::set_limit(0);
    memory::deallocate(memory::allocate(1 << 20), 1 << 20);
    return_all(held);
    const auto peak = live + bytes + 1024 + (1 << 20);
    CHECK(memory::statistics().peak == peak);
    void* large = memory::allocate(1 << 20);
    return_all(blocks_of(count + 2));  // after the large block, which goes first
    memory::deallocate(large, 1 << 20);
    CHECK(memory::statistics().peak == peak + 1024);
    CHECK(memory::statistics().live == live);
  }
}

TEST_CASE("allocator: a limit far away costs threads nothing and holds when it comes near",
          "[memory][allocator][threads]") {
  const auto live = memory::statistics().live;
  constexpr std::int64_t limit = 8 << 20;
  memory::set_limit(live + limit);
  std::vector<std::vector<void*>> held(4);
  {
    Worker worker[4];
    for (std::size_t i = 0; i < 4; ++i)
      worker[i].run([&] {
        try {
          for (;;) held[i].push_back(memory::allocate(small_block));
        } catch (const Error&) {}
      });
    CHECK(memory::statistics().live == live + limit);
    worker[3].run([&] { return_all(held[0]); });
    worker[1].run([&] { held[0] = blocks_of(held[0].size()); });
    CHECK(memory::statistics().live == live + limit);
    CHECK(failure([] { memory::allocate(small_block); }).code == Error::memory);
  }
  memory::set_limit(0);
  for (const auto& blocks : held) return_all(blocks);
  CHECK(memory::statistics().live == live);
}

TEST_CASE("allocator: a limit holds for small blocks of several threads together",
          "[memory][allocator][threads]") {
  Worker one, two;
  const auto live = memory::statistics().live;
  one.run([] { return_all(blocks_of(200)); });  // it has counted so much for itself before
  std::vector<void*> first, second, third;
  memory::set_limit(live + 300 * 1024);
  one.run([&] { first = blocks_of(200); });
  two.run([&] { second = blocks_of(100); });
  int code = 0;
  for (Worker* w : {&one, &two}) {
    w->run([&] { code = failure([] { memory::allocate(small_block); }).code; });
    CHECK(code == Error::memory);
  }
  CHECK(failure([] { memory::allocate(small_block); }).code == Error::memory);
  CHECK(memory::statistics().live == live + 300 * 1024);
  one.run([&] { return_all(second); });
  two.run([&] { third = blocks_of(100); });
  CHECK(memory::statistics().live == live + 300 * 1024);
  CHECK(memory::statistics().peak >= live + 300 * 1024);
  memory::set_limit(0);
  two.run([&] { second = blocks_of(100); });
  CHECK(memory::statistics().live == live + 400 * 1024);
  for (const auto* blocks : {&first, &second, &third}) return_all(*blocks);
  CHECK(memory::statistics().live == live);
}

TEST_CASE("allocator: what a thread held at its end is still counted",
          "[memory][allocator][threads]") {
  const auto live = memory::statistics().live;
  std::vector<void*> blocks;
  std::thread([&] { blocks = blocks_of(100); }).join();
  CHECK(memory::statistics().live == live + 100 * 1024);
  std::thread([&] { return_all(blocks); }).join();
  CHECK(memory::statistics().live == live);
}

#if defined(__linux__) && !defined(__SANITIZE_THREAD__)
namespace {
// What a child of fork returns from f; 1 where it crashes, hangs or throws.
template <class F>
int in_child(const F& f) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(f());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
}  // namespace

TEST_CASE("allocator: a child of fork counts on, without the threads of its parent",
          "[memory][allocator][threads]") {
  Worker one;
  std::vector<void*> held;
  one.run([&] { held = blocks_of(10); });
  const auto live = memory::statistics().live;
  CHECK(in_child([&] {
          std::vector<void*> mine;
          std::vector<std::thread> threads;
          for (int i = 0; i < 5; ++i) threads.emplace_back([] { return_all(blocks_of(100)); });
          for (std::thread& t : threads) t.join();
          mine = blocks_of(3);
          return memory::statistics().live == live + 3 * 1024 ? 0 : 2;
        }) == 0);
  return_all(held);
}

TEST_CASE("allocator: who ends the program because memory is short may ask for statistics",
          "[memory][allocator]") {
  const auto ends = [](std::size_t bytes, std::int64_t limit) {
    return in_child([=]() noexcept {
      std::set_terminate([] {
        memory::statistics();
        _exit(7);
      });
      memory::set_limit(limit);
      memory::allocate(bytes);
      return 2;
    });
  };
  CHECK(ends(1000, 1) == 7);
  CHECK(ends(200000, 100000) == 7);
}

#if !defined(__SANITIZE_ADDRESS__)  // what such a thread kept for itself is lost
TEST_CASE("allocator: a thread may return blocks when its thread-local objects are gone",
          "[memory][allocator][threads]") {
  const auto live = memory::statistics().live;
  pthread_key_t key;
  REQUIRE(pthread_key_create(&key, [](void* p) { memory::deallocate(p, small_block); }) == 0);
  for (int i = 0; i < 3; ++i)
    std::thread([&] { pthread_setspecific(key, memory::allocate(small_block)); }).join();
  for (void* p : blocks_of(3)) std::thread([&] { pthread_setspecific(key, p); }).join();
  CHECK(memory::statistics().live == live);
  pthread_key_delete(key);
}
#endif
#endif
