// SPDX-License-Identifier: Apache-2.0
// The tape's rules: what is recorded, what gradient gives and ends, what it refuses.
#include <tenon/tape/remat.hpp>
#include <tenon/tape/tape.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {
struct Heard final : GradientSink {
  std::vector<int> heard;
  void final(int index, const AnyTensor&) override { heard.push_back(index); }
};
}  // namespace

TEST_CASE(
    "gradient ends the tape: recording and training mode are over, a second gradient is refused") {
  const auto x = spread<double, 3>(1);
  Tape tape;
  CHECK(is_training());
  Tensor loss = sum(x * x);
  CHECK(distance(values(tape.gradient(loss, x)), values(2 * x)) <= 1e-15);
  CHECK_FALSE(is_training());
  CHECK(Context::current().serial == 0);
  CHECK_THROWS_AS(tape.gradient(loss, x), Error);
}

TEST_CASE("a tape that is kept gives the same gradient again") {
  const auto x = spread<double, 3>(1);
  Tape tape;
  Tensor loss = sum(x * tanh(x));
  const auto a = tape.gradient(loss, x, AfterGradient::keep),
             b = tape.gradient(loss, x, AfterGradient::keep);
  CHECK(same_bits(a.any(), b.any()));
  Tensor more = sum(exp(loss * x));
  CHECK_NOTHROW(tape.gradient(more, x));
}

TEST_CASE("the gradient of a loss that was not recorded is an error, of an unused parameter zero") {
  const auto x = spread<double, 3>(1), unused = spread<double, 3>(2);
  Tensor before = sum(x * x);
  Tape tape;
  CHECK_THROWS_WITH(tape.gradient(before, x, AfterGradient::keep),
                    ContainsSubstring("was not recorded"));
  Tensor many = x * x;
  CHECK_THROWS_WITH(tape.gradient(many, x, AfterGradient::keep),
                    ContainsSubstring("more than one element"));
  Tensor loss = sum(many);
  CHECK(values(tape.gradient(loss, unused)) == std::vector<double>(3, 0));
}

TEST_CASE(
    "stop_gradient passes the value and no gradient, and gradcheck finds such a gradient wrong") {
  const auto x = spread<double, 3>(1);
  const auto f = [](const auto& x) { return x * stop_gradient(x); };
  Tape tape;
  Tensor loss = sum(f(x));
  CHECK(values(tape.gradient(loss, x)) == values(x));
  CHECK_THROWS_WITH(gradcheck(f, x),
                    ContainsSubstring("gradcheck: the first derivative by argument 0 at [0]"));
}

TEST_CASE("value_and_grad leaves the caller's tensors alone") {
  const auto x = spread<double, 3>(1), y = spread<double, 3>(2);
  const auto id = x.id();
  const auto [value, g] =
      value_and_grad([](const auto& x, const auto& y) { return sum(x * y); })(x, y);
  CHECK(x.id() == id);
  CHECK(std::fabs(value.item() - sum(x * y).item()) <= 1e-15);
  CHECK(values(g) == values(y));
}

TEST_CASE("an inner tape passes what it sees to the outer one, in either order of ending") {
  const auto x = spread<double, 3>(1);
  Tape outer;
  Tensor<double, Shape<3>> g;
  {
    Tape inner;
    Tensor loss = sum(x * x * x);
    g = inner.gradient(loss, x);
  }
  Tensor second = sum(g);
  CHECK(distance(values(outer.gradient(second, x)), values(6 * x)) <= 1e-14);
}

TEST_CASE("gradients have the parameter's dtype") {
  const auto x = spread<bf16, 5>(1);
  Tape tape;
  Tensor loss = sum(x * 2);
  const auto g = tape.gradient(loss, x);
  CHECK(g.any().dtype() == Dtype::bf16);
  CHECK(values(g) == std::vector<double>(5, 2));
}

TEST_CASE("a sink hears of every gradient once, when it is final") {
  Heard sink;
  const auto x = spread<double, 3>(1), y = spread<double, 3>(2), unused = spread<double, 3>(3);
  Tape tape;
  Tensor h = x * y;
  Tensor loss = sum(h * x);
  AnyTensor wrt[] = {x.any(), y.any(), unused.any()}, g[3];
  tape.gradient(loss.any(), wrt, g, {}, AfterGradient::end, &sink);
  std::sort(sink.heard.begin(), sink.heard.end());
  CHECK(sink.heard == std::vector<int>{0, 1, 2});
  CHECK(distance(values(g[0]), values(2 * x * y)) <= 1e-15);
}

TEST_CASE("a tensor asked for twice has its gradient twice; a sink hears of it once") {
  Heard sink;
  const auto x = spread<double, 3>(1), y = spread<double, 3>(2), unused = spread<double, 3>(3);
  Tape tape;
  Tensor h = x * y;
  Tensor loss = sum(h * h);
  AnyTensor wrt[] = {x.any(), x.any(), unused.any(), y.any(), unused.any()}, g[5];
  tape.gradient(loss.any(), wrt, g, {}, AfterGradient::end, &sink);
  std::sort(sink.heard.begin(), sink.heard.end());
  CHECK(sink.heard == std::vector<int>{0, 2, 3});
  CHECK(distance(values(g[0]), values(2 * x * y * y)) <= 1e-15);
  CHECK(values(g[1]) == values(g[0]));
  CHECK(distance(values(g[3]), values(2 * x * x * y)) <= 1e-15);
  CHECK(values(g[2]) == std::vector<double>(3));
  CHECK(values(g[4]) == values(g[2]));
}

TEST_CASE("a gradient that is the result's own shares its elements; either may be written") {
  const auto x = spread<double, 3>(1), y = spread<double, 3>(2), seed = spread<double, 3>(3);
  auto gradients = [&](auto f, std::initializer_list<AnyTensor> of) {
    Tape tape;
    Tensor z = f();
    std::vector<AnyTensor> g(of.size());
    tape.gradient(z.any(), {of.begin(), of.size()}, g, seed.any());
    return g;
  };
  // Through sums and the first operand of a difference alone, and only where the leaf stands once.
  auto g = gradients([&] { return exp(x) + (y - 2 * x); }, {x.any(), y.any()});
  CHECK(g[1].raw() == seed.any().raw());
  CHECK(g[0].raw() != seed.any().raw());
  const std::vector<double> before = values(seed);
  {
    auto w = g[1].write<double>();
    w[0] = 77;
  }
  CHECK(values(seed) == before);
  g = gradients([&] { return x - y; }, {x.any(), y.any()});
  CHECK(g[0].raw() == seed.any().raw());
  CHECK(values(Tensor<double, Shape<3>>(g[1])) == values(-1 * seed));
  // The same tensor in both places: two gradients are added, and the seed stays what it was.
  g = gradients([&] { return y + y; }, {y.any()});
  CHECK(values(Tensor<double, Shape<3>>(g[0])) == values(2 * seed));
  CHECK(values(seed) == before);
  // A broadcast leaf is summed up.
  const auto one = spread<double>(4);
  g = gradients([&] { return y + one; }, {y.any(), one.any()});
  CHECK(g[0].raw() == seed.any().raw());
  CHECK(g[1].rank() == 0);
}

TEST_CASE("an operand that an operation has twice, among few values and among many") {
  const auto x = spread<double, 3>(1), seed = spread<double, 3>(2);
  for (std::size_t others : {0, 62, 63, 64, 200}) {
    CAPTURE(others);
    std::vector<AnyTensor> wrt;
    for (std::size_t i = 0; i < others; ++i) wrt.push_back(AnyTensor::empty(Dtype::f64, Extents{}));
    wrt.push_back(x.any());
    std::vector<AnyTensor> g(wrt.size());
    Heard sink;
    Tape tape;
    const AnyTensor twice = kernel::add(x.any(), x.any(), Context::current());
    const Tensor<double, Shape<3>> h(twice);
    Tensor y = h * x + h;
    tape.gradient(y.any(), wrt, g, seed.any(), AfterGradient::end, &sink);
    // (2 x) x + 2 x
    CHECK(distance(values(Tensor<double, Shape<3>>(g.back())), values(seed * (4 * x + 2))) <=
          1e-14);
    CHECK(sink.heard.size() == wrt.size());
  }
}

TEST_CASE("an expression whose recording found no memory may be evaluated again") {
  // Backward does not read b, and it is too large to be kept for nothing: a record without its
  // value is made, for which there is no room.
  const Tensor<double, Shape<dyn>> a(spread(Dtype::f64, Extents{1, {2000}}, 1)),
      b(spread(Dtype::f64, Extents{1, {2000}}, 2)), seed(spread(Dtype::f64, Extents{1, {2000}}, 3));
  int failed = 0;
  for (std::int64_t room = 64; room < 64 * 1024; room *= 2) {
    AnyTensor g[1];
    Tape tape;
    auto e = a * a + b;
    memory::set_limit(memory::statistics().live + room);
    try {
      (void)e.value();
    } catch (const Error& error) {
      CHECK(error.code() == Error::memory);
      ++failed;
    }
    memory::set_limit(0);
    Tensor y = e;
    tape.gradient(y.any(), std::array{a.any()}, g, seed.any());
    CHECK(distance(values(Tensor<double, Shape<dyn>>(g[0])), values(seed * (2 * a))) <= 1e-14);
  }
  CHECK((failed > 2 && failed < 10));
}

TEST_CASE("foreign memory that backward does not read is given back at once") {
  static bool given_back = false;
  const auto a = spread<double, 3>(1);
  double numbers[] = {1, 2, 3};
  Tape tape;
  Tensor y = [&] {
    const Tensor<double, Shape<3>> b(
        AnyTensor::adopt(Dtype::f64, Extents{1, {3}}, numbers, [](void*) { given_back = true; }));
    return Tensor(a * a + b);
  }();
  CHECK(given_back);
}

TEST_CASE("a gradient that keeps its tape leaves an inner one recording") {
  const auto a = spread<double, 3>(1), b = spread<double, 3>(2);
  Tape outer;
  Tensor y = a * a;
  Tape inner;
  Tensor z = sum(y);
  CHECK(distance(values(outer.gradient(z, a, AfterGradient::keep)), values(2 * a)) <= 1e-15);
  Tensor w = sum(a * b);
  CHECK(distance(values(inner.gradient(w, a)), values(b)) <= 1e-15);
}

TEST_CASE("memory of a sink that nothing flows into is no gradient") {
  struct Lends final : GradientSink {
    AnyTensor memory(int) override { return spread(Dtype::f64, Extents{1, {3}}, 9, 5, 6); }
    void final(int, const AnyTensor& g) override { last = g; }
    AnyTensor last;
  } sink;
  const auto a = spread<double, 3>(1), b = spread<double, 3>(2);
  AnyTensor g[1];
  Tape tape;
  Tensor y = remat([](const auto&) { return zeros<double>(Shape<3>{}); })(a);
  Tensor loss = sum(y * b);
  tape.gradient(loss.any(), std::array{a.any()}, g, {}, AfterGradient::end, &sink);
  CHECK(values(Tensor<double, Shape<3>>(g[0])) == std::vector<double>(3));
  CHECK(values(Tensor<double, Shape<3>>(sink.last)) == std::vector<double>(3));
}
