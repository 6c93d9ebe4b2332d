// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/pack_type.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "support/catch.hpp"

using namespace tenon;
using scalar::Pack;

namespace {

/// One register and half a register of each type: all the code paths of loads, masks and selects.
template <class T, int N>
void check_lanes() {
  using P = Pack<T, N>;
  CHECK(sizeof(P) == N * sizeof(T));
  alignas(64) T memory[2 * N + 1], out[N];
  for (int i = 0; i < 2 * N + 1; ++i) memory[i] = static_cast<T>(i - N);
  P a = P::load(memory + 1), b = P::iota() + P(1);  // at an odd address
  for (int i = 0; i < N; ++i) {
    T x = static_cast<T>(i + 1 - N), y = static_cast<T>(i + 1);
    CHECK(a[i] == x);
    CHECK((a + b)[i] == x + y);
    CHECK((a - b)[i] == x - y);
    CHECK((a * b)[i] == x * y);
    CHECK((a / b)[i] == x / y);
    CHECK((-a)[i] == -x);
    CHECK(multiply_add(a, b, b)[i] == x * y + y);
    CHECK((a < P(0))[i] == (x < 0));
    CHECK((a <= P(0))[i] == (x <= 0));
    CHECK((a > P(0))[i] == (x > 0));
    CHECK((a >= P(0))[i] == (x >= 0));
    CHECK((a == P(0))[i] == (x == 0));
    CHECK((a != P(0))[i] == (x != 0));
    CHECK(select(a > P(-2), a, b)[i] == (x > -2 ? x : y));
    CHECK(((a > P(-2)) & (b < P(2)))[i] == (x > -2 && y < 2));
    CHECK(((a > P(-2)) | (b < P(2)))[i] == (x > -2 || y < 2));
    CHECK(((a > P(-2)) ^ (b < P(2)))[i] == ((x > -2) != (y < 2)));
    CHECK((!(a > P(-2)))[i] == !(x > -2));
  }
  b.store(out);
  CHECK(out[N - 1] == N);
  CHECK(horizontal_sum(b) == static_cast<T>(N * (N + 1) / 2));
  CHECK(horizontal_max(a) == 0);
  CHECK(horizontal_min(a) == static_cast<T>(1 - N));
  for (int i = 0; i < N; ++i) {
    CHECK(any(P::iota() == P(i)));
    CHECK_FALSE(all(P::iota() == P(i)));
  }
  CHECK_FALSE(any(b == P(0)));
  CHECK(all(b > P(0)));
}

TEST_CASE("pack: lanes compute what numbers compute", "[core][pack]") {
  check_lanes<float, scalar::lanes<float>>();
  check_lanes<double, scalar::lanes<double>>();
  check_lanes<std::int32_t, scalar::lanes<std::int32_t>>();
  check_lanes<std::int64_t, scalar::lanes<std::int64_t>>();
  check_lanes<float, scalar::lanes<float> / 2>();
}

// The ends of the range of an integer: beyond them results wrap, modulo 2^bits.
template <class T>
void check_wrap() {
  using P = Pack<T, scalar::lanes<T>>;
  using U = std::make_unsigned_t<T>;
  const T ends[] = {std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), T(-1), T(3)};
  for (T x : ends)
    for (T y : ends) {
      const U a = static_cast<U>(x), b = static_cast<U>(y);
      const P p(x), q(y);
      CHECK((p + q)[1] == static_cast<T>(a + b));
      CHECK((p - q)[1] == static_cast<T>(a - b));
      CHECK((p * q)[1] == static_cast<T>(a * b));
      CHECK((-p)[1] == static_cast<T>(U(0) - a));
      CHECK((p << 3)[1] == static_cast<T>(a << 3));
      CHECK(multiply_add(p, q, p)[1] == static_cast<T>(a * b + a));
      CHECK(horizontal_sum(p) == static_cast<T>(a * U(scalar::lanes<T>)));
      P sum = p;
      sum += q, sum *= p, sum -= q;
      CHECK(sum[1] == static_cast<T>((a + b) * a - b));
    }
}

TEST_CASE("pack: integers wrap", "[core][pack]") {
  check_wrap<std::int32_t>();
  check_wrap<std::int64_t>();
}

TEST_CASE("pack: partial loads and stores touch count numbers only", "[core][pack]") {
  constexpr int N = scalar::lanes<float>;
  float in[N], out[N];
  for (int i = 0; i < N; ++i) in[i] = static_cast<float>(i + 1);
  for (int count = 0; count < N; ++count) {
    auto x = Pack<float, N>::load_partial(in, count);
    for (int i = 0; i < N; ++i) CHECK(x[i] == (i < count ? in[i] : 0));
    for (float& v : out) v = -1;
    (x + Pack<float, N>(1)).store_partial(out, count);
    for (int i = 0; i < N; ++i) CHECK(out[i] == (i < count ? in[i] + 1 : -1));
  }
}

TEST_CASE("pack: a number in every lane keeps its sign and its bits", "[core][pack]") {
  using P = Pack<float, scalar::lanes<float>>;
  CHECK(std::signbit(P(-0.0f)[0]));
  CHECK_FALSE(std::signbit(P(0.0f)[0]));
  CHECK(std::isnan(P(std::numeric_limits<float>::quiet_NaN())[1]));
  CHECK(P(0.1)[1] == 0.1f);
  CHECK(P(std::numeric_limits<float>::denorm_min())[1] == std::numeric_limits<float>::denorm_min());
}

TEST_CASE("pack: comparisons with NaN are false, but for !=", "[core][pack]") {
  using P = Pack<double, scalar::lanes<double>>;
  P nan(std::nan("")), one(1.0);
  CHECK_FALSE(any(nan == nan));
  CHECK(all(nan != nan));
  CHECK_FALSE(any((nan < one) | (nan > one) | (nan <= one) | (nan >= one)));
}

TEST_CASE("pack: the sum of lanes joins halves, then halves of halves", "[core][pack]") {
  constexpr int N = scalar::lanes<float>;
  float x[N], tree[N];
  for (int i = 0; i < N; ++i) tree[i] = x[i] = 1.0f / static_cast<float>(3 * i + 1);
  for (int half = N / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) tree[i] = tree[i] + tree[i + half];
  CHECK(horizontal_sum(Pack<float, N>::load(x)) == tree[0]);
}

TEST_CASE("pack: NaN in any lane is the maximum and the minimum", "[core][pack]") {
  constexpr int N = scalar::lanes<float>;
  for (int i = 0; i < N; ++i) {
    auto x = Pack<float, N>::iota();
    x.set(i, std::nanf(""));
    CHECK(std::isnan(horizontal_max(x)));
    CHECK(std::isnan(horizontal_min(x)));
  }
}

TEST_CASE("pack: converting cuts towards 0, casting keeps the bits", "[core][pack]") {
  constexpr int N = scalar::lanes<float>;
  Pack<float, N> x(-2.75f);
  CHECK(x.convert<std::int32_t>()[0] == -2);
  CHECK(x.cast<std::int32_t>()[0] == static_cast<std::int32_t>(0xc0300000));
  Pack<std::int32_t, N> i = Pack<std::int32_t, N>::iota();
  CHECK(((i << 3) >> 1)[1] == 4);
  CHECK((i & Pack<std::int32_t, N>(1))[3] == 1);
  CHECK((i ^ Pack<std::int32_t, N>(-1))[2] == ~2);
}

}  // namespace
