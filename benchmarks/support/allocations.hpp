// SPDX-License-Identifier: Apache-2.0
// Counts what the program asks of the heap. Include it in one file of a program; glibc, elsewhere nothing is counted.
#pragma once
#include <features.h>
#include <atomic>
#include <cstddef>

namespace bench::detail {
inline std::atomic<long> heap_calls{0};
}
namespace bench {
/// Blocks asked of malloc and its relatives so far.
inline long allocations() { return detail::heap_calls.load(); }
}  // namespace bench

#if defined(__GLIBC__)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) noexcept {
  return ++bench::detail::heap_calls, __libc_malloc(bytes);
}
void* calloc(std::size_t n, std::size_t bytes) noexcept {
  return ++bench::detail::heap_calls, __libc_calloc(n, bytes);
}
void* realloc(void* p, std::size_t bytes) noexcept {
  return ++bench::detail::heap_calls, __libc_realloc(p, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return ++bench::detail::heap_calls, __libc_memalign(alignment, bytes);
}
int posix_memalign(void** p, std::size_t alignment, std::size_t bytes) noexcept {
  ++bench::detail::heap_calls;
  return (*p = __libc_memalign(alignment, bytes)) ? 0 : 12;
}
}
#endif
