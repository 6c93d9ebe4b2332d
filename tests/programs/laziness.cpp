// SPDX-License-Identifier: Apache-2.0
// Programs in which it must not be visible when an expression is computed: moved, printed, paused,
// outlived.
#include <tenon/tape/tape.hpp>

#include <optional>
#include <tuple>
#include <utility>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace {
using M = Tensor<double, Shape<3, 4>>;

/// dL/dx by hand for L = sum(square(tanh(x w))).
std::vector<double> by_hand(const M& x, const M& w) {
  std::vector<double> g, a = values(x), b = values(w);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double t = std::tanh(a[i] * b[i]);
    g.push_back(2 * t * (1 - t * t) * a[i]);  // by w
  }
  return g;
}

template <class X, class W>
auto residual(X&& x, const W& w) {
  auto y = tanh(x * w);
  return y + std::forward<X>(x);
}
}  // namespace

TEST_CASE(
    "a residual whose argument is forwarded late is right for tensors, names and temporaries") {
  const auto x = spread<double, 3, 4>(1), w = spread<double, 3, 4>(2);
  std::vector<double> want, slope;
  for (std::size_t i = 0; i < 12; ++i) {
    const double a = 2 * values(x)[i], b = values(w)[i], t = std::tanh(a * b);
    want.push_back(t + a);
    slope.push_back(2 * ((1 - t * t) * b + 1));
  }
  CHECK(distance(values(residual(x * 2, w)), want) <= 1e-15);
  auto named = x * 2;
  CHECK(distance(values(residual(named, w)), want) <= 1e-15);
  Tape tape;
  Tensor loss = sum(residual(x * 2, w));
  CHECK(distance(values(tape.gradient(loss, x)), slope) <= 1e-14);
}

TEST_CASE("a name that is first read while paused keeps its gradient") {
  const auto x = spread<double, 3, 4>(1), w = spread<double, 3, 4>(2);
  Tape tape;
  auto h = tanh(x * w);
  {
    Paused p;
    CHECK(values(h).size() == 12);
  }
  Tensor loss = sum(square(h));
  CHECK(distance(values(tape.gradient(loss, w)), by_hand(x, w)) <= 1e-14);
}

TEST_CASE("a name that is first read inside an inner tape keeps its gradient on the outer one") {
  const auto x = spread<double, 3, 4>(1), w = spread<double, 3, 4>(2);
  Tape tape;
  auto h = tanh(x * w);
  {
    Tape inner;
    Tensor other = sum(h * 3);
    CHECK_THROWS_AS(inner.gradient(h.value(), w), Error);
  }
  Tensor loss = sum(square(h));
  CHECK(distance(values(tape.gradient(loss, w)), by_hand(x, w)) <= 1e-14);
}

TEST_CASE(
    "a temporary built while paused and joined outside is a constant, element-wise or a product") {
  const auto x = spread<double, 3, 4>(1), w = spread<double, 3, 4>(2);
  const auto v = spread<double, 4, 3>(3);
  auto paused = [&] {
    Paused p;
    return tanh(x * w);
  };
  auto paused_product = [&] {
    Paused p;
    return matmul(x, v);
  };
  {
    Tape tape;
    Tensor loss = sum(w * paused());
    CHECK(distance(values(tape.gradient(loss, w)), values(tanh(x * w))) <= 1e-15);
  }
  Tape tape;
  Tensor loss = sum(relu(paused_product()) + sum(v * v));
  CHECK(distance(values(tape.gradient(loss, v)), values(18 * v)) <= 1e-13);
}

TEST_CASE(
    "what is built while paused from a temporary of the tape is a constant, the temporary is not") {
  const auto x = spread<double, 3, 4>(1);
  const auto v = spread<double, 4, 3>(3);
  Tape tape;
  auto p = matmul(x, v);
  auto q = matmul(x, v);
  auto h = [&] {
    Paused scope;
    return std::move(p) * 2;
  }();
  auto total = [&] {
    Paused scope;
    return sum(std::move(q));
  }();
  Tensor loss = sum(matmul(x, v) * 2) + sum(h) * total;
  std::vector<double> want;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 3; ++j) {
      double s = 0;
      for (int r = 0; r < 3; ++r) s += 2 * values(x)[static_cast<std::size_t>(4 * r + i)];
      want.push_back(s);
    }
  CHECK(distance(values(tape.gradient(loss, v)), want) <= 1e-14);
}

TEST_CASE(
    "an expression that outlives its tape is a constant under a new tape at the same address") {
  const auto x = spread<double, 3, 4>(1), w = spread<double, 3, 4>(2);
  std::optional<Tape> tape;
  tape.emplace();
  auto h = tanh(x * w);
  tape.reset();
  tape.emplace();
  Tensor loss = sum(w * h);
  CHECK(distance(values(tape->gradient(loss, w)), values(tanh(x * w))) <= 1e-15);
}

TEST_CASE("expressions live in optional, tuple and vector, are returned by value and captured") {
  const auto x = spread<double, 3, 4>(1), w = spread<double, 3, 4>(2);
  const std::vector<double> want = values(tanh(x * w));
  auto make = [&] { return tanh(x * w); };
  Tape tape;
  std::vector<decltype(make())> list;
  list.push_back(make());
  list.push_back(make());
  list.resize(1);
  std::optional<decltype(make())> maybe(make());
  std::tuple<decltype(make()), int> pair(make(), 1);
  auto captured = [h = make()] { return h * 1.0; };
  auto& [first, second] = pair;
  CHECK(values(list[0]) == want);
  CHECK(values(*maybe) == want);
  CHECK(values(first) == want);
  CHECK(second == 1);
  CHECK(values(captured()) == want);
  Tensor loss =
      sum(square(list[0])) + sum(square(*maybe)) + sum(square(first)) + sum(square(captured()));
  std::vector<double> four = by_hand(x, w);
  for (double& g : four) g *= 4;
  CHECK(distance(values(tape.gradient(loss, w)), four) <= 1e-14);
}

TEST_CASE("`Tensor h = ...` goes through loops and choices") {
  const auto x = spread<double, 3, 4>(1);
  Tensor h = x * 1;
  std::vector<double> want = values(x);
  for (int i = 0; i < 3; ++i) {
    h = h + tanh(h);
    for (double& v : want) v += std::tanh(v);
  }
  CHECK(distance(values(h), want) <= 1e-14);
  for (bool c : {true, false}) {
    Tensor y = c ? Tensor(exp(x)) : -x;
    CHECK(distance(values(y), c ? values(exp(x)) : values(-x)) == 0);
  }
}
