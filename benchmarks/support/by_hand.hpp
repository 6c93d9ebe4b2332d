// SPDX-License-Identifier: Apache-2.0
// Row kernels as one writes them by hand for one function, with the same packets that tenon uses: forward keeps what
// backward needs. No row function allocates.
#pragma once
#include <tenon/core/pack.hpp>

#include <cmath>
#include <cstdint>
#include <limits>

#include "support/limits.hpp"

namespace bench::by_hand {

inline constexpr int N = Float::size;

/// f(j, packet(j), store) over a row: whole packets, then what is left, filled up with `fill`.
TENON_INLINE Float rest_of(const float* p, long left, float fill) {
  Float x(fill);
  for (long i = 0; i < left; ++i) x.set(static_cast<int>(i), p[i]);
  return x;
}
TENON_INLINE Float at(const float* row, long j, long n, float fill) {
  return j + N <= n ? Float::load(row + j) : rest_of(row + j, n - j, fill);
}
TENON_INLINE void put(float* row, long j, long n, Float x) {
  if (j + N <= n) x.store(row + j);
  else x.store_partial(row + j, static_cast<int>(n - j));
}

/// y = exp(x - max) / sum.
inline void softmax(const float* x, float* y, long rows, long n) {
  constexpr float low = -std::numeric_limits<float>::infinity();
  for (long r = 0; r < rows; ++r, x += n, y += n) {
    Float m(low), s(0.f);
    for (long j = 0; j < n; j += N) m = max(m, at(x, j, n, low));
    const Float peak(horizontal_max(m));
    for (long j = 0; j < n; j += N) {
      Float e = exp(at(x, j, n, low) - peak);
      put(y, j, n, e);
      s = s + e;
    }
    const Float scale(1 / horizontal_sum(s));
    for (long j = 0; j < n; j += N) put(y, j, n, at(y, j, n, 0) * scale);
  }
}
/// dx = y (dy - sum(y dy)).
inline void softmax_backward(const float* y, const float* dy, float* dx, long rows, long n) {
  for (long r = 0; r < rows; ++r, y += n, dy += n, dx += n) {
    Float s(0.f);
    for (long j = 0; j < n; j += N) s = multiply_add(at(y, j, n, 0), at(dy, j, n, 0), s);
    const Float sum(horizontal_sum(s));
    for (long j = 0; j < n; j += N) put(dx, j, n, at(y, j, n, 0) * (at(dy, j, n, 0) - sum));
  }
}

/// y = (x - mean) scale w + b; keeps mean and scale of a row.
inline void layer_norm(const float* x, const float* w, const float* b, float* y, float* kept,
                       long rows, long n) {
  const float inverse = 1 / static_cast<float>(n);
  for (long r = 0; r < rows; ++r, x += n, y += n, kept += 2) {
    Float s(0.f), q(0.f);
    for (long j = 0; j < n; j += N) s = s + at(x, j, n, 0);
    const float mean = horizontal_sum(s) * inverse;
    const Float m(mean);
    for (long j = 0; j < n; j += N) {
      Float d = at(x, j, n, mean) - m;
      q = multiply_add(d, d, q);
    }
    const float scale = 1 / std::sqrt(horizontal_sum(q) * inverse + 1e-5f);
    const Float k(scale);
    for (long j = 0; j < n; j += N)
      put(y, j, n, multiply_add((at(x, j, n, mean) - m) * k, at(w, j, n, 0), at(b, j, n, 0)));
    kept[0] = mean, kept[1] = scale;
  }
}
/// dw += dy xhat, db += dy, dx = scale (g - mean(g) - xhat mean(g xhat)) with g = dy w.
inline void layer_norm_backward(const float* x, const float* w, const float* dy, const float* kept,
                                float* dx, float* dw, float* db, long rows, long n) {
  const float inverse = 1 / static_cast<float>(n);
  for (long j = 0; j < n; ++j) dw[j] = db[j] = 0;
  for (long r = 0; r < rows; ++r, x += n, dx += n, dy += n, kept += 2) {
    const Float m(kept[0]), k(kept[1]);
    Float s(0.f), q(0.f);
    for (long j = 0; j < n; j += N) {
      Float e = at(dy, j, n, 0), h = (at(x, j, n, kept[0]) - m) * k, g = e * at(w, j, n, 0);
      s = s + g, q = multiply_add(g, h, q);
      put(dw, j, n, multiply_add(e, h, at(dw, j, n, 0)));
      put(db, j, n, at(db, j, n, 0) + e);
    }
    const Float a(horizontal_sum(s) * inverse), c(horizontal_sum(q) * inverse);
    for (long j = 0; j < n; j += N) {
      Float h = (at(x, j, n, kept[0]) - m) * k, g = at(dy, j, n, 0) * at(w, j, n, 0);
      put(dx, j, n, k * (g - a - h * c));
    }
  }
}

/// Mean of log(sum(exp(x))) - x[label]; keeps the logarithm of a row.
inline float cross_entropy(const float* x, const std::int64_t* label, float* kept, long rows,
                           long n) {
  constexpr float low = -std::numeric_limits<float>::infinity();
  double total = 0;
  for (long r = 0; r < rows; ++r, x += n) {
    Float m(low), s(0.f);
    for (long j = 0; j < n; j += N) m = max(m, at(x, j, n, low));
    const float top = horizontal_max(m);
    const Float peak(top);
    for (long j = 0; j < n; j += N) s = s + exp(at(x, j, n, low) - peak);
    kept[r] = top + std::log(horizontal_sum(s));
    total += static_cast<double>(kept[r] - x[label[r]]);
  }
  return static_cast<float>(total / static_cast<double>(rows));
}
/// dx = (softmax(x) - 1 at the label) g / rows.
inline void cross_entropy_backward(const float* x, const std::int64_t* label, const float* kept,
                                   float g, float* dx, long rows, long n) {
  const Float k(g / static_cast<float>(rows));
  for (long r = 0; r < rows; ++r, x += n, dx += n) {
    const Float l(kept[r]);
    for (long j = 0; j < n; j += N) put(dx, j, n, exp(at(x, j, n, 0) - l) * k);
    dx[label[r]] -= g / static_cast<float>(rows);
  }
}

}  // namespace bench::by_hand
