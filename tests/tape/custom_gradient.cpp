// SPDX-License-Identifier: Apache-2.0
// custom_gradient: the user's backward is what the tape uses, once, with what it was promised.
#include <tenon/tape/custom_gradient.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {
struct Pair {
  Tensor<double, Shape<3>> a, b;
  int settings = 4;
};
Pair pair() { return {spread<double, 3>(1), spread<double, 3>(2)}; }
}  // namespace

TEST_CASE("the user's gradient replaces the one of forward, value unchanged") {
  const auto x = spread<double, 3>(1);
  const auto f = custom_gradient([](const auto& x) { return round(x * 10); },
                                 [](const auto&, const auto& dy) { return dy * 7; });
  CHECK(same_bits(Tensor(f(x)).any(), Tensor(round(x * 10)).any()));  // without a tape
  Tape tape;
  Tensor y = f(x);
  CHECK(same_bits(y.any(), Tensor(round(x * 10)).any()));
  CHECK(distance(values(tape.gradient(Tensor(sum(y * x)), x)), values(7 * x + y)) <= 1e-14);
}

TEST_CASE("backward takes the value where it has a place for it, and is called once for a use") {
  const auto x = spread<double, 3>(1);
  static int calls = 0;
  const auto f = custom_gradient([](const auto& x) { return exp(x); },
                                 [](const auto&, const auto& y, const auto& dy) {
                                   ++calls;
                                   return y * dy;
                                 });
  CHECK_NOTHROW(gradcheck(f, x));
  calls = 0;
  Tape tape;
  Tensor y = f(x);
  Tensor unused = f(x);
  (void)tape.gradient(Tensor(sum(y * y)), x);
  CHECK(calls == 1);
}

TEST_CASE("several arguments: a tuple of gradients for those that have parameters") {
  const auto x = spread<double, 4, 3>(1), w = spread<double, 4, 3>(2);
  const auto label = tensor<std::int64_t>({0, 2, 1, 2});
  const auto f = custom_gradient(
      [](const auto& x, const auto&, double scale, const auto& w) { return x * w * scale; },
      [](const auto& x, const auto& label, double scale, const auto& w, const auto& dy) {
        CHECK(label.size() == 4);
        return std::tuple{dy * w * scale, dy * x * scale};
      });
  CHECK_NOTHROW(gradcheck([&](const auto& x, const auto& w) { return f(x, label, 0.5, w); }, x, w));
  Tape tape;
  Tensor loss = sum(f(x, label, 0.5, x));
  CHECK(distance(values(tape.gradient(loss, x)), values(x)) <= 1e-15);
}

TEST_CASE("a model as an argument has a model as its gradient") {
  const Pair p = pair();
  const auto f = custom_gradient([](const Pair& p) { return p.a * p.b; },
                                 [](const Pair& p, const auto& dy) {
                                   return Pair{Tensor(dy * p.b * 2), Tensor(dy * p.a * 3)};
                                 });
  Tape tape;
  const Pair g = tape.gradient(Tensor(sum(f(p))), p);
  CHECK(distance(values(g.a), values(2 * p.b)) <= 1e-15);
  CHECK(distance(values(g.b), values(3 * p.a)) <= 1e-15);
}

TEST_CASE("second derivatives differentiate the user's backward") {
  const auto x = spread<double, 3>(1);
  const auto value =
      custom_gradient([](const auto& x) { return exp(x); },
                      [](const auto&, const auto& y, const auto& dy) { return y * dy; });
  const auto operand =
      custom_gradient([](const auto& x) { return x * x * x; },
                      [](const auto& x, const auto& dy) { return 3 * x * x * dy; });
  CHECK_NOTHROW(gradcheck_second([&](const auto& x) { return value(x) * x; }, x));
  CHECK_NOTHROW(gradcheck_second([&](const auto& x) { return operand(sin(x)); }, x));
}

TEST_CASE("a function that returns its argument: gradients scaled on their way back") {
  const auto x = spread<double, 3>(1);
  const auto reversed = custom_gradient([](const auto& x) { return x; },
                                        [](const auto&, const auto& dy) { return -dy; });
  Tape tape;
  Tensor y = reversed(x * 2);
  CHECK(values(tape.gradient(Tensor(sum(y * y)), x)) == values(-8 * x));
}

TEST_CASE(
    "storage types: dy and the gradient are in the compute type, or the gradient in x's own") {
  const auto x = spread<bf16, 5>(1);
  const auto f =
      custom_gradient([](const auto& x) { return x * 2; },
                      [](const auto&, const Tensor<float, Shape<5>>& dy) { return dy * 2; });
  const auto g = custom_gradient([](const auto& x) { return x * 2; },
                                 [](const auto&, const auto& dy) { return cast<bf16>(dy * 2); });
  Tape tape;
  Tensor loss = sum(f(x));
  CHECK(values(tape.gradient(loss, x, AfterGradient::keep)) == std::vector<double>(5, 2));
  Tensor other = sum(g(x));
  CHECK(values(tape.gradient(other, x)) == std::vector<double>(5, 2));
}

TEST_CASE("erased tensors and captures, which are constants") {
  const AnyTensor x = spread<double, 3>(1).any();
  const auto scale = spread<double, 3>(2);
  const auto f =
      custom_gradient([scale](const AnyTensor& x) { return Tensor<double, Shape<3>>(x) * scale; },
                      [scale](const AnyTensor&, const auto& dy) { return dy * scale; });
  Tape tape;
  Tensor loss = sum(f(x));
  AnyTensor wrt[] = {x, scale.any()}, g[2];
  tape.gradient(loss.any(), wrt, g);
  CHECK(values(g[0]) == values(scale));
  CHECK(values(g[1]) == std::vector<double>(3, 0));
}

TEST_CASE("a gradient that does not fit its argument is an error that names it") {
  const auto x = spread<double, 3>(1), w = spread<double, 3>(2);
  const auto shape = custom_gradient([](const auto& x, const auto& w) { return x * w; },
                                     [](const auto& x, const auto&, const auto& dy) {
                                       return std::tuple{dy * x, tensor<double>({1, 2})};
                                     });
  const auto type = custom_gradient([](const auto& x) { return x * 1; },
                                    [](const auto&, const auto& dy) { return cast<float>(dy); });
  const auto code = [&](auto y, const char* text) -> int {
    Tape tape;
    Tensor loss = sum(y());
    try {
      (void)tape.gradient(loss, x);
    } catch (const Error& e) {
      CHECK_THAT(e.what(), ContainsSubstring(text));
      return e.code();
    }
    return 0;
  };
  CHECK(code([&] { return shape(x, w); },
             "custom_gradient: the gradient of argument 1 is [2], the argument [3]") ==
        Error::shape);
  CHECK(code([&] { return type(x); }, "the gradient of argument 0 holds f32, the argument f64") ==
        Error::dtype);
}

TEST_CASE("a gradient of the tape that is running backwards is an error, and the tape goes on") {
  const auto x = spread<double, 3>(1);
  static Tape* running = nullptr;
  const auto f = custom_gradient([](const auto& x) { return x * x; },
                                 [](const auto& x, const auto& dy) {
                                   Tensor y = x * 2.0;
                                   CHECK_THROWS_WITH(running->gradient(Tensor(sum(y)), x),
                                                     ContainsSubstring("already running"));
                                   return dy * y;
                                 });
  Tape tape;
  running = &tape;
  Tensor loss = sum(f(x) * x);
  CHECK(distance(values(tape.gradient(loss, x)), values(3.0 * x * x)) <= 1e-14);
}
