// SPDX-License-Identifier: Apache-2.0
// fuse: one group, right and counted; what it reads of names, literals and repeated subexpressions.
#include <tenon/expr/fuse.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {
constexpr auto layer_norm = [](auto x, auto gamma, auto beta) {
  auto d = x - mean(x, axis<-1>, keepdims);
  return d * rsqrt(mean(d * d, axis<-1>, keepdims) + 1e-5) * gamma + beta;
};
constexpr auto entropy = [](auto x, auto label) { return logsumexp(x, axis<-1>) - pick(x, label); };
}  // namespace

TEST_CASE("layer normalisation is one kernel each way, and right for rows of any length") {
  const Index n = GENERATE(1, 7, 8, 15, 16, 17, 1000, 5000);
  const auto x = spread<double, Shape<dyn, dyn>>(1, {3, n});
  const auto g = spread<double, Shape<dyn>>(2, {n}), b = spread<double, Shape<dyn>>(3, {n});
  const auto f = [](const auto& x, const auto& g, const auto& b) {
    return fuse(layer_norm, x, g, b);
  };
  const auto count = counted([&] { value_and_gradients(f, x, g, b); });
  CHECK(count.forward == 1);
  CHECK(count.backward == 1);
  CHECK(count.single == 0);
  CAPTURE(n);
  CHECK(fused_against_single(1e-9, f, x, g, b) <= 1);
  if (n > 1 && n < 20) CHECK_NOTHROW(gradcheck(f, x, g, b));
  if (n == 7) CHECK_NOTHROW(gradcheck_second(f, x, g, b));
}

TEST_CASE("softmax cross-entropy with a label lookup is one kernel each way") {
  const auto x = spread<double, 4, 10>(1);
  const Tensor<std::int64_t, Shape<4>> label(of(Dtype::i64, extents({4}), {9, 0, 3, 3}));
  const auto f = [&](const auto& x) { return fuse(entropy, x, label); };
  const auto count = counted([&] { value_and_gradients(f, x); });
  CHECK(count.forward == 1);
  CHECK(count.backward == 1);
  CHECK(count.single == 0);
  check_statement(f, x);
  CHECK_NOTHROW(gradcheck_second(f, x));
  const Tensor<std::int64_t, Shape<4>> bad(of(Dtype::i64, extents({4}), {9, 10, 3, 3}));
  CHECK_THROWS_WITH(fuse(entropy, x, bad),
                    ContainsSubstring("label 10 at position 1 is out of range for 10 classes"));
}

TEST_CASE("literals that differ stay apart, also in sign of zero; equal ones are one") {
  const auto x = spread<double, 5>(1);
  CHECK(values(fuse([](auto x) { return x * 2 + x * 3; }, x)) == values(x * 2 + x * 3));
  const Tensor<double, Shape<1>> one(of(Dtype::f64, extents({1}), {1}));
  CHECK(values(fuse([](auto x) { return 1 / (x * 0.0) + x * 0; }, one))[0] == infinity);
  CHECK(values(fuse([](auto x) { return 1 / (x * -0.0) + x * 0; }, one))[0] == -infinity);
  CHECK(values(fuse([](auto x) { return 1 / (x * -0.0) + 1 / (x * 0.0); }, one))[0] !=
        values(fuse([](auto x) { return 1 / (x * 0.0) + 1 / (x * 0.0); }, one))[0]);
}

TEST_CASE("a scalar argument is read at every call") {
  const auto x = spread<double, 5>(1);
  for (double s : {2.0, -3.5})
    CHECK(distance(values(fuse([](auto x, auto s) { return x * s + s; }, x, s)),
                   values(x * s + s)) <= 1e-15);
}

TEST_CASE("names, reductions that drop axes, several axes, leaves broadcast by subsets of axes") {
  const auto x = spread<double, 2, 3, 4>(1);
  check_statement(
      [](const auto& x, const auto& b) {
        return fuse(
            [](auto x, auto b) {
              auto s = sum(x * x, axis<-1>);
              return s * b + s;
            },
            x, b);
      },
      x, spread<double, 3>(2));
  check_statement(
      [](const auto& x, const auto& b) {
        return fuse(
            [](auto x, auto b) {
              auto m = max(x * b, axis<0, 2>, keepdims);
              return exp(x * b - m) * m;
            },
            x, b);
      },
      x, spread<double, 1, 4>(2));
  check_statement(
      [](const auto& x, const auto& b) {
        return fuse([](auto x, auto b) { return mean(square(x - b)); }, x, b);
      },
      x, spread<double, 2, 1, 1>(2));
  check_statement(
      [](const auto& x) {
        return fuse(
            [](auto x) {
              auto m = mean(x, axis<1>, keepdims);
              auto v = mean(square(x - m), axis<1>, keepdims);
              return mean(square(square(x - m) - v), axis<1>);
            },
            x);
      },
      x);
}

TEST_CASE("extents known at run time are compared inside fuse, and a run-time 1 does not stretch") {
  const auto x = spread<float, Shape<dyn, 4>>(1, {3, 4}),
             y = spread<float, Shape<dyn, 4>>(2, {5, 4}),
             one = spread<float, Shape<dyn, 4>>(3, {1, 4});
  const auto add = [](auto x, auto y) { return x * 2 + y; };
  CHECK_THROWS_WITH(fuse(add, x, y), ContainsSubstring("axis 0 (3 vs 5)"));
  CHECK_THROWS_WITH(fuse(add, x, one), ContainsSubstring("axis 0 (3 vs 1)"));
  const auto z = spread<double, Shape<dyn, 10>>(1, {3, 10});
  const auto label = [](std::initializer_list<Index> e) {
    return Tensor<std::int64_t, Shape<dyn>>(made(Dtype::i64, extents(e), [](Index) { return 1; }));
  };
  CHECK_NOTHROW(fuse(entropy, z, label({3})));
  CHECK_THROWS_WITH(fuse(entropy, z, label({1})), ContainsSubstring("(3 vs 1)"));
  CHECK_THROWS_WITH(fuse(entropy, z, label({4})), ContainsSubstring("(3 vs 4)"));
}

TEST_CASE("two arguments whose rows are equal only at run time may be reduced together") {
  const auto x = spread<double, Shape<2, dyn>>(1, {2, 6}),
             y = spread<double, Shape<2, dyn>>(2, {2, 6}),
             z = spread<double, Shape<2, dyn>>(2, {2, 5});
  const auto f = [](const auto& x, const auto& y) {
    return fuse([](auto x, auto y) { return mean(x * x, axis<-1>) + sum(y, axis<-1>); }, x, y);
  };
  check_statement(f, x, y);
  CHECK_THROWS_WITH(f(x, z), ContainsSubstring("(6 vs 5)"));
}
