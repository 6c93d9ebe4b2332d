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
inline int size_class(std::size_t bytes) {
  if (bytes <= 64) return 0;
  std::size_t units = (bytes - 1) / 16;  // >= 4
  int top = 63 - __builtin_clzll(units);
  return (top - 2) * 4 + static_cast<int>((units >> (top - 2)) & 3) + 1;
}
inline std::size_t class_bytes(int c) {
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

inline constexpr int small_classes = 41;  // those up to 64 KiB
inline constexpr int bin_limit = 1024;    // blocks a thread keeps of one small class

struct Shared {
  Atomic<std::int64_t> live{0}, peak{0}, cached{0}, system_calls{0}, limit{0};
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

inline void count(std::int64_t bytes) {
  Shared& s = shared();
  std::int64_t live = s.live.count(bytes, Order::relaxed) + bytes;
  std::int64_t limit = s.limit.load(Order::relaxed);
  if (limit > 0 && live > limit) {
    s.live.fetch_sub(bytes, Order::relaxed);
    fail_memory(static_cast<std::size_t>(bytes), "would pass the limit set by set_limit");
  }
  std::int64_t peak = s.peak.load(Order::relaxed);
  while (live > peak && !s.peak.compare_exchange_weak(peak, live, Order::relaxed)) {}
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
inline void reset_peak() { detail::shared().peak.store(detail::shared().live.load()); }

/// The most bytes tensors may hold together; 0 (the default) for no limit. Passing it throws
/// Error::memory.
inline void set_limit(std::int64_t bytes) { detail::shared().limit.store(bytes); }

/// Gives the shared cache and this thread's cache back to the system.
inline void release_cache() { detail::release_all(); }

/// A block of at least `bytes`, aligned to 64, contents undefined. Errors: Error::memory.
inline void* allocate(std::size_t bytes) {
  using namespace detail;
  if (bytes > (std::size_t{1} << 46)) fail_memory(bytes, "could not be allocated");
  int c = size_class(bytes);
  std::size_t size = (class_bytes(c) + 63) / 64 * 64;
  count(static_cast<std::int64_t>(size));
  if (c < small_classes) {
    Local& l = local();
    Bin& bin = l.bins[c];
    if (Free* f = bin.head) {
      bin.head = f->next;
      --bin.count;
      return f;
    }
    return from_system(size);
  }
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

/// Returns a block that allocate(bytes) gave.
inline void deallocate(void* p, std::size_t bytes) noexcept {
  using namespace detail;
  int c = size_class(bytes);
  std::size_t size = (class_bytes(c) + 63) / 64 * 64;
  Shared& s = shared();
  s.live.count(-static_cast<std::int64_t>(size), Order::relaxed);
  auto* f = static_cast<Free*>(p);
  if (c < small_classes) {
    Local& l = local();
    Bin& bin = l.bins[c];
    if (l.dead || bin.count >= bin_limit) return std::free(p);
    f->next = bin.head;
    bin.head = f;
    ++bin.count;
    return;
  }
  Locked lock(s.mutex);
  f->next = s.bins[c].head;
  s.bins[c].head = f;
  s.cached.fetch_add(static_cast<std::int64_t>(size), Order::relaxed);
}

}  // namespace tenon::memory
