// SPDX-License-Identifier: Apache-2.0
// The one place where work is given to threads. Results never depend on how many there are: callers
// cut work into blocks by constants of their own, and a block is computed by one thread.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/core/config.hpp>

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(_OPENMP) && defined(__SANITIZE_THREAD__)
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

namespace tenon::inline TENON_ISA {

namespace detail {
inline Atomic<int>& thread_limit() {
  static Atomic<int> limit{0};
  return limit;
}
}  // namespace detail

/// The most threads one operation may use; 0 asks for OpenMP's own number. Without OpenMP there is
/// one.
inline void set_num_threads(int threads) {
  detail::thread_limit().store(threads < 0 ? 0 : threads);
}

inline int num_threads() {
#if defined(_OPENMP)
  int limit = detail::thread_limit().load(Order::relaxed);
  return limit > 0 ? limit : omp_get_max_threads();
#else
  return 1;
#endif
}

/// Work below these sizes stays on one thread: an OpenMP region costs about a microsecond.
struct Threshold {
  static constexpr Index transcendental =
      16 * 1024;                             ///< elements of a statement that calls exp, tanh, ...
  static constexpr Index cheap = 64 * 1024;  ///< elements of one that does not
  static constexpr double flops = 4e6;       ///< of a matrix product
};

#if defined(_OPENMP) && defined(__SANITIZE_THREAD__)
namespace detail {
// g++'s OpenMP runtime is not instrumented: tell the thread sanitizer what the region orders. What
// the compiler hands to the region is written after the release and would be reported, so the
// region reads everything from one static struct, and regions of several callers take turns.
inline void sanitized_blocks(Index blocks, int threads, void (*run)(const void*, Index),
                             const void* context) {
  struct Region {
    Index blocks;
    void (*run)(const void*, Index);
    const void* context;
  };
  static Region region;
  static SpinLock turn;
  static int fork_point, join_point;
  Locked<SpinLock> lock(turn);
  region = {blocks, run, context};
  __tsan_release(&fork_point);
#pragma omp parallel num_threads(threads)
  {
    __tsan_acquire(&fork_point);
#pragma omp for schedule(static) nowait
    for (Index block = 0; block < region.blocks; ++block) region.run(region.context, block);
    __tsan_release(&join_point);
  }
  __tsan_acquire(&join_point);
}
}  // namespace detail
#endif

/// Calls run(context, block) for block = 0 .. blocks - 1 on up to `threads` threads. run must not
/// throw.
inline void parallel_blocks(Index blocks, int threads, void (*run)(const void*, Index),
                            const void* context) {
#if defined(_OPENMP)
  if (threads > 1 && blocks > 1 && !omp_in_parallel()) {
    if (threads > blocks) threads = static_cast<int>(blocks);
#if defined(__SANITIZE_THREAD__)
    detail::sanitized_blocks(blocks, threads, run, context);
#else
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index block = 0; block < blocks; ++block) run(context, block);
#endif
    return;
  }
#endif
  (void)threads;
  for (Index block = 0; block < blocks; ++block) run(context, block);
}

/// The same for a callable f(block).
template <class F>
void parallel_for(Index blocks, int threads, const F& f) {
  parallel_blocks(
      blocks, threads, [](const void* c, Index block) { (*static_cast<const F*>(c))(block); }, &f);
}

}  // namespace tenon
