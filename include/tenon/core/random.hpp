// SPDX-License-Identifier: Apache-2.0
// Random numbers as functions of (seed, draw, element): any part of a fill can be made alone.
#pragma once
#include <tenon/core/config.hpp>
#include <tenon/core/dtype.hpp>
#include <tenon/core/error.hpp>
#include <tenon/core/philox.hpp>

#include <cmath>
#include <string_view>

namespace tenon::inline TENON_ISA {

/// A seed with a path. stream(name) goes one level down and depends on names only, never on the
/// order of calls:
/// rng.stream("hidden").stream("weight") is rng.stream("hidden.weight").
/// The seed of a path is mix(seed + FNV-1a 64 of the path); that of the root is the seed itself.
/// Source: Fowler, Noll, Vo, RFC 9923; mix: Steele, Lea, Flood, Fast splittable generators, 2014
/// (SplitMix64).
class Rng {
 public:
  explicit constexpr Rng(std::uint64_t seed) : root_(seed) {}

  constexpr Rng stream(std::string_view name) const {
    Rng below(root_);
    below.path_ = path_ == empty_path ? path_ : step(path_, '.');
    for (char c : name) below.path_ = step(below.path_, c);
    return below;
  }
  /// The key of this path's numbers.
  constexpr std::uint64_t seed() const { return path_ == empty_path ? root_ : mix(root_ + path_); }

  /// A fresh key for each call: the first has call number 0. After 2^24 calls the position
  /// advances.
  constexpr RandomKey next() {
    std::uint64_t n = calls_++;
    return RandomKey{seed(), n >> 24, 0, static_cast<std::uint32_t>(n & 0xffffffu)};
  }
  /// How many keys next() has given; setting it back repeats them.
  constexpr std::uint64_t calls() const { return calls_; }
  constexpr void set_calls(std::uint64_t n) { calls_ = n; }

 private:
  static constexpr std::uint64_t empty_path = 0xcbf29ce484222325u;

  static constexpr std::uint64_t step(std::uint64_t hash, char c) {
    return (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  static constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
  }

  std::uint64_t root_, path_ = empty_path, calls_ = 0;
};

namespace detail {

/// 32 bits as a double. By way of a signed number, for which every processor has an instruction.
TENON_FN constexpr double word_value(std::uint32_t w) {
  return static_cast<double>(static_cast<std::int32_t>(w ^ 0x80000000u)) + 2147483648.0;
}
/// The upper 53 bits of two words, as a number in [0, 1).
TENON_FN constexpr double unit_53(std::uint32_t low, std::uint32_t high) {
  return word_value(high) * 0x1p-32 +
         static_cast<double>(static_cast<std::int32_t>(low >> 11)) * 0x1p-53;
}

/// low + u (high - low) from 24 bits. `range` has 29 bits at most, so u * range is exact in double
/// and it makes no difference whether the compiler joins multiplication and addition.
struct UniformF32 {
  static constexpr int per_block = 4;
  double low, range;
  float last;
  TENON_FN constexpr float one(std::uint32_t w) const {
    double u = static_cast<double>(static_cast<std::int32_t>(w >> 8)) * 0x1p-24;
    float y = static_cast<float>(low + u * range);
    return y < last ? y : last;
  }
  void operator()(const std::uint32_t* __restrict w, float* __restrict out) const {
    for (int i = 0; i < philox_lanes * per_block; ++i) out[i] = one(w[i]);
  }
};

struct UniformF64 {
  static constexpr int per_block = 2;
  double low, range, last;
  void operator()(const std::uint32_t* __restrict w, double* __restrict out) const {
    constexpr int n = philox_lanes * per_block;
    for (int i = 0; i < n; ++i) out[i] = unit_53(w[2 * i], w[2 * i + 1]);
    // One rounding, spelled out: else it would depend on the processor having fma. Without it this
    // is slow.
    if (low == 0) {
      for (int i = 0; i < n; ++i) out[i] *= range;
    } else {
      for (int i = 0; i < n; ++i) out[i] = std::fma(out[i], range, low);
    }
    for (int i = 0; i < n; ++i) out[i] = out[i] < last ? out[i] : last;
  }
};

struct Bits {
  static constexpr int per_block = 4;
  void operator()(const std::uint32_t* __restrict w, std::uint32_t* __restrict out) const {
    for (int i = 0; i < philox_lanes * per_block; ++i) out[i] = w[i];
  }
};

/// The upper 64 bits of a * b.
TENON_FN constexpr std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
  std::uint64_t a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
  std::uint64_t cross = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (cross & 0xffffffffu);
  return a1 * b1 + (cross >> 32) + (other >> 32);
}

struct Integers {
  static constexpr int per_block = 2;
  std::uint64_t low, range;
  TENON_FN constexpr std::int64_t one(std::uint32_t a, std::uint32_t b) const {
    return static_cast<std::int64_t>(low + multiply_high(std::uint64_t{b} << 32 | a, range));
  }
  void operator()(const std::uint32_t* __restrict w, std::int64_t* __restrict out) const {
    for (int i = 0; i < philox_lanes * per_block; ++i) out[i] = one(w[2 * i], w[2 * i + 1]);
  }
};

/// -2 ln u for normal u in (0, 1]. With u = 2^e (1 + f), 1 + f in [sqrt 1/2, sqrt 2), s = f / (2 +
/// f):
/// ln(1 + f) = 2 atanh s = f - s (f - 2 (s^2 / 3 + s^4 / 5 + ...)), where only a small part is
/// rounded twice.
/// Precision: Wide: 1 ULP of double; else 2^-33 relative, enough for a float result.
template <bool Wide>
TENON_FN constexpr double minus_two_log(double u) {
  constexpr std::uint64_t one = 0x3ff0000000000000u, root_half = 0x3fe6a09e667f3bcdu;
  std::uint64_t b = bits_as<std::uint64_t>(u) + (one - root_half);
  double e = bits_as<double>(b >> 52 | 0x4330000000000000u) - (0x1p52 + 1023);
  double f = bits_as<double>((b & 0xfffffffffffffu) + root_half) - 1;
  double s = f / (2 + f), z = s * s, p = Wide ? 2.0 / 21 : 2.0 / 13;
  if constexpr (Wide) p = 2.0 / 13 + z * (2.0 / 15 + z * (2.0 / 17 + z * (2.0 / 19 + z * p)));
  p = z * (2.0 / 3 + z * (2.0 / 5 + z * (2.0 / 7 + z * (2.0 / 9 + z * (2.0 / 11 + z * p)))));
  // ln 2 in two parts: the first has 27 bits, so that e times it is exact.
  constexpr double ln2 = 0x1.62e42fep-1, ln2_rest = 0x1.f473de6af278fp-30;
  return -2 * (e * ln2 + (f - (s * (f - p) - e * ln2_rest)));
}

/// sin and cos of 2 pi u for u in [0, 1) with at most 53 bits: the reduction to an eighth of a turn
/// is exact.
template <bool Wide>
TENON_FN constexpr void sin_cos_turns(double u, double& sine, double& cosine) {
  constexpr double shift = 0x1.8p52;
  double quarters = 4 * u, rounded = quarters + shift;
  std::uint64_t q = bits_as<std::uint64_t>(rounded);
  double y = (quarters - (rounded - shift)) * 1.5707963267948966, z = y * y;
  double a = Wide ? -1.0 / 39916800 + z * (1.0 / 6227020800 + z * (-1.0 / 1307674368000))
                  : -1.0 / 39916800;
  double b = Wide ? 1.0 / 479001600 + z * (-1.0 / 87178291200 + z * (1.0 / 20922789888000))
                  : 1.0 / 479001600;
  a = y + y * z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 + z * a))));
  b = 1 + z * (-0.5 + z * (1.0 / 24 +
                           z * (-1.0 / 720 + z * (1.0 / 40320 + z * (-1.0 / 3628800 + z * b)))));
  std::uint64_t sb = bits_as<std::uint64_t>(a), cb = bits_as<std::uint64_t>(b), swap = 0 - (q & 1);
  sine = bits_as<double>(((cb & swap) | (sb & ~swap)) ^ (q & 2) << 62);
  cosine = bits_as<double>(((sb & swap) | (cb & ~swap)) ^ ((q + 1) & 2) << 62);
}

template <class T>
struct Normal {
  static constexpr bool wide = sizeof(T) == 8;
  static constexpr int per_block = wide ? 2 : 4;
  double mean, deviation;

  TENON_FN static constexpr double radius_unit(const std::uint32_t* w) {
    return wide ? unit_53(w[0], w[1]) + 0x1p-53 : (word_value(w[0]) + 1) * 0x1p-32;
  }
  TENON_FN static constexpr double angle_unit(const std::uint32_t* w) {
    return wide ? unit_53(w[2], w[3]) : word_value(w[1]) * 0x1p-32;
  }
  /// Two numbers from the words that are theirs: four for double, two for float.
  TENON_FN void pair(const std::uint32_t* w, T& first, T& second) const {
    double r = std::sqrt(minus_two_log<wide>(radius_unit(w))), s = 0, c = 0;
    sin_cos_turns<wide>(angle_unit(w), s, c);
    first = static_cast<T>(mean + deviation * (r * c));
    second = static_cast<T>(mean + deviation * (r * s));
  }

  void operator()(const std::uint32_t* __restrict w, T* __restrict out) const {
    constexpr int pairs = philox_lanes * per_block / 2, step = wide ? 4 : 2;
    alignas(64) double r[pairs], s[pairs], c[pairs];
    for (int i = 0; i < pairs; ++i) r[i] = minus_two_log<wide>(radius_unit(w + step * i));
    for (int i = 0; i < pairs; ++i) sin_cos_turns<wide>(angle_unit(w + step * i), s[i], c[i]);
    roots(r);
    for (int i = 0; i < pairs; ++i) {
      out[2 * i] = static_cast<T>(mean + deviation * (r[i] * c[i]));
      out[2 * i + 1] = static_cast<T>(mean + deviation * (r[i] * s[i]));
    }
  }

  /// Square roots in place. A loop of std::sqrt is not vectorised, since it may have to set errno.
  static void roots(double* r) {
    constexpr int pairs = philox_lanes * per_block / 2;
#if defined(__AVX512F__)
    for (int i = 0; i < pairs; i += 8)
      _mm512_store_pd(r + i, _mm512_maskz_sqrt_pd(0xff, _mm512_load_pd(r + i)));
#elif defined(__AVX__)
    for (int i = 0; i < pairs; i += 4)
      _mm256_store_pd(r + i, _mm256_sqrt_pd(_mm256_load_pd(r + i)));
#elif defined(__SSE2__)
    for (int i = 0; i < pairs; i += 2) _mm_store_pd(r + i, _mm_sqrt_pd(_mm_load_pd(r + i)));
#else
    for (int i = 0; i < pairs; ++i) r[i] = std::sqrt(r[i]);
#endif
  }
};

/// Elements first .. first + n - 1; per_block elements come from each block.
template <class T, class Convert>
void fill_from_blocks(const char* name, const RandomKey& key, Index first, Index n, T* out,
                      const Convert& convert) {
  constexpr Index per_block = Convert::per_block, chunk = philox_lanes * per_block;
  if (first < 0 || n < 0 || first > static_cast<Index>(RandomKey::blocks) * per_block - n)
    fail(Error::value,
         {name, ": elements ", first, " .. + ", n, " leave the 2^40 blocks of one draw"});
  alignas(64) std::uint32_t words[philox_lanes * 4];
  alignas(64) T part[chunk];
  std::uint64_t block = static_cast<std::uint64_t>(first / per_block);
  for (Index skip = first % per_block; n > 0; skip = 0, block += philox_lanes) {
    philox_words(key, block, words);
    const Index m = n < chunk - skip ? n : chunk - skip;
    convert(words, m == chunk ? out : part);
    if (m != chunk)
      for (Index i = 0; i < m; ++i) out[i] = part[skip + i];
    out += m;
    n -= m;
  }
}

template <class T>
void check_interval(const char* name, T low, T high) {
  if (!(low <= high) || !std::isfinite(high - low + 0 * low))
    fail(Error::value,
         {name, ": needs finite low <= high and a finite difference, got ", low, " and ", high});
}

}  // namespace detail

/// out[i - first] = element i of the draw `key`, i = first .. first + n - 1; the same holds for all
/// fills below.
/// Uniform in [low, high), or low if they are equal: 24 bits, word i % 4 of block i / 4. Equal bits
/// everywhere.
/// Errors: low > high, or not finite -> Error::value.
inline void fill_uniform(const RandomKey& key, Index first, Index n, float* out, float low = 0,
                         float high = 1) {
  detail::check_interval<double>("fill_uniform", low, high);
  double range = static_cast<double>(high) - static_cast<double>(low);
  range = detail::bits_as<double>(detail::bits_as<std::uint64_t>(range) & ~std::uint64_t{0xffffff});
  detail::fill_from_blocks("fill_uniform", key, first, n, out,
                           detail::UniformF32{low, range, std::nextafter(high, low)});
}
/// 53 bits, words 2 (i % 2) and the next of block i / 2.
inline void fill_uniform(const RandomKey& key, Index first, Index n, double* out, double low = 0,
                         double high = 1) {
  detail::check_interval("fill_uniform", low, high);
  detail::fill_from_blocks("fill_uniform", key, first, n, out,
                           detail::UniformF64{low, high - low, std::nextafter(high, low)});
}

/// 32 random bits an element.
inline void fill_bits(const RandomKey& key, Index first, Index n, std::uint32_t* out) {
  detail::fill_from_blocks("fill_bits", key, first, n, out, detail::Bits{});
}

/// Integers in [low, high): floor(x (high - low) / 2^64) from 64 random bits x. The probability of
/// any value differs from 1 / (high - low) by less than 2^-64. Errors: low >= high -> Error::value.
inline void fill_integers(const RandomKey& key, Index first, Index n, std::int64_t* out,
                          std::int64_t low, std::int64_t high) {
  if (low >= high)
    fail(Error::value, {"fill_integers: needs low < high, got ", low, " and ", high});
  std::uint64_t from = static_cast<std::uint64_t>(low),
                range = static_cast<std::uint64_t>(high) - from;
  detail::fill_from_blocks("fill_integers", key, first, n, out, detail::Integers{from, range});
}

/// mean + deviation * z with z standard normal. Pairs from one block: z0 = r cos(2 pi u2), z1 = r
/// sin(2 pi u2), r = sqrt(-2 ln u1), u1 in (0, 1], u2 in [0, 1) of 32 bits (f32: |z| <= 6.67) or 53
/// bits (f64: |z| <= 8.58).
/// Precision for mean 0, deviation 1, against the exact function of u1, u2: f32 0.501 ULP, f64 3.1
/// ULP (2^22 draws).
/// Errors: mean or deviation not finite, or deviation < 0 -> Error::value.
/// Source: Box, Muller, A note on the generation of random normal deviates, 1958.
template <class T>
void fill_normal(const RandomKey& key, Index first, Index n, T* out, double mean = 0,
                 double deviation = 1) {
  static_assert(std::is_floating_point_v<T> && sizeof(T) <= 8,
                "tenon: fill_normal makes float or double");
  if (!std::isfinite(mean) || !std::isfinite(deviation) || deviation < 0)
    fail(Error::value, {"fill_normal: needs a finite mean and a finite deviation >= 0, got ", mean,
                        " and ", deviation});
  detail::fill_from_blocks("fill_normal", key, first, n, out, detail::Normal<T>{mean, deviation});
}

/// A permutation of 0 .. n - 1, every one equally likely as far as 64-bit numbers can tell.
/// Source: Durstenfeld, Algorithm 235, 1964; Lemire, Fast random integer generation in an interval,
/// 2019.
inline void permutation(const RandomKey& key, Index n, std::int64_t* out) {
  alignas(64) std::uint32_t words[detail::philox_lanes * 4];
  constexpr int available = detail::philox_lanes * 2;
  std::uint64_t block = 0;
  int used = available;
  for (Index i = 0; i < n; ++i) out[i] = i;
  for (Index i = n - 1; i > 0; --i) {
    const std::uint64_t choices = static_cast<std::uint64_t>(i) + 1;
    std::uint64_t x = 0;
    // The 2^64 mod choices products with the least lower halves are one too many for some value.
    do {
      if (used == available) {
        detail::philox_words(key, block, words);
        block += detail::philox_lanes;
        used = 0;
      }
      x = std::uint64_t{words[2 * used + 1]} << 32 | words[2 * used];
      ++used;
    } while (x * choices < choices && x * choices < (0 - choices) % choices);
    const Index j = static_cast<Index>(detail::multiply_high(x, choices));
    const std::int64_t kept = out[i];
    out[i] = out[j];
    out[j] = kept;
  }
}

}  // namespace tenon
