// SPDX-License-Identifier: Apache-2.0
// exp, log, tanh, ... of a Pack: range reduction and polynomials, the same for every register.
#pragma once
#include <tenon/core/pack_tables.hpp>
#include <tenon/core/pack_type.hpp>

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

// Largest errors found over the whole formats, in units of the last place, float / double:
// exp 1.01 / 0.98, exp2 1.0 / 1.04, expm1 1.5 / 1.9, log 0.8 / 0.8, log2 1.7 / 1.5,
// log10 2.0 / 1.9, log1p 0.8 / 0.8, sin and cos 2.4 / 2.1,
// tanh 4.9 / 2.5, erf 1.3 / libm, pow 0.5 / libm.
// Denormals, infinities, NaN and the sign of zero are the C library's. A lane's result depends
// neither on its neighbours nor on the pack's width.
namespace tenon::inline TENON_ISA::scalar {

namespace detail {

// What the compiler does not make of vector arithmetic. smaller and larger give b where one is NaN.
#if defined(__SSE2__)
TENON_INLINE __m128 root(__m128 x) { return _mm_sqrt_ps(x); }
TENON_INLINE __m128d root(__m128d x) { return _mm_sqrt_pd(x); }
TENON_INLINE __m128 smaller(__m128 a, __m128 b) { return _mm_min_ps(a, b); }
TENON_INLINE __m128d smaller(__m128d a, __m128d b) { return _mm_min_pd(a, b); }
TENON_INLINE __m128 larger(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
TENON_INLINE __m128d larger(__m128d a, __m128d b) { return _mm_max_pd(a, b); }
#else
// Never called: names for what `native` rules out.
template <class V>
V root(V x);
template <class V>
V smaller(V a, V b);
template <class V>
V larger(V a, V b);
#endif
#if TENON_REGISTER_BYTES >= 32
TENON_INLINE __m256 root(__m256 x) { return _mm256_sqrt_ps(x); }
TENON_INLINE __m256d root(__m256d x) { return _mm256_sqrt_pd(x); }
TENON_INLINE __m256 smaller(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
TENON_INLINE __m256d smaller(__m256d a, __m256d b) { return _mm256_min_pd(a, b); }
TENON_INLINE __m256 larger(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
TENON_INLINE __m256d larger(__m256d a, __m256d b) { return _mm256_max_pd(a, b); }
#endif
#if TENON_REGISTER_BYTES >= 64
TENON_INLINE __m512 root(__m512 x) { return _mm512_maskz_sqrt_ps(0xffff, x); }
TENON_INLINE __m512d root(__m512d x) { return _mm512_maskz_sqrt_pd(0xff, x); }
TENON_INLINE __m512 smaller(__m512 a, __m512 b) { return _mm512_maskz_min_ps(0xffff, a, b); }
TENON_INLINE __m512d smaller(__m512d a, __m512d b) { return _mm512_maskz_min_pd(0xff, a, b); }
TENON_INLINE __m512 larger(__m512 a, __m512 b) { return _mm512_maskz_max_ps(0xffff, a, b); }
TENON_INLINE __m512d larger(__m512d a, __m512d b) { return _mm512_maskz_max_pd(0xff, a, b); }
#endif
/// Whether a Pack is one register that the functions above take.
template <class P>
inline constexpr bool native =
#if defined(__SSE2__)
    std::is_floating_point_v<typename P::Scalar> && sizeof(P) >= 16 &&
    sizeof(P) <= TENON_REGISTER_BYTES;
#else
    false;
#endif

/// x, but no larger than high and no smaller than low; NaN stays NaN.
template <class P>
TENON_INLINE P clamped(P x, typename P::Scalar low, typename P::Scalar high) {
  if constexpr (native<P>) {
    x = P((typename P::Vector)smaller(P(high).v, x.v));
    return P((typename P::Vector)larger(P(low).v, x.v));
  } else {
    x = select(P(high) < x, P(high), x);
    return select(P(low) > x, P(low), x);
  }
}

/// c[first] + c[first + step] x + c[first + 2 step] x^2 + ..., by Horner's rule.
template <std::size_t first, std::size_t step, class P, std::size_t K, std::size_t... I>
TENON_INLINE P horner(P x, const double (&c)[K], std::index_sequence<I...>) {
  constexpr std::size_t last = first + step * sizeof...(I);
  P y(c[last]);
  ((y = multiply_add(y, x, P(c[last - step * (1 + I)]))), ...);
  return y;
}
/// c[0] + c[1] x + c[2] x^2 + ... Even and odd powers apart, because a loop over packs waits for
/// results rather than for room to compute.
template <class P, std::size_t K>
TENON_INLINE P polynomial(P x, const double (&c)[K]) {
  if constexpr (K < 5) {
    return horner<0, 1>(x, c, std::make_index_sequence<K - 1>{});
  } else {
    P square = x * x;
    P even = horner<0, 2>(square, c, std::make_index_sequence<(K - 1) / 2>{});
    P odd = horner<1, 2>(square, c, std::make_index_sequence<(K - 2) / 2>{});
    return multiply_add(odd, x, even);
  }
}

template <class T>
TENON_COLD void each_lane(T (*f)(T), const T* x, T* y, int count) {
  for (int i = 0; i < count; ++i) y[i] = f(x[i]);
}
template <class T, int N>
TENON_INLINE Pack<T, N> lane_by_lane(T (*f)(T), Pack<T, N> x) {
  T lane[N];
  x.store(lane);
  each_lane(f, lane, lane, N);
  return Pack<T, N>::load(lane);
}

/// The sign bits of `from` on the magnitude of x >= 0.
template <class T, int N>
TENON_INLINE Pack<T, N> with_sign(Pack<T, N> x, Pack<T, N> from) {
  using I = IntOf<T>;
  Pack<I, N> sign = from.template cast<I>() & Pack<I, N>(Format<T>::sign);
  return (x.template cast<I>() | sign).template cast<T>();
}

/// 2^n for the integral values n that are exponents of normal numbers.
template <class T, int N>
TENON_INLINE Pack<T, N> power_of_two(Pack<IntOf<T>, N> n) {
  return ((n << Format<T>::mantissa) + Pack<IntOf<T>, N>(Format<T>::one)).template cast<T>();
}

/// x * 2^n, n beyond the exponents of normal numbers included; n and `integer` are the same number.
template <class T, int N>
TENON_INLINE Pack<T, N> scale(Pack<T, N> x, [[maybe_unused]] Pack<T, N> n,
                              [[maybe_unused]] Pack<IntOf<T>, N> integer) {
#if TENON_REGISTER_BYTES == 64
  if constexpr (sizeof(x) == 64 && sizeof(T) == 4)
    return Pack<T, N>(
        (typename Pack<T, N>::Vector)_mm512_maskz_scalef_ps(0xffff, (__m512)x.v, (__m512)n.v));
  else if constexpr (sizeof(x) == 64)
    return Pack<T, N>(
        (typename Pack<T, N>::Vector)_mm512_maskz_scalef_pd(0xff, (__m512d)x.v, (__m512d)n.v));
  else
#endif
  {
    Pack<IntOf<T>, N> half = integer >> 1;
    return x * power_of_two<T, N>(half) * power_of_two<T, N>(integer - half);
  }
}

/// e^x = 2^n e^r with |r| <= ln 2 / 2.
template <class T, int N>
struct Reduced {
  Pack<T, N> n, r;
  Pack<IntOf<T>, N> integer;
};
template <class T, int N>
TENON_INLINE Reduced<T, N> reduce_exp(Pack<T, N> x) {
  using P = Pack<T, N>;
  using F = Format<T>;
  P shifted = multiply_add(x, P(1.442695040888963407359925), P(F::magic));
  P n = shifted - P(F::magic);
  P r = multiply_add(n, P(-F::ln2_high), x);
  r = multiply_add(n, P(-F::ln2_low), r);
  return {n, r, shifted.template cast<IntOf<T>>() - Pack<IntOf<T>, N>(F::magic_bits)};
}

/// x = 2^e (1 + f), f in [sqrt(1/2) - 1, sqrt(2) - 1], for finite x > 0.
template <class T, int N>
struct Parted {
  Pack<T, N> e, f;
};
template <bool denormals = true, class T, int N>
TENON_INLINE Parted<T, N> part(Pack<T, N> x) {
  using P = Pack<T, N>;
  using I = Pack<IntOf<T>, N>;
  using F = Format<T>;
  [[maybe_unused]] auto small = x < P(std::numeric_limits<T>::min());
  if constexpr (denormals) x = select(small, x * P(IntOf<T>(1) << F::mantissa), x);
  I bits = x.template cast<IntOf<T>>() - I(F::root_half);
  I mantissa = (bits & I((IntOf<T>(1) << F::mantissa) - 1)) + I(F::root_half);
  P e = ((bits >> F::mantissa) + I(F::magic_bits)).template cast<T>() - P(F::magic);
  if constexpr (denormals) e = e - select(small, P(F::mantissa), P(0));
  return {e, mantissa.template cast<T>() - P(1)};
}

/// log(2^e (1 + f)) + c for a small c.
template <class T, int N>
TENON_INLINE Pack<T, N> join_log(Parted<T, N> p, Pack<T, N> c) {
  using P = Pack<T, N>;
  using F = Format<T>;
  P s = p.f / (P(2) + p.f), z = s * s;
  P square = P(0.5) * p.f * p.f;
  P rest =
      multiply_add(s, multiply_add(z, detail::polynomial(z, detail::Format<T>::log_tail), square),
                   multiply_add(p.e, P(F::ln2_low), c));
  return multiply_add(p.e, P(F::ln2_high), p.f - (square - rest));
}

/// What every logarithm does outside the finite positive numbers: y belongs to x there.
template <class T, int N>
TENON_INLINE Pack<T, N> log_ends(Pack<T, N> x, Pack<T, N> y) {
  using P = Pack<T, N>;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  y = select(x < P(infinity), y, x);
  return select(x > P(0), y,
                select(x == P(0), P(-infinity), P(std::numeric_limits<T>::quiet_NaN())));
}

}  // namespace detail

/// e^x: denormals, 0 and infinity where they belong.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> exp(Pack<T, N> x) {
  using P = Pack<T, N>;
  x = detail::clamped(x, detail::Format<T>::exp_low, detail::Format<T>::exp_high);
  detail::Reduced<T, N> d = detail::reduce_exp(x);
  P y = P(1) + multiply_add(d.r * d.r, detail::polynomial(d.r, detail::Format<T>::exp_tail), d.r);
  return detail::scale(y, d.n, d.integer);
}

/// 2^x.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> exp2(Pack<T, N> x) {
  using P = Pack<T, N>;
  using F = detail::Format<T>;
  x = detail::clamped(x, F::exp_low * T(1.5), F::exp_high * T(1.5));
  P shifted = x + P(F::magic), n = shifted - P(F::magic);
  P r = (x - n) * P(0.6931471805599453094172321);
  P y = P(1) + multiply_add(r * r, detail::polynomial(r, detail::Format<T>::exp_tail), r);
  return detail::scale(y, n, shifted.template cast<IntOf<T>>() - Pack<IntOf<T>, N>(F::magic_bits));
}

/// e^x - 1 without cancellation.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> expm1(Pack<T, N> x) {
  using P = Pack<T, N>;
  P bounded = detail::clamped(x, T(-50), detail::Format<T>::exp_high);
  detail::Reduced<T, N> d = detail::reduce_exp(bounded);
  P tail = multiply_add(d.r * d.r, detail::polynomial(d.r, detail::Format<T>::exp_tail), d.r);
  P half = detail::power_of_two<T, N>(d.integer - Pack<IntOf<T>, N>(1));
  P y = P(2) * multiply_add(half, tail, half - P(0.5));
  return select(x == P(0), x, y);
}

/// ln x.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> log(Pack<T, N> x) {
  return detail::log_ends(x, detail::join_log(detail::part(x), Pack<T, N>(0)));
}

/// log2 x; exact at powers of two.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> log2(Pack<T, N> x) {
  using P = Pack<T, N>;
  detail::Parted<T, N> p = detail::part(x);
  P e = p.e;
  p.e = P(0);
  P y = multiply_add(detail::join_log(p, P(0)), P(1.442695040888963407359925), e);
  return detail::log_ends(x, y);
}

/// log10 x.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> log10(Pack<T, N> x) {
  return log(x) * Pack<T, N>(0.43429448190325182765);
}

/// ln(1 + x) without cancellation.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> log1p(Pack<T, N> x) {
  using P = Pack<T, N>;
  P u = P(1) + x;
  // What the sum rounded away, relative to u: x - (u - 1), or 1 - (u - x) where x is the larger.
  P lost = select(x < P(1), x - (u - P(1)), P(1) - (u - x)) / u;
  P y = detail::log_ends(u, detail::join_log(detail::part<false>(u), lost));
  return select(x == P(0), x, y);
}

/// +-1 from |x| of about 9 (float) and 19 (double) on, never beyond.
template <int N>
TENON_INLINE constexpr Pack<float, N> tanh(Pack<float, N> x) {
  using P = Pack<float, N>;
  using F = detail::Format<float>;
  x = detail::clamped(x, -F::tanh_one, F::tanh_one);
  P z = x * x;
  P y = x * detail::polynomial(z, F::tanh_above) / detail::polynomial(z, F::tanh_below);
  return detail::clamped(y, -1, 1);
}
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> tanh(Pack<T, N> x) {
  using P = Pack<T, N>;
  P twice = abs(x) * P(-2);
  twice = detail::clamped(twice, T(-42), T(0));
  detail::Reduced<T, N> d = detail::reduce_exp(twice);
  P two_n = detail::power_of_two<T, N>(d.integer);
  P tail = multiply_add(d.r * d.r, detail::polynomial(d.r, detail::Format<T>::exp_tail), d.r);
  P m = multiply_add(two_n, tail, two_n - P(1));  // e^-2|x| - 1
  return detail::with_sign((P(0) - m) / (m + P(2)), x);
}

namespace detail {

/// sin(x + offset pi/2).
template <class T, int N>
TENON_INLINE Pack<T, N> sin_from(Pack<T, N> x, int offset, T (*slow)(T)) {
  using P = Pack<T, N>;
  using I = Pack<IntOf<T>, N>;
  using F = Format<T>;
  P shifted = multiply_add(x, P(0.6366197723675813430755351), P(F::magic));
  P n = shifted - P(F::magic), r = x;
  for (T part : F::half_pi) r = multiply_add(n, P(-part), r);
  P z = r * r;
  P sine = multiply_add(r * z, detail::polynomial(z, detail::Format<T>::sin_tail), r);
  P cosine = multiply_add(z * z, detail::polynomial(z, detail::Format<T>::cos_tail),
                          multiply_add(z, P(-0.5), P(1)));
  I quadrant = shifted.template cast<IntOf<T>>() + I(offset);
  P y = select((quadrant & I(1)) == I(0), sine, cosine);
  I sign = (quadrant & I(2)) << (8 * static_cast<int>(sizeof(T)) - 2);
  y = (y.template cast<IntOf<T>>() ^ sign).template cast<T>();
  auto near = abs(x) < P(F::turn_limit);
  if (__builtin_expect(!all(near), 0)) y = select(near, y, lane_by_lane(slow, x));
  return y;
}

}  // namespace detail

/// sin x and cos x, x in radians; beyond the format's turn_limit, lane by lane.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> sin(Pack<T, N> x) {
  Pack<T, N> y = detail::sin_from<T, N>(x, 0, [](T a) { return scalar::sin(a); });
  return select(x == Pack<T, N>(0), x, y);
}
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> cos(Pack<T, N> x) {
  return detail::sin_from<T, N>(x, 1, [](T a) { return scalar::cos(a); });
}

/// 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x. double: lane by lane.
template <int N>
TENON_INLINE constexpr Pack<float, N> erf(Pack<float, N> x) {
  using P = Pack<float, N>;
  using F = detail::Format<float>;
  P a = abs(x);
  P bounded = detail::clamped(a, 0, 4);
  P small = multiply_add(x, detail::polynomial(a * a, F::erf_near), x);
  P large = detail::with_sign(P(1) - exp(detail::polynomial(bounded, F::erf_far)), x);
  return select(a < P(1), small, large);
}
template <int N>
TENON_INLINE constexpr Pack<double, N> erf(Pack<double, N> x) {
  return detail::lane_by_lane<double, N>([](double a) { return scalar::erf(a); }, x);
}

namespace detail {
/// |x|^y for finite x and y that are not both at an end, through double logarithms, in halves.
template <int N>
TENON_INLINE Pack<float, N> power_of_magnitude(Pack<float, N> a, Pack<float, N> y) {
  constexpr int half = N > 1 ? N / 2 : 1;
  float base[N], exponent[N];
  a.store(base), y.store(exponent);
  for (int i = 0; i < N; i += half) {
    auto e = Pack<float, half>::load(exponent + i).template convert<double>();
    auto b = Pack<float, half>::load(base + i).template convert<double>();
    exp(e * log(b)).template convert<float>().store(base + i);
  }
  return Pack<float, N>::load(base);
}
}  // namespace detail

/// x^y with the special values of C's pow. double: lane by lane.
template <int N>
TENON_INLINE constexpr Pack<float, N> pow(Pack<float, N> x, Pack<float, N> y) {
  using P = Pack<float, N>;
  P a = abs(x), half = y * P(0.5), z = detail::power_of_magnitude(a, y);
  // 0 * infinity in the exponent means 1.
  z = select((y == P(0)) | (x == P(1)) | ((a == P(1)) & (y == y)), P(1), z);
  auto integral = floor(y) == y, odd = integral & (floor(half) != half);
  P undefined(std::numeric_limits<float>::quiet_NaN());
  z = select((x < P(0)) & (a < P(std::numeric_limits<float>::infinity())) & !integral, undefined,
             z);
  return select(odd, detail::with_sign(z, x), z);
}
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> pow(Pack<T, N> x, Pack<T, N> y) {
  for (int i = 0; i < N; ++i) x.set(i, scalar::pow(x[i], y[i]));
  return x;
}

/// Correctly rounded.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> sqrt(Pack<T, N> x) {
  if constexpr (detail::native<Pack<T, N>>) {
    return Pack<T, N>((typename Pack<T, N>::Vector)detail::root(x.v));
  } else {
    for (int i = 0; i < N; ++i) x.set(i, scalar::sqrt(x[i]));
    return x;
  }
}

/// 1 / sqrt(x), two roundings.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> rsqrt(Pack<T, N> x) {
  return Pack<T, N>(1) / sqrt(x);
}

template <class T, int N>
TENON_INLINE constexpr Pack<T, N> abs(Pack<T, N> x) {
  if constexpr (std::is_integral_v<T>) return select(x < Pack<T, N>(0), -x, x);
  else
    return (x.template cast<IntOf<T>>() & Pack<IntOf<T>, N>(~detail::Format<T>::sign))
        .template cast<T>();
}

/// Halves go to the even neighbour.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> round(Pack<T, N> x) {
  if constexpr (std::is_integral_v<T>) {
    return x;
  } else {
    using P = Pack<T, N>;
    P unit(IntOf<T>(1) << detail::Format<T>::mantissa), magnitude = abs(x);
    P y = detail::with_sign((magnitude + unit) - unit, x);
    return select(magnitude < unit, y, x);
  }
}
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> floor(Pack<T, N> x) {
  using P = Pack<T, N>;
  P y = round(x);
  if constexpr (std::is_integral_v<T>) return y;
  else return select(y > x, y - P(1), y);
}
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> ceil(Pack<T, N> x) {
  if constexpr (std::is_integral_v<T>) return x;
  else return -floor(-x);
}
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> trunc(Pack<T, N> x) {
  if constexpr (std::is_integral_v<T>) return x;
  else return detail::with_sign(floor(abs(x)), x);
}

/// NaN if either is NaN.
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> max(Pack<T, N> a, Pack<T, N> b) {
  using P = Pack<T, N>;
  if constexpr (detail::native<P>)
    return select(a != a, a, P((typename P::Vector)detail::larger(a.v, b.v)));
  else return select((a > b) | (a != a), a, b);
}
template <class T, int N>
TENON_INLINE constexpr Pack<T, N> min(Pack<T, N> a, Pack<T, N> b) {
  using P = Pack<T, N>;
  if constexpr (detail::native<P>)
    return select(a != a, a, P((typename P::Vector)detail::smaller(a.v, b.v)));
  else return select((a < b) | (a != a), a, b);
}

}  // namespace tenon::inline TENON_ISA::scalar
