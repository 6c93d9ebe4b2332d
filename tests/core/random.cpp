// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/random.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace tenon;

namespace random_test {

namespace {
constexpr RandomKey key{2024, 17, 3, 5};

template <class T>
std::vector<T> uniform(RandomKey k, Index n, T low = 0, T high = 1) {
  std::vector<T> x(static_cast<std::size_t>(n));
  fill_uniform(k, 0, n, x.data(), low, high);
  return x;
}
template <class T>
std::vector<T> normal(RandomKey k, Index n) {
  std::vector<T> x(static_cast<std::size_t>(n));
  fill_normal(k, 0, n, x.data());
  return x;
}

// Mean, and the mean of powers about `centre`.
template <class T>
double moment(const std::vector<T>& x, int power, double centre = 0) {
  double sum = 0;
  for (T v : x) sum += std::pow(static_cast<double>(v) - centre, power);
  return sum / static_cast<double>(x.size());
}

// The largest distance between the empirical distribution and cdf, times sqrt(n): Kolmogorov's
// statistic. It exceeds 2.5 with probability 2 exp(-2 * 2.5^2) = 7e-6.
template <class T, class F>
double kolmogorov(std::vector<T> x, F cdf) {
  std::sort(x.begin(), x.end());
  double n = static_cast<double>(x.size()), worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double p = cdf(static_cast<double>(x[i])), at = static_cast<double>(i);
    worst = std::max({worst, std::abs(p - at / n), std::abs(p - (at + 1) / n)});
  }
  return worst * std::sqrt(n);
}

double chi_square(const std::vector<int>& counts, double expected) {
  double sum = 0;
  for (int c : counts) sum += (c - expected) * (c - expected) / expected;
  return sum;
}

// Chi-square with k degrees of freedom has mean k and variance 2 k; five standard deviations.
bool plausible(double chi, double k) { return std::abs(chi - k) < 5 * std::sqrt(2 * k); }

template <class T, class Fill>
void check_parts(Fill fill) {
  constexpr Index n = 1500;
  std::vector<T> whole(n), part(n);
  fill(Index{0}, n, whole.data());
  int wrong = 0;
  for (Index first : {0, 1, 2, 3, 5, 127, 255, 256, 300, 1023}) {
    for (Index count : {0, 1, 3, 64, 256, 257, 470}) {
      fill(first, count, part.data());
      wrong += !std::equal(part.begin(), part.begin() + count, whole.begin() + first);
    }
  }
  CHECK(wrong == 0);
}
}  // namespace

TEST_CASE("random: any part of a fill equals that part of the whole", "[core]") {
  check_parts<float>([](Index f, Index n, float* p) { fill_uniform(key, f, n, p, -2.0f, 3.0f); });
  check_parts<double>([](Index f, Index n, double* p) { fill_uniform(key, f, n, p, -2.0, 3.0); });
  check_parts<float>([](Index f, Index n, float* p) { fill_normal(key, f, n, p); });
  check_parts<double>([](Index f, Index n, double* p) { fill_normal(key, f, n, p, 1, 2); });
  check_parts<std::uint32_t>([](Index f, Index n, std::uint32_t* p) { fill_bits(key, f, n, p); });
  check_parts<std::int64_t>(
      [](Index f, Index n, std::int64_t* p) { fill_integers(key, f, n, p, -9, 90); });
}

TEST_CASE("random: element i of a uniform fill is word i % 4 of block i / 4", "[core]") {
  auto x = uniform<float>(key, 1000);
  auto y = uniform<double>(key, 1000);
  int wrong = 0;
  for (int i = 0; i < 1000; ++i) {
    auto at = static_cast<std::size_t>(i);
    wrong += x[at] != static_cast<float>(key.words(static_cast<std::uint64_t>(i / 4))[i % 4] >> 8) *
                          0x1p-24f;
    Words w = key.words(static_cast<std::uint64_t>(i / 2));
    std::uint64_t bits = std::uint64_t{w[2 * (i % 2) + 1]} << 32 | w[2 * (i % 2)];
    wrong += y[at] != static_cast<double>(bits >> 11) * 0x1p-53;
  }
  CHECK(wrong == 0);
}

TEST_CASE("random: uniform numbers have the moments and the distribution of U(0, 1)", "[core]") {
  constexpr Index n = 1 << 18;
  const double unit =
      5 / std::sqrt(static_cast<double>(n));  // five standard deviations of a mean with variance 1
  auto check = [&](const auto& x) {
    CHECK(std::abs(moment(x, 1) - 1.0 / 2) < unit * std::sqrt(1.0 / 12));
    CHECK(std::abs(moment(x, 2, 0.5) - 1.0 / 12) < unit * std::sqrt(1.0 / 180));
    CHECK(kolmogorov(x, [](double v) { return v; }) < 2.5);
    std::vector<int> counts(1024);
    for (auto v : x) ++counts[static_cast<std::size_t>(v * 1024)];
    CHECK(plausible(chi_square(counts, n / 1024.0), 1023));
  };
  check(uniform<float>(key, n));
  check(uniform<double>(key, n));
}

TEST_CASE("random: a uniform fill stays in [low, high), also where they are neighbours", "[core]") {
  const float next = std::nextafter(1.0f, 2.0f), most = std::numeric_limits<float>::max();
  for (float v : uniform<float>(key, 500, 1.0f, next)) REQUIRE(v == 1.0f);
  for (float v : uniform<float>(key, 500, 7.0f, 7.0f)) REQUIRE(v == 7.0f);
  for (float v : uniform<float>(key, 500, -most, most)) REQUIRE(std::isfinite(v));
  for (double v : uniform<double>(key, 500, 1.0, std::nextafter(1.0, 2.0))) REQUIRE(v == 1.0);
  for (double v : uniform<double>(key, 500, -3.0, -2.0)) REQUIRE((v >= -3.0 && v < -2.0));
}

TEST_CASE("random: normal numbers have the moments and the distribution of N(0, 1)", "[core]") {
  constexpr Index n = 1 << 18;
  const double unit = 5 / std::sqrt(static_cast<double>(n));
  auto check = [&](const auto& x) {
    CHECK(std::abs(moment(x, 1)) < unit);
    CHECK(std::abs(moment(x, 2) - 1) < unit * std::sqrt(2.0));   // var z^2 = 3 - 1
    CHECK(std::abs(moment(x, 3)) < unit * std::sqrt(15.0));      // E z^6
    CHECK(std::abs(moment(x, 4) - 3) < unit * std::sqrt(96.0));  // E z^8 - 9
    CHECK(kolmogorov(x, [](double v) { return std::erfc(-v / std::sqrt(2.0)) / 2; }) < 2.5);
    double product = 0;  // the two of a pair are independent
    for (std::size_t i = 0; i < x.size(); i += 2) product += static_cast<double>(x[i]) * x[i + 1];
    CHECK(std::abs(product / (n / 2)) < unit * std::sqrt(2.0));
  };
  check(normal<float>(key, n));
  check(normal<double>(key, n));
}

TEST_CASE("random: normal numbers are within 1 ULP (f32) and 4 ULP (f64) of Box and Muller's",
          "[core]") {
  constexpr int n = 1 << 14;
  auto x = normal<float>(key, n);
  auto y = normal<double>(key, n);
  long double worst32 = 0, worst64 = 0;
  // cos and sin of 2 pi u through the nearest quarter turn, so that the reference keeps its own
  // precision.
  auto check = [](long double u1, long double u2, auto c, auto s, int digits, long double& worst) {
    const long double quarter = std::floor(4 * u2 + 0.5L), pi = std::acos(-1.0L);
    const long double angle = (4 * u2 - quarter) * pi / 2, r = std::sqrt(-2 * std::log(u1));
    const long double a = r * std::cos(angle), b = r * std::sin(angle),
                      exact[5] = {a, -b, -a, b, a};
    const int q = static_cast<int>(quarter) % 4;
    const long double sines[4] = {b, a, -b, -a};
    for (auto [got, want] : {std::pair<long double, long double>{c, exact[q]}, {s, sines[q]}}) {
      if (want == 0) continue;
      worst =
          std::max(worst, std::abs(got - want) / std::ldexp(1.0L, std::ilogb(want) + 1 - digits));
    }
  };
  for (std::size_t i = 0; i < n; i += 2) {
    Words w = key.words(i / 4), v = key.words(i / 2);
    int at = static_cast<int>(i % 4);
    check((w[at] + 1.0L) * 0x1p-32L, w[at + 1] * 0x1p-32L, x[i], x[i + 1], 24, worst32);
    auto unit = [](std::uint32_t low, std::uint32_t high) {
      return static_cast<long double>((std::uint64_t{high} << 32 | low) >> 11) * 0x1p-53L;
    };
    check(unit(v[0], v[1]) + 0x1p-53L, unit(v[2], v[3]), y[i], y[i + 1], 53, worst64);
  }
  CHECK(worst32 <= 1);
  CHECK(worst64 <= 4);
}

TEST_CASE("random: a pair alone equals the same pair in a fill, up to the last bit", "[core]") {
  auto x = normal<float>(key, 400);
  detail::Normal<float> z{0, 1};
  for (std::size_t i = 0; i < 400; i += 2) {
    Words w = key.words(i / 4);
    float a = 0, b = 0;
    z.pair(w.w + i % 4, a, b);
    REQUIRE(std::abs(a - x[i]) <= std::abs(a) * 0x1p-23f);
    REQUIRE(std::abs(b - x[i + 1]) <= std::abs(b) * 0x1p-23f);
  }
}

TEST_CASE("random: integers fill their range evenly", "[core]") {
  constexpr Index n = 1 << 17;
  std::vector<std::int64_t> x(n);
  fill_integers(key, 0, n, x.data(), -3, 94);
  std::vector<int> counts(97);
  for (auto v : x) {
    REQUIRE((v >= -3 && v < 94));
    ++counts[static_cast<std::size_t>(v + 3)];
  }
  CHECK(plausible(chi_square(counts, n / 97.0), 96));
  constexpr auto least = std::numeric_limits<std::int64_t>::min(),
                 most = std::numeric_limits<std::int64_t>::max();
  fill_integers(key, 0, n, x.data(), least, most);
  double negative =
      static_cast<double>(std::count_if(x.begin(), x.end(), [](auto v) { return v < 0; }));
  CHECK(std::abs(negative - n / 2.0) < 5 * std::sqrt(n / 4.0));
  STATIC_REQUIRE(detail::multiply_high(~std::uint64_t{0}, ~std::uint64_t{0}) ==
                 ~std::uint64_t{0} - 1);
  STATIC_REQUIRE(detail::multiply_high(0x123456789abcdef0, std::uint64_t{1} << 60) ==
                 0x0123456789abcdef);
}

TEST_CASE("random: a permutation holds each number once", "[core]") {
  for (Index n : {0, 1, 2, 100, 5000}) {
    std::vector<std::int64_t> p(static_cast<std::size_t>(n));
    permutation(key, n, p.data());
    std::sort(p.begin(), p.end());
    for (Index i = 0; i < n; ++i) REQUIRE(p[static_cast<std::size_t>(i)] == i);
  }
}

TEST_CASE("random: all 24 orders of four are equally likely", "[core]") {
  std::vector<int> counts(256);
  Rng rng(5);
  constexpr int draws = 24000;
  for (int i = 0; i < draws; ++i) {
    std::int64_t p[4];
    permutation(rng.next(), 4, p);
    ++counts[static_cast<std::size_t>(p[0] + 4 * p[1] + 16 * p[2] + 64 * p[3])];
  }
  counts.erase(std::remove(counts.begin(), counts.end(), 0), counts.end());
  REQUIRE(counts.size() == 24);
  CHECK(plausible(chi_square(counts, draws / 24.0), 23));
}

TEST_CASE("random: streams depend on names, not on order, and a path may be walked in steps",
          "[core]") {
  constexpr Rng rng(7);
  STATIC_REQUIRE(rng.seed() == 7);
  STATIC_REQUIRE(rng.stream("hidden").stream("weight").seed() ==
                 rng.stream("hidden.weight").seed());
  STATIC_REQUIRE(rng.stream("a").seed() != rng.stream("b").seed());
  STATIC_REQUIRE(rng.stream("a").seed() != Rng(8).stream("a").seed());
  Rng drawn(7);
  (void)drawn.next();
  CHECK(drawn.stream("a").seed() == rng.stream("a").seed());
  CHECK(drawn.next().call == 1);
  drawn.set_calls((std::uint64_t{1} << 24) + 9);
  RandomKey k = drawn.next();
  CHECK((k.position == 1 && k.call == 9));
}

TEST_CASE("random: wrong arguments are errors that say what is wrong", "[core]") {
  float x[1];
  std::int64_t i[1];
  auto code = [](auto f) {
    try {
      f();
    } catch (const Error& e) {
      return static_cast<int>(e.code());
    }
    return 0;
  };
  CHECK(code([&] { fill_uniform(key, 0, 1, x, 2.0f, 1.0f); }) == Error::value);
  CHECK(code([&] { fill_uniform(key, 0, 1, x, 0.0f, NAN); }) == Error::value);
  CHECK(code([&] { fill_uniform(key, -1, 1, x); }) == Error::value);
  CHECK(code([&] { fill_uniform(key, Index{1} << 42, 1, x); }) == Error::value);
  CHECK(code([&] { fill_normal(key, 0, 1, x, 0, -1); }) == Error::value);
  CHECK(code([&] { fill_integers(key, 0, 1, i, 3, 3); }) == Error::value);
}

}  // namespace random_test
