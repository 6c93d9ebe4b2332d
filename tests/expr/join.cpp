// SPDX-License-Identifier: Apache-2.0
// Joining is the same however many operands there are: few go a short way, many or unlike ones a
// long one.
#include <tenon/expr/map.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {
// x + x + ... of n terms, one statement.
template <int N, class X>
auto terms(const X& x) {
  if constexpr (N == 2) return x + x;
  else return terms<N - 1>(x) + x;
}
// ((x * 1 + 1) * 1 + 1) ... of n numbers.
template <int N, class X>
auto numbers(const X& x) {
  if constexpr (N == 1) return x + 1;
  else return numbers<N - 1>(x) + 1;
}
// f(std::integral_constant<int, N>{}) for N from First to Last.
template <int First, int Last, class F>
void each(const F& f) {
  f(std::integral_constant<int, First>{});
  if constexpr (First < Last) each<First + 1, Last>(f);
}
// 0, 1, 2, ...: sums of them are exact.
template <class T, class S>
Tensor<T, S> iota(std::initializer_list<Index> e) {
  return Tensor<T, S>(made(dtype_of<T>, extents(e), [](Index i) { return i; }));
}
template <class X>
void check_joins(const X& x) {
  const auto scaled = [&](double by, double plus) {
    std::vector<double> v = values(x);
    for (double& e : v) e = e * by + plus;
    return v;
  };
  each<2, 9>([&](auto n) {
    AnyTensor y;
    const auto c = counted([&] { y = terms<decltype(n)::value>(x).value(); });
    CHECK(c.forward == 1);
    CHECK(c.single == 0);
    CHECK(values(y) == scaled(n, 0));
    CHECK(values(Tensor(numbers<decltype(n)::value>(x))) == scaled(1, n));
    const auto g =
        value_and_gradients([](const auto& t) { return terms<decltype(n)::value>(t); }, x);
    const AnyTensor seed = spread(x.any().dtype(), g[0].extents(), 77, 0.5, 1.5);
    std::vector<double> expected = values(seed);
    for (double& e : expected) e *= n;
    CHECK(distance(values(g[1]), expected) <= 1e-15 * n);
  });
}
}  // namespace

TEST_CASE("statements of any number of operands are one kernel, static and dyn") {
  for (Index n : {0, 1, 5}) {
    check_joins(iota<double, Shape<dyn>>({n}));
    check_joins(iota<double, Shape<dyn, 3>>({n, 3}));
  }
  check_joins(iota<double, Shape<2, 3>>({2, 3}));
  check_joins(iota<double, Shape<>>({}));
}

TEST_CASE("what does not broadcast is said alike by few operands and by many") {
  using Vector = Tensor<float, Shape<dyn>>;
  using Matrix = Tensor<float, Shape<dyn, dyn>>;
  const Vector three = spread<float, Shape<dyn>>(1, {3}), four = spread<float, Shape<dyn>>(2, {4});
  const Matrix m = spread<float, Shape<dyn, dyn>>(3, {2, 4});
  const auto column = spread<float, 2, 1>(4);
  const auto says = [](const char* text) { return ContainsSubstring(text); };
  CHECK_THROWS_WITH(three + four,
                    says("add: operands do not broadcast on axis 0: [3] and [4] (3 vs 4)"));
  CHECK_THROWS_WITH(terms<7>(three) * four,
                    says("multiply: operands do not broadcast on axis 0: [3] and [4] (3 vs 4)"));
  CHECK_THROWS_WITH(three - m,
                    says("subtract: operands do not broadcast on axis 1: [3] and [2, 4] (3 vs 4)"));
  CHECK_THROWS_WITH(terms<7>(m) - three,
                    says("subtract: operands do not broadcast on axis 1: [2, 4] and [3] (4 vs 3)"));
  CHECK_THROWS_WITH(where(column, three, four),
                    says("where: operands do not broadcast on axis 1: [2, 3] and [4] (3 vs 4)"));
  CHECK_THROWS_WITH(where(three, 1.0, four), says("axis 0: [3] and [4] (3 vs 4)"));
  // The axis is one of the extents that are named, and these are what stood there before.
  const auto cube = spread<float, Shape<dyn, dyn, dyn>>(5, {2, 2, 3});
  CHECK_THROWS_WITH(lerp(three, four, cube), says("axis 0: [3] and [4] (3 vs 4)"));
  const auto row = spread<float, Shape<1, dyn>>(6, {1, 3});
  CHECK_THROWS_WITH(row + m, says("axis 1: [1, 3] and [2, 4] (3 vs 4)"));
  CHECK(Tensor(terms<7>(column) + three).any().extents() == extents({2, 3}));
  CHECK(Tensor(terms<7>(three) * column).any().extents() == extents({2, 3}));
}

TEST_CASE("a tensor whose rank is not that of its type joins by its own extents") {
  auto y = spread<double, Shape<dyn>>(1, {3});
  y.any() = spread(Dtype::f64, extents({2, 2, 1, 1, 1, 2, 2, 3}), 2);
  const auto one = spread<double, 1>(3);
  const std::vector<double> own = values(y);
  CHECK(values(Tensor(y * one)).size() == own.size());
  CHECK(values(Tensor(one * 1 * 1 * 1 * 1 * 1 * 1 * y)).size() == own.size());
}

TEST_CASE("numbers of any type are operands without a warning") {
  const auto x = spread<double, Shape<dyn>>(1, {3});
  const std::int64_t n = 5;
  const long double l = 2;
  const unsigned long u = 7;
  const std::vector<double> v = values(x);
  CHECK(values(Tensor((x + n) * l / u - true))[0] == (v[0] + 5) * 2 / 7 - 1);
  CHECK(values(Tensor(n - (terms<7>(x) * 'a')))[0] == 5 - (terms<7>(v[0])) * 97);
  CHECK(values(Tensor(clamp(x, -n, l)))[0] == std::min(std::max(v[0], -5.0), 2.0));
}

TEST_CASE("an operand without a value is an error of the operation that joins it") {
  Tensor<float, Shape<dyn>> none;
  const auto x = spread<float, Shape<dyn>>(1, {3});
  CHECK_THROWS_WITH(x + none, ContainsSubstring("add: the tensor was never given a value"));
  CHECK_THROWS_WITH(terms<7>(x) * none, ContainsSubstring("multiply: the tensor was never given"));
}

TEST_CASE("an expression built before a tape is a constant to it, however it joins") {
  const auto x = spread<double, 5>(1);
  each<2, 8>([&](auto n) {
    const std::vector<double> before = values(Tensor(terms<decltype(n)::value>(x)));
    auto early = terms<decltype(n)::value>(x);
    Tape tape;
    const Tensor y = std::move(early) * x;
    const AnyTensor wrt[] = {x.any()}, seed = spread(Dtype::f64, extents({5}), 2, 1, 1);
    AnyTensor g[1];
    tape.gradient(y.any(), wrt, g, seed);
    CHECK(values(g[0]) == before);
  });
}

TEST_CASE("moving an expression of many operands into a statement twice is an error") {
  const auto x = spread<double, 3>(1);
  each<2, 8>([&](auto n) {
    auto e = terms<decltype(n)::value>(x);
    CHECK_THROWS_AS(Tensor(std::move(e) + std::move(e)), Error);
  });
  CHECK(x.any().get()->references.load(Order::relaxed) == 1);
}

TEST_CASE("operands are held until the value is known and no longer") {
  const auto x = spread<double, Shape<dyn>>(1, {3});
  const auto other = spread<double, Shape<dyn>>(2, {4});
  const auto held = [&] {
    return static_cast<int>(x.any().get()->references.load(Order::relaxed)) - 1;
  };
  each<2, 8>([&](auto n) {
    {
      auto e = terms<decltype(n)::value>(x);
      CHECK(held() == n);
      auto moved = std::move(e) * 2;
      CHECK(held() == n);
      moved.value();
      CHECK(held() == 0);
    }
    { [[maybe_unused]] auto dropped = terms<decltype(n)::value>(x) + 1; }
    CHECK(held() == 0);
    CHECK_THROWS_AS(terms<decltype(n)::value>(x) + other, Error);
    CHECK(held() == 0);
  });
}
