// SPDX-License-Identifier: Apache-2.0
// Functions of packs against the C library, float in double and double in long double.
#include <tenon/core/pack.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "support/catch.hpp"

using namespace tenon;
using scalar::Pack;

namespace {

/// The distance in units of the last place of the exact value; huge where NaN, infinity or the sign
/// of a zero is wrong.
template <class T>
double ulps(T got, long double exact) {
  if (std::isnan(exact) || std::isnan(got)) return std::isnan(exact) && std::isnan(got) ? 0 : 1e30;
  T rounded = static_cast<T>(exact);
  if (std::isinf(rounded) || std::isinf(got) || exact == 0)
    return got == rounded && std::signbit(got) == std::signbit(rounded) ? 0 : 1e30;
  using Limits = std::numeric_limits<T>;
  int exponent;
  std::frexp(exact, &exponent);
  exponent = std::max(exponent, Limits::min_exponent);
  return static_cast<double>(std::fabs(got - exact) / std::ldexp(1.0L, exponent - Limits::digits));
}

template <class T>
using Lanes = Pack<T, scalar::lanes<T>>;

template <class T>
struct Function {
  const char* name;
  Lanes<T> (*packed)(Lanes<T>);
  long double (*exact)(long double);
  double limit;  // units in the last place
};

template <class T>
const Function<T> functions[] = {
    {"exp", [](Lanes<T> x) { return exp(x); }, [](long double x) { return std::exp(x); }, 1.5},
    {"exp2", [](Lanes<T> x) { return exp2(x); }, [](long double x) { return std::exp2(x); }, 1.5},
    {"expm1", [](Lanes<T> x) { return expm1(x); }, [](long double x) { return std::expm1(x); }, 2},
    {"log", [](Lanes<T> x) { return log(x); }, [](long double x) { return std::log(x); }, 1},
    {"log2", [](Lanes<T> x) { return log2(x); }, [](long double x) { return std::log2(x); }, 2},
    {"log10", [](Lanes<T> x) { return log10(x); }, [](long double x) { return std::log10(x); }, 2},
    {"log1p", [](Lanes<T> x) { return log1p(x); }, [](long double x) { return std::log1p(x); }, 1},
    {"sin", [](Lanes<T> x) { return sin(x); }, [](long double x) { return std::sin(x); }, 2.5},
    {"cos", [](Lanes<T> x) { return cos(x); }, [](long double x) { return std::cos(x); }, 2.5},
    {"tanh", [](Lanes<T> x) { return tanh(x); }, [](long double x) { return std::tanh(x); },
     sizeof(T) == 4 ? 5 : 3},
    {"erf", [](Lanes<T> x) { return erf(x); }, [](long double x) { return std::erf(x); }, 1.5},
    {"sqrt", [](Lanes<T> x) { return sqrt(x); }, [](long double x) { return std::sqrt(x); }, 0.5},
    {"rsqrt", [](Lanes<T> x) { return rsqrt(x); }, [](long double x) { return 1 / std::sqrt(x); },
     1.5},
    {"abs", [](Lanes<T> x) { return abs(x); }, [](long double x) { return std::fabs(x); }, 0},
    {"floor", [](Lanes<T> x) { return floor(x); }, [](long double x) { return std::floor(x); }, 0},
    {"ceil", [](Lanes<T> x) { return ceil(x); }, [](long double x) { return std::ceil(x); }, 0},
    {"round", [](Lanes<T> x) { return round(x); }, [](long double x) { return std::rint(x); }, 0},
    {"trunc", [](Lanes<T> x) { return trunc(x); }, [](long double x) { return std::trunc(x); }, 0},
};

/// Sample k: all of the format's numbers in even places, numbers near 1 in odd ones.
template <class T>
T sample(std::uint64_t k) {
  std::uint64_t bits = (k + 1) * 0x9e3779b97f4a7c15;
  bits ^= bits >> 29;
  if (k % 2 != 0) return static_cast<T>(static_cast<double>(bits >> 11) * 0x1p-53 * 20 - 10);
  auto part = static_cast<scalar::IntOf<T>>(bits >> (64 - 8 * sizeof(T)));
  T x;
  std::memcpy(&x, &part, sizeof(x));
  return x;
}

template <class T>
void check_functions() {
  using Limits = std::numeric_limits<T>;
  const T special[] = {0,
                       T(-0.0),
                       1,
                       -1,
                       T(0.5),
                       T(-0.5),
                       2,
                       Limits::infinity(),
                       -Limits::infinity(),
                       Limits::quiet_NaN(),
                       Limits::min(),
                       -Limits::min(),
                       Limits::denorm_min(),
                       -Limits::denorm_min(),
                       Limits::max(),
                       -Limits::max(),
                       Limits::epsilon()};
  constexpr int N = scalar::lanes<T>, specials = static_cast<int>(std::size(special));
  for (const Function<T>& f : functions<T>) {
    CAPTURE(f.name, sizeof(T));
    double worst = 0;
    T at = 0;
    for (int k = -specials; k < 20000; k += N) {
      T x[N], y[N];
      for (int i = 0; i < N; ++i)
        x[i] = k + i < 0 ? special[-1 - k - i] : sample<T>(static_cast<std::uint64_t>(k + i));
      f.packed(Lanes<T>::load(x)).store(y);
      for (int i = 0; i < N; ++i) {
        double u = ulps(y[i], f.exact(x[i]));
        if (u > worst) worst = u, at = x[i];
      }
    }
    CAPTURE(at);
    CHECK(worst <= f.limit);
  }
}

TEST_CASE("pack: functions keep their precision over the whole format", "[core][pack]") {
  check_functions<float>();
  check_functions<double>();
}

template <class T>
void check_pow() {
  using Limits = std::numeric_limits<T>;
  const T values[] = {0,
                      T(-0.0),
                      1,
                      -1,
                      2,
                      -2,
                      T(0.5),
                      T(-0.5),
                      3,
                      -3,
                      T(2.5),
                      T(-2.5),
                      T(0.9),
                      T(1e10),
                      Limits::infinity(),
                      -Limits::infinity(),
                      Limits::quiet_NaN(),
                      Limits::min(),
                      Limits::denorm_min(),
                      Limits::max(),
                      -Limits::max()};
  for (T x : values)
    for (T y : values) {
      CAPTURE(x, y);
      long double exact = std::pow(static_cast<long double>(x), static_cast<long double>(y));
      CHECK(ulps(pow(Lanes<T>(x), Lanes<T>(y))[1], exact) <= 1);
    }
}

TEST_CASE("pack: pow has the special values of the C standard", "[core][pack]") {
  check_pow<float>();
  check_pow<double>();
}

TEST_CASE("pack: max and min give NaN if either is NaN", "[core][pack]") {
  using P = Lanes<float>;
  P nan(std::nanf("")), one(1);
  CHECK(std::isnan(max(nan, one)[0]));
  CHECK(std::isnan(max(one, nan)[0]));
  CHECK(std::isnan(min(nan, one)[0]));
  CHECK(std::isnan(min(one, nan)[0]));
  CHECK(max(P(-1), one)[0] == 1);
  CHECK(min(P(-1), one)[0] == -1);
  CHECK(max(Lanes<std::int32_t>(-1), Lanes<std::int32_t>(1))[0] == 1);
  CHECK(abs(Lanes<std::int64_t>(-5))[0] == 5);
  CHECK(floor(Lanes<std::int64_t>(-5))[0] == -5);
}

TEST_CASE("pack: a lane's result does not depend on its neighbours", "[core][pack]") {
  constexpr int N = scalar::lanes<float>;
  const float odd[] = {1e30f, std::numeric_limits<float>::infinity(), std::nanf(""), -1e-42f,
                       9000.0f};
  for (const Function<float>& f : functions<float>)
    for (int k = 0; k < 500; ++k) {
      float x = sample<float>(static_cast<std::uint64_t>(2 * k + 1)), row[N];
      for (int i = 0; i < N; ++i) row[i] = odd[(i + k) % 5];
      row[N - 1] = x;
      float alone = f.packed(Lanes<float>(x))[N - 1],
            beside = f.packed(Lanes<float>::load(row))[N - 1];
      CAPTURE(f.name, x);
      CHECK(std::memcmp(&alone, &beside, sizeof(float)) == 0);
    }
}

TEST_CASE("pack: tanh and erf never leave [-1, 1]", "[core][pack]") {
  for (int k = 0; k < 200000; ++k) {
    Lanes<float> x(sample<float>(static_cast<std::uint64_t>(2 * k + 1)));
    CHECK_FALSE(any((abs(tanh(x)) > Lanes<float>(1)) | (abs(erf(x)) > Lanes<float>(1))));
  }
}

TEST_CASE("pack: packs of other widths give the same bits", "[core][pack]") {
  constexpr int N = scalar::lanes<float>;
  float x[N], whole[N], half[N];
  for (int k = 0; k < 500; ++k) {
    for (int i = 0; i < N; ++i) x[i] = sample<float>(static_cast<std::uint64_t>(2 * (k + i) + 1));
    tanh(Lanes<float>::load(x)).store(whole);
    for (int i = 0; i < N; i += N / 2) tanh(Pack<float, N / 2>::load(x + i)).store(half + i);
    CHECK(std::memcmp(whole, half, sizeof(whole)) == 0);
    exp(Lanes<float>::load(x)).store(whole);
    for (int i = 0; i < N; i += N / 2) exp(Pack<float, N / 2>::load(x + i)).store(half + i);
    CHECK(std::memcmp(whole, half, sizeof(whole)) == 0);
  }
}

}  // namespace
