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

// What threads have in common; by lock, but for the limit.
struct Local;
struct Shared {
  SpinLock mutex;
  Atomic<std::int64_t> limit{0};
  std::int64_t live = 0, peak = 0, cached = 0, system_calls = 0;
  Local* locals = nullptr;
  Bin bins[classes];
};
TENON_SHARED inline Shared& shared() {
  static constinit Shared s;  // without a destructor: tensors may outlive every static object
  return s;
}

// Bytes that a thread counts for itself before it tells the others: threads with one count between
// them would wait for each other at every block.
inline constexpr std::int64_t slack = 256 * 1024;
inline constexpr std::int64_t every_block = std::numeric_limits<std::int64_t>::min();

// One per thread. What is freed after its destructor goes to the system at once.
struct Local {
  // Taken less returned and not yet part of Shared::live, and the most that was: a number above it
  // must be looked at. Others read both, and set `high` to every_block or to what is held.
  Atomic<std::int64_t> live{0}, high{0};
  Bin bins[small_classes];
  bool dead = false;
  Local *before = nullptr, *after = nullptr;

  Local() {
    Shared& s = shared();
    Locked lock(s.mutex);
    after = s.locals;
    if (after) after->before = this;
    s.locals = this;
    if (s.limit.load() > 0) high.store(every_block, Order::relaxed);
  }
  ~Local() {
    Shared& s = shared();
    {
      Locked lock(s.mutex);
      dead = true;
      fold(s);
      (before ? before->after : s.locals) = after;
      if (after) after->before = before;
    }
    for (Bin& bin : bins)
      while (Free* f = bin.head) {
        bin.head = f->next;
        std::free(f);
      }
  }

  /// Adds to `live`, which this thread alone writes, and returns it.
  TENON_INLINE std::int64_t add(std::int64_t bytes) {
    const std::int64_t now = live.load(Order::relaxed) + bytes;
    live.store(now, Order::relaxed);
    return now;
  }
  /// Makes what this thread counted part of Shared, whose lock is held.
  void fold(Shared& s) {
    const std::int64_t now = live.load(Order::relaxed), most = high.load(Order::relaxed);
    s.peak = std::max(s.peak, s.live + std::max(now, most));
    s.live += now;
    live.store(0, Order::relaxed);
    high.store(dead || s.limit.load() > 0 ? every_block : 0, Order::relaxed);
  }
};
TENON_SHARED inline Local& local() {
  thread_local Local l;
  return l;
}

[[noreturn]] TENON_COLD inline void fail_memory(std::size_t bytes, const char* why) {
  fail(Error::memory, {"memory: ", bytes, " bytes ", why});
}

/// What all threads hold; Shared is locked.
inline std::int64_t live_of_all(const Shared& s) {
  std::int64_t live = s.live;
  for (const Local* l = s.locals; l; l = l->after) live += l->live.load(Order::relaxed);
  return live;
}
/// The most that they held, as far as threads tell of it.
inline std::int64_t peak_of_all(const Shared& s) {
  const std::int64_t live = live_of_all(s);
  std::int64_t peak = std::max(s.peak, live);
  for (const Local* l = s.locals; l; l = l->after)
    if (const std::int64_t high = l->high.load(Order::relaxed); high != every_block)
      peak = std::max(peak, live - l->live.load(Order::relaxed) + high);
  return peak;
}
/// Adds `bytes` for this thread's `l`; Shared is locked. Errors: Error::memory, with nothing added.
inline void count_exactly(Shared& s, Local& l, std::int64_t bytes) {
  const std::int64_t limit = s.limit.load();
  l.fold(s);
  if (limit > 0 && s.live + bytes > limit && live_of_all(s) + bytes > limit)
    fail_memory(static_cast<std::size_t>(bytes), "would pass the limit set by set_limit");
  s.live += bytes;
  s.peak = std::max(s.peak, s.live);
}
// This thread holds more than it ever counted for itself. It was added already.
TENON_COLD inline void count_above(Local& l, std::int64_t bytes) {
  Shared& s = shared();
  const std::int64_t now = l.live.load(Order::relaxed);
  std::int64_t high = l.high.load(Order::relaxed);
  if (high != every_block && now <= slack &&
      l.high.compare_exchange_weak(high, now, Order::relaxed))
    return;
  l.add(-bytes);
  Locked lock(s.mutex);
  count_exactly(s, l, bytes);
}
// This thread returned more than it took.
TENON_COLD inline void count_below(Local& l) {
  Shared& s = shared();
  Locked lock(s.mutex);
  l.fold(s);
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
  Locked lock(s.mutex);
  ++s.system_calls;
  if (p) return p;
  s.live -= static_cast<std::int64_t>(bytes);
  fail_memory(bytes, "could not be allocated");
}

}  // namespace detail

/// Of the whole process. `peak` is exact while there is one thread; each further one may put it
/// wrong by 256 KiB.
inline Statistics statistics() {
  detail::Shared& s = detail::shared();
  Locked lock(s.mutex);
  return {detail::live_of_all(s), detail::peak_of_all(s), s.cached, s.system_calls};
}

/// Forgets the largest `live` seen so far.
inline void reset_peak() {
  detail::Shared& s = detail::shared();
  Locked lock(s.mutex);
  s.peak = detail::live_of_all(s);
  for (detail::Local* l = s.locals; l; l = l->after)
    if (l->high.load(Order::relaxed) != detail::every_block)
      l->high.store(l->live.load(Order::relaxed), Order::relaxed);
}

/// The most bytes tensors may hold together; 0 (the default) for no limit. Passing it throws
/// Error::memory. With a limit threads count together, block by block; what each of them had taken
/// before may be overlooked up to 256 KiB.
inline void set_limit(std::int64_t bytes) {
  detail::Shared& s = detail::shared();
  Locked lock(s.mutex);
  s.peak = detail::peak_of_all(s);
  s.limit.store(bytes);
  for (detail::Local* l = s.locals; l; l = l->after)
    l->high.store(bytes > 0 ? detail::every_block : l->live.load(Order::relaxed), Order::relaxed);
}

/// Gives the shared cache and this thread's cache back to the system.
inline void release_cache() { detail::release_all(); }

namespace detail {

inline __attribute__((noinline)) void* allocate_large(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 46)) fail_memory(bytes, "could not be allocated");
  const int c = size_class(bytes);
  const std::size_t size = block_bytes(c);
  Shared& s = shared();
  Local& l = local();
  {
    Locked lock(s.mutex);
    count_exactly(s, l, static_cast<std::int64_t>(size));
    Bin& bin = s.bins[c];
    if (Free* f = bin.head) {
      bin.head = f->next;
      s.cached -= static_cast<std::int64_t>(size);
      return f;
    }
  }
  return from_system(size);
}
inline __attribute__((noinline)) void deallocate_large(void* p, std::size_t bytes) noexcept {
  const int c = size_class(bytes);
  const auto size = static_cast<std::int64_t>(block_bytes(c));
  Shared& s = shared();
  auto* f = static_cast<Free*>(p);
  Locked lock(s.mutex);
  s.live -= size;
  s.cached += size;
  f->next = s.bins[c].head;
  s.bins[c].head = f;
}

/// A block of small class c.
inline __attribute__((noinline)) void* take(int c) {
  Local& l = local();
  const std::int64_t bytes = small.bytes[c];
  if (l.add(bytes) > l.high.load(Order::relaxed)) [[unlikely]]
    count_above(l, bytes);
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
  if (l.add(-std::int64_t{small.bytes[c]}) < -slack || l.dead) [[unlikely]]
    count_below(l);
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
