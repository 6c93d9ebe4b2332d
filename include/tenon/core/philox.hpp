// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10, one block or many at a time, and the place of a draw in its counter.
#pragma once
#include <tenon/core/config.hpp>

#include <cstdint>
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tenon::inline TENON_ISA {

/// 128 bits of output, or of a counter; word 0 is the least significant.
struct Words {
  std::uint32_t w[4];
  TENON_FN constexpr std::uint32_t operator[](int i) const { return w[i]; }
  TENON_FN constexpr bool operator==(const Words& o) const {
    return w[0] == o.w[0] && w[1] == o.w[1] && w[2] == o.w[2] && w[3] == o.w[3];
  }
};

/// Philox4x32-10: a bijection of 128-bit counters for each 64-bit key, whose outputs pass BigCrush.
/// Source: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, 2011, section
/// 3.3, table 2.
struct Philox {
  static constexpr int rounds = 10;
  static constexpr std::uint32_t multiplier0 = 0xd2511f53u, multiplier1 = 0xcd9e8d57u;
  static constexpr std::uint32_t weyl0 = 0x9e3779b9u,
                                 weyl1 = 0xbb67ae85u;  // golden ratio, sqrt(3) - 1

  TENON_FN constexpr Words operator()(Words c, std::uint64_t key) const {
    std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int i = 0; i < rounds; ++i, k0 += weyl0, k1 += weyl1) round(c, k0, k1);
    return c;
  }
  TENON_FN static constexpr void round(Words& c, std::uint32_t k0, std::uint32_t k1) {
    std::uint64_t p = std::uint64_t{multiplier0} * c.w[0], q = std::uint64_t{multiplier1} * c.w[2];
    c = Words{{static_cast<std::uint32_t>(q >> 32) ^ c.w[1] ^ k0, static_cast<std::uint32_t>(q),
               static_cast<std::uint32_t>(p >> 32) ^ c.w[3] ^ k1, static_cast<std::uint32_t>(p)}};
  }
};

/// Names one draw: everything but the element. Two draws that differ in any field share no number.
/// Counter, from bit 0: element block 40 bits, call 24, shard 16, position 48. Higher bits of a
/// field are cut off.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t position = 0;  ///< which step
  std::uint32_t shard = 0;     ///< which part of the batch
  std::uint32_t call = 0;      ///< which draw of the step

  static constexpr std::uint64_t blocks = std::uint64_t{1} << 40;

  TENON_FN constexpr Words counter(std::uint64_t block) const {
    return Words{{static_cast<std::uint32_t>(block),
                  static_cast<std::uint32_t>(block >> 32 & 0xffu) | call << 8,
                  (shard & 0xffffu) | static_cast<std::uint32_t>(position & 0xffffu) << 16,
                  static_cast<std::uint32_t>(position >> 16)}};
  }
  /// The four words of one block.
  TENON_FN constexpr Words words(std::uint64_t block) const {
    return Philox{}(counter(block), seed);
  }
};

namespace detail {

/// Blocks that philox_words makes at once.
inline constexpr int philox_lanes = 64;

#if defined(__SSE2__)
// 64-bit lanes whose lower halves hold 32-bit words: the multiplication reads nothing else, so the
// upper halves may hold anything, and both halves of a product are used where they stand.
#if defined(__AVX512F__)
struct PhiloxLanes {
  using V = __m512i;
  static constexpr int count = 8;
  static constexpr __mmask8 every = 0xff;  // g++ 12 warns of its own unmasked forms
  // Interleaving takes lanes 0, 2, 4, 6 before 1, 3, 5, 7: numbered so, blocks leave in order.
  TENON_INLINE static V numbers() { return _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7); }
  TENON_INLINE static V all(std::uint64_t x) {
    return _mm512_set1_epi64(static_cast<long long>(x));
  }
  TENON_INLINE static V add(V a, V b) { return _mm512_add_epi64(a, b); }
  TENON_INLINE static V multiply(V a, V b) { return _mm512_maskz_mul_epu32(every, a, b); }
  TENON_INLINE static V high(V a) { return _mm512_maskz_srli_epi64(every, a, 32); }
  TENON_INLINE static V raise(V a) { return _mm512_maskz_slli_epi64(every, a, 32); }
  TENON_INLINE static V both(V a, V b) { return _mm512_and_si512(a, b); }
  TENON_INLINE static V differ(V a, V b) { return _mm512_xor_si512(a, b); }
  TENON_INLINE static void store(std::uint32_t* out, V a, V b) {
    _mm512_storeu_si512(out, _mm512_maskz_unpacklo_epi64(every, a, b));
    _mm512_storeu_si512(out + 16, _mm512_maskz_unpackhi_epi64(every, a, b));
  }
};
#elif defined(__AVX2__)
struct PhiloxLanes {
  using V = __m256i;
  static constexpr int count = 4;
  TENON_INLINE static V numbers() { return _mm256_setr_epi64x(0, 2, 1, 3); }
  TENON_INLINE static V all(std::uint64_t x) {
    return _mm256_set1_epi64x(static_cast<long long>(x));
  }
  TENON_INLINE static V add(V a, V b) { return _mm256_add_epi64(a, b); }
  TENON_INLINE static V multiply(V a, V b) { return _mm256_mul_epu32(a, b); }
  TENON_INLINE static V high(V a) { return _mm256_srli_epi64(a, 32); }
  TENON_INLINE static V raise(V a) { return _mm256_slli_epi64(a, 32); }
  TENON_INLINE static V both(V a, V b) { return _mm256_and_si256(a, b); }
  TENON_INLINE static V differ(V a, V b) { return _mm256_xor_si256(a, b); }
  TENON_INLINE static void store(std::uint32_t* out, V a, V b) {
    _mm256_storeu_si256(reinterpret_cast<V*>(out), _mm256_unpacklo_epi64(a, b));
    _mm256_storeu_si256(reinterpret_cast<V*>(out + 8), _mm256_unpackhi_epi64(a, b));
  }
};
#else
struct PhiloxLanes {
  using V = __m128i;
  static constexpr int count = 2;
  TENON_INLINE static V numbers() { return _mm_set_epi64x(1, 0); }
  TENON_INLINE static V all(std::uint64_t x) { return _mm_set1_epi64x(static_cast<long long>(x)); }
  TENON_INLINE static V add(V a, V b) { return _mm_add_epi64(a, b); }
  TENON_INLINE static V multiply(V a, V b) { return _mm_mul_epu32(a, b); }
  TENON_INLINE static V high(V a) { return _mm_srli_epi64(a, 32); }
  TENON_INLINE static V raise(V a) { return _mm_slli_epi64(a, 32); }
  TENON_INLINE static V both(V a, V b) { return _mm_and_si128(a, b); }
  TENON_INLINE static V differ(V a, V b) { return _mm_xor_si128(a, b); }
  TENON_INLINE static void store(std::uint32_t* out, V a, V b) {
    _mm_storeu_si128(reinterpret_cast<V*>(out), _mm_unpacklo_epi64(a, b));
    _mm_storeu_si128(reinterpret_cast<V*>(out + 4), _mm_unpackhi_epi64(a, b));
  }
};
#endif

/// PhiloxLanes::count blocks.
struct PhiloxBlocks {
  using L = PhiloxLanes;
  L::V c0, c1, c2, c3;

  TENON_INLINE PhiloxBlocks(const Words& start, std::uint64_t first)
      : c0(L::add(L::all(first), L::numbers())),
        c1(L::differ(L::both(L::high(c0), L::all(0xffu)), L::all(start[1]))),
        c2(L::all(start[2])),
        c3(L::all(start[3])) {}
  TENON_INLINE void round(L::V k0, L::V k1) {
    L::V p = L::multiply(c0, L::all(Philox::multiplier0));
    L::V q = L::multiply(c2, L::all(Philox::multiplier1));
    c0 = L::differ(L::differ(L::high(q), c1), k0);
    c2 = L::differ(L::differ(L::high(p), c3), k1);
    c1 = q, c3 = p;
  }
  TENON_INLINE void store(std::uint32_t* out) const {
    L::V low = L::all(0xffffffffu);
    L::store(out, L::differ(L::both(c0, low), L::raise(c1)),
             L::differ(L::both(c2, low), L::raise(c3)));
  }
};

/// Words 0 .. 3 of the blocks first .. first + 63, in order: what key.words gives.
inline void philox_words(const RandomKey& key, std::uint64_t first, std::uint32_t* out) {
  using L = PhiloxLanes;
  constexpr int n = L::count;
  const Words start = key.counter(0);
  // Two sets at once, so that one multiplication need not wait for the other.
  for (int lane = 0; lane < philox_lanes; lane += 2 * n) {
    PhiloxBlocks a(start, first + static_cast<std::uint64_t>(lane));
    PhiloxBlocks b(start, first + static_cast<std::uint64_t>(lane + n));
    std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
    std::uint32_t k1 = static_cast<std::uint32_t>(key.seed >> 32);
    for (int r = 0; r < Philox::rounds; ++r, k0 += Philox::weyl0, k1 += Philox::weyl1) {
      a.round(L::all(k0), L::all(k1));
      b.round(L::all(k0), L::all(k1));
    }
    a.store(out + 4 * lane);
    b.store(out + 4 * (lane + n));
  }
}
#else
inline void philox_words(const RandomKey& key, std::uint64_t first, std::uint32_t* out) {
  for (int lane = 0; lane < philox_lanes; ++lane) {
    Words c = key.words(first + static_cast<std::uint64_t>(lane));
    for (int i = 0; i < 4; ++i) out[4 * lane + i] = c.w[i];
  }
}
#endif

}  // namespace detail
}  // namespace tenon
