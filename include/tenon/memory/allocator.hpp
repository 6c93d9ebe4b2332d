// SPDX-License-Identifier: Apache-2.0
// The caching allocator: blocks freed are kept by size class and handed out again, never zeroed and
// never returned to the system in between, because touching fresh pages costs more than most
// operations.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/core/error.hpp>

#include <cstdlib>
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

struct Shared {
  Atomic<std::int64_t> live{0}, peak{0}, cached{0}, system_calls{0}, limit{0};
  Atomic<std::int64_t> ceiling{0};  // the lesser of peak and limit: above it somebody must look
  SpinLock mutex;
  Bin bins[classes];
};
TENON_SHARED inline Shared& shared() {
  static constinit Shared s;  // without a destructor: tensors may outlive every static object
  return s;
}

// One per thread. Its destructor marks it dead; what is freed later goes to the system at once.
struct Local {
  Bin bins[small_classes];
  bool dead = false;
  ~Local() {
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

[[noreturn]] TENON_COLD inline void fail_memory(std::size_t bytes, const char* why) {
  fail(Error::memory, {"memory: ", bytes, " bytes ", why});
}

// With the lock held.
inline void settle_ceiling(Shared& s) {
  const std::int64_t limit = s.limit.load(), peak = s.peak.load();
  s.ceiling.store(limit > 0 && limit < peak ? limit : peak);
}
// `bytes` more are held than ever before, or than may be.
TENON_COLD inline void count_above(std::int64_t bytes) {
  Shared& s = shared();
  Locked lock(s.mutex);
  const std::int64_t live = s.live.load(), limit = s.limit.load();
  if (limit > 0 && live > limit) {
    s.live.fetch_sub(bytes, Order::relaxed);
    fail_memory(static_cast<std::size_t>(bytes), "would pass the limit set by set_limit");
  }
  if (live > s.peak.load()) s.peak.store(live);
  settle_ceiling(s);
}
inline void count(std::int64_t bytes) {
  Shared& s = shared();
  const std::int64_t live = s.live.count(bytes, Order::relaxed) + bytes;
  if (live > s.ceiling.load(Order::relaxed)) [[unlikely]]
    count_above(bytes);
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
    s.cached.store(0);
  }
  release(local().bins, small_classes);
}

// What the caches keep is given back before a failure is final.
TENON_COLD inline void* from_system(std::size_t bytes) {
  Shared& s = shared();
  s.system_calls.fetch_add(1, Order::relaxed);
  void* p = std::aligned_alloc(64, bytes);
  if (!p) {
    release_all();
    p = std::aligned_alloc(64, bytes);
  }
  if (!p) {
    s.live.fetch_sub(static_cast<std::int64_t>(bytes), Order::relaxed);
    fail_memory(bytes, "could not be allocated");
  }
  return p;
}

}  // namespace detail

inline Statistics statistics() {
  detail::Shared& s = detail::shared();
  return {s.live.load(), s.peak.load(), s.cached.load(), s.system_calls.load()};
}

/// Forgets the largest `live` seen so far.
inline void reset_peak() {
  detail::Shared& s = detail::shared();
  Locked lock(s.mutex);
  s.peak.store(s.live.load());
  detail::settle_ceiling(s);
}

/// The most bytes tensors may hold together; 0 (the default) for no limit. Passing it throws
/// Error::memory.
inline void set_limit(std::int64_t bytes) {
  detail::Shared& s = detail::shared();
  Locked lock(s.mutex);
  s.limit.store(bytes);
  detail::settle_ceiling(s);
}

/// Gives the shared cache and this thread's cache back to the system.
inline void release_cache() { detail::release_all(); }

namespace detail {

inline __attribute__((noinline)) void* allocate_large(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 46)) fail_memory(bytes, "could not be allocated");
  const int c = size_class(bytes);
  const std::size_t size = block_bytes(c);
  count(static_cast<std::int64_t>(size));
  Shared& s = shared();
  {
    Locked lock(s.mutex);
    Bin& bin = s.bins[c];
    if (Free* f = bin.head) {
      bin.head = f->next;
      s.cached.fetch_sub(static_cast<std::int64_t>(size), Order::relaxed);
      return f;
    }
  }
  return from_system(size);
}
inline __attribute__((noinline)) void deallocate_large(void* p, std::size_t bytes) noexcept {
  const int c = size_class(bytes);
  const auto size = static_cast<std::int64_t>(block_bytes(c));
  Shared& s = shared();
  s.live.count(-size, Order::relaxed);
  auto* f = static_cast<Free*>(p);
  Locked lock(s.mutex);
  f->next = s.bins[c].head;
  s.bins[c].head = f;
  s.cached.fetch_add(size, Order::relaxed);
}

/// A block of small class c.
inline __attribute__((noinline)) void* take(int c) {
  count(small.bytes[c]);
  Bin& bin = local().bins[c];
  Free* f = bin.head;
  if (!f) [[unlikely]]
    return from_system(small.bytes[c]);
  bin.head = f->next;
  --bin.count;
  return f;
}
inline __attribute__((noinline)) void give_back(void* p, int c) noexcept {
  shared().live.count(-std::int64_t{small.bytes[c]}, Order::relaxed);
  Local& l = local();
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
