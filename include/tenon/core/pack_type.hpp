// SPDX-License-Identifier: Apache-2.0
// N numbers in one SIMD register, with the compiler's vector arithmetic. Functions: core/pack.hpp.
#pragma once
#include <tenon/core/config.hpp>
#include <tenon/core/scalar.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tenon::inline TENON_ISA::scalar {

/// How many T fill one register of the instruction set this file is built for.
template <class T>
inline constexpr int lanes = TENON_REGISTER_BYTES / static_cast<int>(sizeof(T));

/// The signed integer as wide as T.
template <class T>
using IntOf = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;

/// What T computes sums and products in: integers in the unsigned one, which wraps, as the signed
/// one is not defined past its range.
template <class T>
using Wrapping = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                             std::type_identity<T>>::type;

namespace detail {
// nvcc's device pass reads host code without using it, and rejects vectors in whatever host and
// device share. There, and only there, one number stands for the vector.
template <class T, int N>
struct Native {
#if defined(__CUDA_ARCH__)
  using type = T;
#else
  using type [[gnu::vector_size(N * sizeof(T))]] = T;
#endif
};

/// Whether one of the bytes at p, a register or more or less of them, is not 0.
template <std::size_t bytes>
TENON_INLINE bool any_bit(const void* p) {
#if TENON_REGISTER_BYTES >= 64
  if constexpr (bytes == 64) {
    __m512i x = _mm512_loadu_si512(p);
    return _mm512_test_epi32_mask(x, x) != 0;
  } else
#endif
#if TENON_REGISTER_BYTES >= 32
      if constexpr (bytes == 32) {
    __m256i x = _mm256_loadu_si256(static_cast<const __m256i*>(p));
    return _mm256_testz_si256(x, x) == 0;
  } else
#endif
#if defined(__SSE2__)
      if constexpr (bytes == 16) {
    return _mm_movemask_epi8(_mm_loadu_si128(static_cast<const __m128i*>(p))) != 0;
  } else
#endif
  {
    std::int32_t word[bytes / 4], answer = 0;
    __builtin_memcpy(word, p, bytes);
    for (std::size_t i = 0; i < bytes / 4; ++i) answer |= word[i];
    return answer != 0;
  }
}
}  // namespace detail

/// N yes/no answers, each as wide as the integer I: 0 or -1.
template <class I, int N>
struct Mask {
  using Vector = typename detail::Native<I, N>::type;
  Vector v;

  TENON_INLINE bool operator[](int lane) const { return reinterpret_cast<const I*>(&v)[lane] != 0; }

  friend TENON_INLINE constexpr Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
  friend TENON_INLINE constexpr Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
  friend TENON_INLINE constexpr Mask operator^(Mask a, Mask b) { return {a.v ^ b.v}; }
  friend TENON_INLINE constexpr Mask operator!(Mask a) { return {~a.v}; }

  /// Whether one lane says yes.
  friend TENON_INLINE bool any(Mask a) { return detail::any_bit<sizeof(a)>(&a.v); }
  /// Whether every lane says yes.
  friend TENON_INLINE bool all(Mask a) { return !any(!a); }
};

/// N lanes of T (float, double, int32, int64), N a power of two; integers wrap. Its one member is a
/// native vector: a struct with an array in it would travel through memory in halves.
template <class T, int N>
struct Pack {
  static_assert(N > 0 && (N & (N - 1)) == 0, "tenon: a Pack has a power of two lanes");
  using Scalar = T;
  using Int = IntOf<T>;
  using Vector = typename detail::Native<T, N>::type;
  using Wrapped = typename detail::Native<Wrapping<T>, N>::type;
  using Answer = Mask<Int, N>;
  static constexpr int size = N;

  Vector v;

  Pack() = default;
  TENON_INLINE constexpr Pack(Vector x) : v(x) {}
  /// x in every lane.
  template <Number S>
  TENON_INLINE constexpr explicit Pack(S x) : v(splat(static_cast<T>(x))) {}

  /// N consecutive numbers, at any address.
  static TENON_INLINE Pack load(const T* p) {
    Pack x;
    __builtin_memcpy(&x.v, p, sizeof(Vector));
    return x;
  }
  /// The first count < N numbers at p, and 0 in the other lanes.
  static TENON_INLINE Pack load_partial(const T* p, int count) {
    Pack x(Vector{});
    __builtin_memcpy(&x.v, p, static_cast<std::size_t>(count) * sizeof(T));
    return x;
  }
  TENON_INLINE void store(T* p) const { __builtin_memcpy(p, &v, sizeof(Vector)); }
  TENON_INLINE void store_partial(T* p, int count) const {
    __builtin_memcpy(p, &v, static_cast<std::size_t>(count) * sizeof(T));
  }

  /// 0, 1, 2, ..., N - 1.
  static TENON_INLINE Pack iota() {
    Pack x = iota(std::make_integer_sequence<int, N>{});
#if defined(__SSE2__) && defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
    // g++ 12 writes this constant to memory in pieces of 8 bytes, in every turn of a loop, and the
    // load that follows waits for them. What an asm statement may have changed stays in a register.
    if constexpr (sizeof(Vector) == TENON_REGISTER_BYTES) __asm__("" : "+x"(x.v));
#endif
    return x;
  }

  TENON_INLINE T operator[](int lane) const { return reinterpret_cast<const T*>(&v)[lane]; }
  TENON_INLINE void set(int lane, T x) { reinterpret_cast<T*>(&v)[lane] = x; }

  /// Each lane converted; a float is cut towards 0 and must fit.
  template <class U>
  TENON_INLINE Pack<U, N> convert() const {
#if defined(__CUDA_ARCH__)
    return Pack<U, N>(static_cast<U>(v));
#else
    return Pack<U, N>(__builtin_convertvector(v, typename Pack<U, N>::Vector));
#endif
  }
  /// The same bits as numbers of a type of the same width.
  template <class U>
  TENON_INLINE Pack<U, N> cast() const {
    return Pack<U, N>((typename Pack<U, N>::Vector)v);
  }

  friend TENON_INLINE constexpr Pack operator+(Pack a, Pack b) {
    return Pack((Vector)((Wrapped)a.v + (Wrapped)b.v));
  }
  friend TENON_INLINE constexpr Pack operator-(Pack a, Pack b) {
    return Pack((Vector)((Wrapped)a.v - (Wrapped)b.v));
  }
  friend TENON_INLINE constexpr Pack operator*(Pack a, Pack b) {
    return Pack((Vector)((Wrapped)a.v * (Wrapped)b.v));
  }
  friend TENON_INLINE constexpr Pack operator/(Pack a, Pack b) { return Pack(a.v / b.v); }
  friend TENON_INLINE constexpr Pack operator-(Pack a) { return Pack((Vector)(-(Wrapped)a.v)); }
  TENON_INLINE constexpr Pack& operator+=(Pack b) { return *this = *this + b; }
  TENON_INLINE constexpr Pack& operator-=(Pack b) { return *this = *this - b; }
  TENON_INLINE constexpr Pack& operator*=(Pack b) { return *this = *this * b; }
  TENON_INLINE constexpr Pack& operator/=(Pack b) { return v /= b.v, *this; }

  friend TENON_INLINE constexpr Answer operator==(Pack a, Pack b) { return answer(a.v == b.v); }
  friend TENON_INLINE constexpr Answer operator!=(Pack a, Pack b) { return answer(a.v != b.v); }
  friend TENON_INLINE constexpr Answer operator<(Pack a, Pack b) { return answer(a.v < b.v); }
  friend TENON_INLINE constexpr Answer operator<=(Pack a, Pack b) { return answer(a.v <= b.v); }
  friend TENON_INLINE constexpr Answer operator>(Pack a, Pack b) { return answer(a.v > b.v); }
  friend TENON_INLINE constexpr Answer operator>=(Pack a, Pack b) { return answer(a.v >= b.v); }

  // Integers only.
  friend TENON_INLINE constexpr Pack operator&(Pack a, Pack b) { return Pack(a.v & b.v); }
  friend TENON_INLINE constexpr Pack operator|(Pack a, Pack b) { return Pack(a.v | b.v); }
  friend TENON_INLINE constexpr Pack operator^(Pack a, Pack b) { return Pack(a.v ^ b.v); }
  friend TENON_INLINE constexpr Pack operator<<(Pack a, int bits) {
    return Pack((Vector)((Wrapped)a.v << bits));
  }
  friend TENON_INLINE constexpr Pack operator>>(Pack a, int bits) { return Pack(a.v >> bits); }

  /// In each lane c ? a : b.
  friend TENON_INLINE constexpr Pack select(Answer c, Pack a, Pack b) {
    return Pack(c.v ? a.v : b.v);
  }

  /// a * b + c in one expression: one rounding where the processor has it, two elsewhere.
  friend TENON_INLINE constexpr Pack multiply_add(Pack a, Pack b, Pack c) {
    return Pack((Vector)((Wrapped)a.v * (Wrapped)b.v + (Wrapped)c.v));
  }

  /// Joins the lanes in a fixed order: i with i + N/2, then i with i + N/4, and so on.
  friend TENON_INLINE T horizontal_sum(Pack a) {
    Wrapping<T> x[N];
    __builtin_memcpy(x, &a.v, sizeof(Vector));
    for (int half = N / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) x[i] += x[i + half];
    return static_cast<T>(x[0]);
  }
  /// NaN if a lane is NaN.
  friend TENON_INLINE T horizontal_max(Pack a) {
    T x[N];
    a.store(x);
    for (int half = N / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) x[i] = scalar::max(x[i], x[i + half]);
    return x[0];
  }
  friend TENON_INLINE T horizontal_min(Pack a) {
    T x[N];
    a.store(x);
    for (int half = N / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) x[i] = scalar::min(x[i], x[i + half]);
    return x[0];
  }

 private:
  // Not constexpr: nvcc cannot write a constant vector down.
  // x - 0, because 0 + x would lose the sign of -0.
  static TENON_INLINE Vector splat(T x) { return x - Vector{}; }
  template <int... I>
  static TENON_INLINE Pack iota(std::integer_sequence<int, I...>) {
    T x[N] = {static_cast<T>(I)...};
    return load(x);
  }
  template <class M>
  static TENON_INLINE constexpr Answer answer(M m) {
    return {(typename Answer::Vector)m};
  }
};

}  // namespace tenon::inline TENON_ISA::scalar
