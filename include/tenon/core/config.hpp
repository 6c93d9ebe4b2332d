// SPDX-License-Identifier: Apache-2.0
// What every header needs to know first: version, instruction set, and the only macros of the
// library.
#pragma once
#include <cstdint>

/// Version of the library: major * 10000 + minor * 100 + patch.
#define TENON_VERSION 100

// Objects built with different -m flags must never share a function body, or the linker could keep
// the AVX-512 copy of a function for a program part that was built for any processor. So everything
// lives in an inline namespace named after the instruction set: `namespace tenon::inline TENON_ISA
// { ... }`.
#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
#define TENON_ISA avx512
#define TENON_REGISTER_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define TENON_ISA avx2
#define TENON_REGISTER_BYTES 32
#elif defined(__AVX__)
#define TENON_ISA avx
#define TENON_REGISTER_BYTES 32
#elif defined(__SSE2__)
#define TENON_ISA sse2
#define TENON_REGISTER_BYTES 16
#elif defined(__ARM_NEON)
#define TENON_ISA neon
#define TENON_REGISTER_BYTES 16
#else
#define TENON_ISA generic
#define TENON_REGISTER_BYTES 16
#endif

/// Marks a definition shared by host and device.
#if defined(__CUDACC__)
#define TENON_FN __host__ __device__ inline __attribute__((always_inline))
#else
#define TENON_FN inline __attribute__((always_inline))
#endif

/// A function whose call must vanish: packs are passed in registers only if nothing is left to
/// call.
#define TENON_INLINE inline __attribute__((always_inline))
/// A function that must stay out of the way: errors, slow paths.
#define TENON_COLD __attribute__((noinline, cold))
/// Kernels: everything is inlined. g++ 12 crashes in its straight-line vectoriser on gradients of
/// sin and cos, which are packed already, and without a scheduler before registers are given away
/// leaves operations in the order in which they are written, so that chains that could run side by
/// side come one after the other.
/// A scalar loop: not worth the time that a compiler takes to turn it into vector code.
#if defined(__GNUC__) && !defined(__clang__)
#define TENON_KERNEL __attribute__((flatten, optimize("no-tree-slp-vectorize", "schedule-insns")))
#define TENON_SCALAR_LOOP __attribute__((optimize("no-tree-vectorize")))
#else
#define TENON_KERNEL __attribute__((flatten))
#define TENON_SCALAR_LOOP
#endif
/// One object for the whole process, also across shared libraries.
#define TENON_SHARED __attribute__((visibility("default")))

namespace tenon::inline TENON_ISA {

/// Extents, strides, counts and positions: elements, unless a name says bytes.
using Index = std::int64_t;
/// An extent known only at run time.
inline constexpr Index dyn = -1;
/// The largest number of axes of a tensor.
inline constexpr int max_rank = 8;

}  // namespace tenon
