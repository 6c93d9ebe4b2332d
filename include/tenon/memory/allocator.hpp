// SPDX-License-Identifier: Apache-2.0
// The caching allocator: blocks freed are kept by size class and handed out again, never zeroed and
// never returned to the system in between, because touching fresh pages costs more than most
// operations.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/core/error.hpp>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>

namespace tenon::inline TENON_ISA::memory {

/// Bytes and counts since the program began; `live` and `peak` count what tensors hold.
struct Statistics {
  std::int64_t live = 0, peak = 0;  ///< bytes
  std::int64_t cached = 0;          ///< bytes kept for reuse by the shared cache
  std::int64_t system_calls = 0;    ///< blocks asked of the system: constant after warm-up
};

namespace detail {

// Block sizes: 64 bytes, then four steps to each power of two. At most a fifth of a block is
// unused.
inline constexpr int classes = 168;
constexpr int size_class(std::size_t bytes) {
  if (bytes <= 64) return 0;
  std::size_t units = (bytes - 1) / 16;  // >= 4
  int top = 63 - __builtin_clzll(units);
  return (top - 2) * 4 + static_cast<int>((units >> (top - 2)) & 3) + 1;
}
constexpr std::size_t class_bytes(int c) {
  if (c == 0) return 64;
  int step = (c - 1) / 4, quarter = (c - 1) % 4;
  return (static_cast<std::size_t>(quarter + 5) << step) * 16;
}

struct Free {
  Free* next;
};
struct Bin {
  Free* head = nullptr;
  int count = 0;
};

// What a block of a class takes from the system.
constexpr std::size_t block_bytes(int c) { return (class_bytes(c) + 63) / 64 * 64; }

inline constexpr int small_classes = 41;                                    // a thread's own
inline constexpr std::size_t small_bytes = class_bytes(small_classes - 1);  // 64 KiB
inline constexpr int bin_limit = 1024;  // blocks a thread keeps of one small class

struct SmallBlocks {
  std::uint32_t bytes[small_classes];
};
inline constexpr SmallBlocks small = [] {
  SmallBlocks s{};
  for (int c = 0; c < small_classes; ++c) s.bytes[c] = static_cast<std::uint32_t>(block_bytes(c));
  return s;
}();

// Bytes that a thread counts for itself before it tells the others: threads with one count between
// them would wait for each other at every block.
inline constexpr std::int64_t slack = 256 * 1024;
inline constexpr std::int64_t every_block = std::numeric_limits<std::int64_t>::min();

// What one thread counts. Others read it; of a thread that ended the next one takes it over, and it
// is never freed: a child of fork, or a thread whose destructors do not run, leaves it behind.
struct alignas(64) Count {
  Atomic<std::int64_t> live{0};         // taken less returned, and not yet part of Shared::live
  Atomic<std::int64_t> high{0};         // the most that was
  Atomic<std::int64_t> ceiling{slack};  // above it Shared has to know
  Count* next = nullptr;
  bool taken = false;  // by a thread
  bool listed = false;
};

// What threads have in common, by lock.
struct Shared {
  SpinLock mutex;
  std::int64_t limit = 0, live = 0, peak = 0, cached = 0, system_calls = 0;
  Count* counts = nullptr;
  std::int64_t threads = 0;  // that have one of them
  bool near = false;         // the limit could be passed unseen if threads counted for themselves
  Bin bins[classes];
};
TENON_SHARED inline Shared& shared() {
  static constinit Shared s;  // without a destructor: tensors may outlive every static object
  return s;
}

// ---- with the lock of Shared held ----

/// What all threads hold.
inline std::int64_t live_of_all(const Shared& s) {
  std::int64_t live = s.live;
  for (const Count* c = s.counts; c; c = c->next) live += c->live.load(Order::relaxed);
  return live;
}
/// The most that they held when together they hold `live` now.
inline std::int64_t peak_of_all(const Shared& s, std::int64_t live) {
  std::int64_t peak = std::max(s.peak, live);
  for (const Count* c = s.counts; c; c = c->next)
    peak = std::max(peak, live - c->live.load(Order::relaxed) + c->high.load(Order::relaxed));
  return peak;
}
/// Makes what a thread counted part of Shared.
inline void fold(Shared& s, Count& c) {
  const std::int64_t now = c.live.load(Order::relaxed);
  s.peak = std::max(s.peak, s.live + std::max(now, c.high.load(Order::relaxed)));
  s.live += now;
  c.live.store(0, Order::relaxed);
  c.high.store(0, Order::relaxed);
}
/// Whether threads may count for themselves: until the next time that anybody asks, each may take
/// two slacks more.
inline void settle(Shared& s, Count& c) {
  const bool near = s.limit > 0 && live_of_all(s) + 2 * slack * s.threads > s.limit;
  c.ceiling.store(near || !c.listed ? every_block : slack, Order::relaxed);
  if (near && !s.near)
    for (Count* i = s.counts; i; i = i->next) i->ceiling.store(every_block, Order::relaxed);
  s.near = near;
}
/// Counts a block for the thread of c. False, and nothing is counted, where it passes the limit.
inline bool count_exactly(Shared& s, Count& c, std::int64_t bytes) {
  fold(s, c);
  if (s.limit > 0 && live_of_all(s) + bytes > s.limit) return false;
  s.live += bytes;
  s.peak = std::max(s.peak, s.live);
  settle(s, c);
  return true;
}
/// A count for a thread; `own` where there is no memory for one.
inline Count* take_count(Shared& s, Count& own) {
  Count* c = s.counts;
  while (c && c->taken) c = c->next;
  if (!c) {
    void* p = std::aligned_alloc(64, sizeof(Count));
    if (!p) return settle(s, own), &own;
    c = new (p) Count;
    c->next = s.counts, c->listed = true;
    s.counts = c;
  }
  c->taken = true;
  ++s.threads;
  settle(s, *c);
  return c;
}

// ---- without the lock ----

// One per thread. What is freed after its destructor goes to the system at once.
struct Local {
  Bin bins[small_classes];
  Count* count;
  Count own;  // listed nowhere: each block is told
  bool dead = false;

  Local() {
    Locked lock(shared().mutex);
    count = take_count(shared(), own);
  }
  ~Local() {
    Shared& s = shared();
    {
      Locked lock(s.mutex);
      fold(s, *count);
      if (count->listed) count->taken = false, --s.threads;
      count = &own;
      settle(s, own);
    }
    dead = true;
    for (Bin& bin : bins)
      while (Free* f = bin.head) {
        bin.head = f->next;
        std::free(f);
      }
  }
};
TENON_SHARED inline Local& local() {
  thread_local Local l;
  return l;
}

// Never with the lock held: who handles the error may ask for statistics.
[[noreturn]] TENON_COLD inline void fail_memory(std::size_t bytes, const char* why) {
  fail(Error::memory, {"memory: ", bytes, " bytes ", why});
}
[[noreturn]] TENON_COLD inline void fail_limit(std::int64_t bytes) {
  fail_memory(static_cast<std::size_t>(bytes), "would pass the limit set by set_limit");
}
// A block that this thread cannot count for itself.
TENON_COLD inline void count_above(Count& c, std::int64_t bytes) {
  const bool fits = [&] {
    Locked lock(shared().mutex);
    return count_exactly(shared(), c, bytes);
  }();
  if (!fits) fail_limit(bytes);
}
// This thread returned more than it took.
TENON_COLD inline void count_below(Count& c) {
  Shared& s = shared();
  Locked lock(s.mutex);
  fold(s, c);
  settle(s, c);
}

/// Blocks of bins to the system.
inline void release(Bin* bins, int n) {
  for (Bin* bin = bins; bin != bins + n; ++bin) {
    while (Free* f = bin->head) {
      bin->head = f->next;
      std::free(f);
    }
    bin->count = 0;
  }
}
inline void release_all() {
  Shared& s = shared();
  {
    Locked lock(s.mutex);
    release(s.bins, classes);
    s.cached = 0;
  }
  release(local().bins, small_classes);
}

// A block that was counted. What the caches keep is given back before a failure is final.
TENON_COLD inline void* from_system(std::size_t bytes) {
  Shared& s = shared();
  void* p = std::aligned_alloc(64, bytes);
  if (!p) {
    release_all();
    p = std::aligned_alloc(64, bytes);
  }
  {
    Locked lock(s.mutex);
    ++s.system_calls;
    if (!p) s.live -= static_cast<std::int64_t>(bytes);
  }
  if (!p) fail_memory(bytes, "could not be allocated");
  return p;
}

}  // namespace detail

/// Of the whole process. `peak` is exact while there is one thread; each further one may put it
/// wrong by 512 KiB.
inline Statistics statistics() {
  detail::Shared& s = detail::shared();
  Locked lock(s.mutex);
  const std::int64_t live = detail::live_of_all(s);
  return {live, detail::peak_of_all(s, live), s.cached, s.system_calls};
}

/// Forgets the largest `live` seen so far.
inline void reset_peak() {
  detail::Shared& s = detail::shared();
  Locked lock(s.mutex);
  s.peak = detail::live_of_all(s);
  for (detail::Count* c = s.counts; c; c = c->next)
    c->high.store(c->live.load(Order::relaxed), Order::relaxed);
}

/// The most bytes tensors may hold together; 0 (the default) for no limit. Passing it throws
/// Error::memory. Within 512 KiB a thread of the limit threads count together, block by block.
inline void set_limit(std::int64_t bytes) {
  detail::Shared& s = detail::shared();
  detail::Count& own = *detail::local().count;
  Locked lock(s.mutex);
  s.limit = bytes;
  s.near = false;
  for (detail::Count* c = s.counts; c; c = c->next) c->ceiling.store(detail::slack, Order::relaxed);
  detail::settle(s, own);
}

/// Gives the shared cache and this thread's cache back to the system.
inline void release_cache() { detail::release_all(); }

namespace detail {

inline __attribute__((noinline)) void* allocate_large(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 46)) fail_memory(bytes, "could not be allocated");
  const int c = size_class(bytes);
  const std::size_t size = block_bytes(c);
  Shared& s = shared();
  Count& count = *local().count;
  bool fits;
  {
    Locked lock(s.mutex);
    fits = count_exactly(s, count, static_cast<std::int64_t>(size));
    Bin& bin = s.bins[c];
    if (Free* f = bin.head; f && fits) {
      bin.head = f->next;
      s.cached -= static_cast<std::int64_t>(size);
      return f;
    }
  }
  if (!fits) fail_limit(static_cast<std::int64_t>(size));
  return from_system(size);
}
inline __attribute__((noinline)) void deallocate_large(void* p, std::size_t bytes) noexcept {
  const int c = size_class(bytes);
  const auto size = static_cast<std::int64_t>(block_bytes(c));
  Shared& s = shared();
  Count& count = *local().count;
  auto* f = static_cast<Free*>(p);
  Locked lock(s.mutex);
  fold(s, count);
  s.live -= size;
  settle(s, count);
  s.cached += size;
  f->next = s.bins[c].head;
  s.bins[c].head = f;
}

/// A block of small class c.
inline __attribute__((noinline)) void* take(int c) {
  Local& l = local();
  Count& count = *l.count;
  const std::int64_t bytes = small.bytes[c], now = count.live.load(Order::relaxed) + bytes;
  if (now > count.ceiling.load(Order::relaxed)) [[unlikely]] {
    count_above(count, bytes);
  } else {
    count.live.store(now, Order::relaxed);
    if (now > count.high.load(Order::relaxed)) count.high.store(now, Order::relaxed);
  }
  Bin& bin = l.bins[c];
  Free* f = bin.head;
  if (!f) [[unlikely]]
    return from_system(small.bytes[c]);
  bin.head = f->next;
  --bin.count;
  return f;
}
inline __attribute__((noinline)) void give_back(void* p, int c) noexcept {
  Local& l = local();
  Count& count = *l.count;
  const std::int64_t now = count.live.load(Order::relaxed) - small.bytes[c];
  count.live.store(now, Order::relaxed);
  if (now < -slack || !count.listed) [[unlikely]]
    count_below(count);
  Bin& bin = l.bins[c];
  if (l.dead || bin.count >= bin_limit) [[unlikely]]
    return std::free(p);
  auto* f = static_cast<Free*>(p);
  f->next = bin.head;
  bin.head = f;
  ++bin.count;
}

}  // namespace detail

/// The class of blocks of at least `bytes` that a thread keeps for itself; large_class above them.
inline constexpr int large_class = 255;
constexpr int class_of(std::size_t bytes) {
  return bytes > detail::small_bytes ? large_class : detail::size_class(bytes);
}

/// A block of at least `bytes`, aligned to 64, contents undefined; c: class_of(bytes). Errors:
/// Error::memory.
inline void* allocate(std::size_t bytes, int c) {
  return c == large_class ? detail::allocate_large(bytes) : detail::take(c);
}
inline __attribute__((noinline)) void* allocate(std::size_t bytes) {
  return allocate(bytes, class_of(bytes));
}

/// Returns a block that allocate gave for so many bytes.
inline void deallocate(void* p, std::size_t bytes, int c) noexcept {
  if (c == large_class) detail::deallocate_large(p, bytes);
  else detail::give_back(p, c);
}
inline __attribute__((noinline)) void deallocate(void* p, std::size_t bytes) noexcept {
  deallocate(p, bytes, class_of(bytes));
}

}  // namespace tenon::memory
