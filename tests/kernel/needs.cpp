// SPDX-License-Identifier: Apache-2.0
// What backward needs, and that it makes no difference whether forward left it or backward computes
// it anew.
#include <tenon/kernel/needs.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {

// The description of the statement that f makes of vectors.
template <class F, class... Xs>
const StatementInfo& info_of(const F& f, const Xs&... x) {
  using E = decltype(f(x...));
  using G = typename expr::Lowering<typename E::tree>::group;
  return expr::statement_info(expr::GroupTag<G, double, false>{});
}
Tensor<double, Shape<dyn>> numbers(Index n, unsigned seed) {
  return Tensor<double, Shape<dyn>>(spread(Dtype::f64, Extents{1, {n}}, seed, 0.5, 1.5));
}

}  // namespace

TEST_CASE("results of exp, tanh and the like that backward names are worth keeping") {
  const auto x = numbers(3, 1), y = numbers(3, 2);
  auto of = [&](auto f) {
    const StatementInfo& i = info_of(f, x, y);
    return std::pair<int, bool>(i.kept_values, i.keeps_result);
  };
  using Pair = std::pair<int, bool>;
  CHECK(of([](auto& x, auto& y) { return x * y + 1; }) == Pair(0, false));
  CHECK(of([](auto& x, auto& y) { return tanh(x + y); }) == Pair(1, true));
  CHECK(of([](auto& x, auto& y) { return tanh(x) * y; }) == Pair(1, false));
  CHECK(of([](auto& x, auto& y) { return tanh(x) * sigmoid(y); }) == Pair(2, false));
  CHECK(of([](auto& x, auto& y) { return tanh(exp(x) * y); }) == Pair(2, false));
  // Nobody reads the logarithm; the product reads it.
  CHECK(of([](auto& x, auto& y) { return log(x) + y; }) == Pair(0, false));
  CHECK(of([](auto& x, auto& y) { return log(x) * y; }) == Pair(1, false));
  CHECK(of([](auto& x, auto& y) { return sum(exp(x) * y, axis<0>); }) == Pair(0, false));
}

TEST_CASE("gradients have the same bits whether forward left its values or not") {
  auto bits = [](const AnyTensor& t, Index n) {
    const AnyTensor c = t.to_contiguous();
    const double* p = c.data<double>();
    return std::vector<double>(p, p + n);
  };
  auto each = [&](auto f) {
    // Long vectors compute anew; the first n of them alone keep, from 128 on.
    const Index all = kernel::detail::tile + 77;
    const auto x = numbers(all, 1), y = numbers(all, 2);
    const auto whole = value_and_gradients(f, x, y);
    for (Index n : {1, 7, 127, 128, 129, 1000, 4096}) {
      CAPTURE(n);
      const Tensor<double, Shape<dyn>> a(x(slice(0, n)).any().to_contiguous().clone()),
          b(y(slice(0, n)).any().to_contiguous().clone());
      const AnyTensor wrt[] = {a.any(), b.any()},
                      seed = spread(Dtype::f64, Extents{1, {all}}, 77, 0.5, 1.5);
      AnyTensor g[2];
      const std::int64_t before = memory::statistics().live;
      {
        Tape tape;
        Tensor<double, Shape<dyn>> z = f(a, b);
        const Tensor<double, Shape<dyn>> long_seed(seed);
        const AnyTensor short_seed = long_seed(slice(0, n)).any().to_contiguous();
        tape.gradient(z.any(), wrt, g, short_seed);
        CHECK(bits(z.any(), n) == bits(whole[0], n));
      }
      CHECK(bits(g[0], n) == bits(whole[1], n));
      CHECK(bits(g[1], n) == bits(whole[2], n));
      g[0].reset(), g[1].reset();
      CHECK(memory::statistics().live == before);
    }
  };
  each([](const auto& x, const auto& y) { return tanh(x * y + x); });
  each([](const auto& x, const auto& y) { return tanh(x) * sigmoid(y) + x; });
  each([](const auto& x, const auto& y) { return exp(-x) * tanh(exp(x) * y) * sqrt(y) - 2; });
}

TEST_CASE("kernels may be switched between forward and backward") {
  const auto x = spread<double, 5, 7>(1), y = spread<double, 5, 7>(2);
  auto check = [&](auto f) {
    const auto expected = value_and_gradients(f, x, y);
    const AnyTensor wrt[] = {x.any(), y.any()},
                    seed = spread(Dtype::f64, expected[0].extents(), 77, 0.5, 1.5);
    for (bool first : {true, false}) {
      AnyTensor g[2];
      Tape tape;
      use_compiled_kernels(first);
      Tensor z = f(x, y);
      use_compiled_kernels(!first);
      tape.gradient(z.any(), wrt, g, seed);
      use_compiled_kernels(true);
      CHECK(distance(g[0], expected[1]) <= 1e-13);
      CHECK(distance(g[1], expected[2]) <= 1e-13);
    }
  };
  check([](const auto& x, const auto& y) { return tanh(x) * sigmoid(y); });
  check([](const auto& x, const auto& y) { return logsumexp(x * y, axis<1>); });
  check([](const auto& x, const auto& y) { return sum(x * y, axis<0>); });
  check([](const auto& x, const auto& y) { return mean(exp(x) - y, axis<1>); });
  check([](const auto& x, const auto& y) { return square(x - mean(x * y, axis<1>, keepdims)); });
}

TEST_CASE("what was left is what the statement gave, whatever is written afterwards") {
  const Index n = 500;
  auto x = numbers(n, 1);
  const AnyTensor was[] = {x.any()};
  const AnyTensor ones = spread(Dtype::f64, Extents{1, {n}}, 5, 1, 1);
  const std::vector<double> expected = values(2 * exp(2 * x));
  AnyTensor g[1];
  Tape tape;
  Tensor y = exp(x);
  Tensor z = y * y;
  for (auto* t : {&x, &y}) {
    auto w = t->write();
    for (double& e : w) e = 0;
  }
  tape.gradient(z.any(), was, g, ones);
  CHECK(distance(values(Tensor<double, Shape<dyn>>(g[0])), expected) <= 1e-13);
}
