// SPDX-License-Identifier: Apache-2.0
// Programs about what a value is: clones, tied members, writing while others hold a copy,
// accumulation.
#include <tenon/tape/tape.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace {
struct Line {
  Tensor<double, Shape<4, 3>> weight;
  Tensor<double, Shape<3>> bias;
  auto operator()(const auto& x) const { return tanh(matmul(x, weight) + bias); }
};
struct Two {
  Line first, second;
};
struct Tied {
  Tensor<double, Shape<4, 4>> weight;
};
struct Pair {
  Tensor<double, Shape<4, 4>> a, b;
};
Line line(unsigned seed) { return {spread<double, 4, 3>(seed), spread<double, 3>(seed + 1)}; }
}  // namespace

TEST_CASE("a clone in the same loss gets no gradient of the original, nor gives one") {
  const Line net = line(1);
  const Line target = clone(net);
  const auto x = spread<double, 5, 4>(7);
  auto alone = [&](const auto& goal) {
    Tape tape;
    Tensor loss = mean(square(net(x) - goal));
    return tape.gradient(loss, net);
  };
  const Tensor goal = target(x) * 2;
  const Line want = alone(goal);
  Tape tape;
  Tensor loss = mean(square(net(x) - target(x) * 2));
  const Line g = tape.gradient(loss, net);
  CHECK(distance(g.weight.any(), want.weight.any()) <= 1e-14);
  CHECK(distance(g.bias.any(), want.bias.any()) <= 1e-14);
  CHECK(net.weight.any().raw() == target.weight.any().raw());
}

TEST_CASE("a model with one tensor in two members is refused, naming both") {
  Two net{line(1), line(3)};
  net.second.weight = net.first.weight;
  const auto x = spread<double, 5, 4>(7);
  Tape tape;
  Tensor loss = sum(net.first(x) + net.second(x));
  CHECK_THROWS_WITH(tape.gradient(loss, net),
                    ContainsSubstring("first.weight") && ContainsSubstring("second.weight"));
}

TEST_CASE("a copy made while the original is written, and what the tape kept, do not change") {
  auto x = spread<double, 2, 2>(1);
  const std::vector<double> before = values(x);
  const auto original = x;
  Tape tape;
  Tensor loss = sum(original * original);
  std::vector<double> copied;
  {
    auto m = x.write();
    auto y = x;
    m(0, 0) = 5;
    copied = values(y);
  }
  CHECK(copied == before);
  CHECK(values(original) == before);
  CHECK(values(x)[0] == 5);
  CHECK(distance(values(tape.gradient(loss, original)), values(2 * original)) <= 1e-15);
}

TEST_CASE("a written tensor is another value: the tape's gradient is for the one it saw") {
  auto x = spread<double, 2, 2>(1);
  Tape tape;
  Tensor loss = sum(x * x);
  x.write()(0, 0) = 5;
  CHECK(values(tape.gradient(loss, x)) == std::vector<double>(4, 0));
}

TEST_CASE("gradients of two passes add up to the gradient of both") {
  const Line net = line(1);
  const auto a = spread<double, 5, 4>(7), b = spread<double, 5, 4>(8);
  auto of_batch = [&](auto&... x) {
    Tape tape;
    Tensor loss = (sum(net(x)) + ...);
    return tape.gradient(loss, net);
  };
  const Line ga = of_batch(a), gb = of_batch(b), both = of_batch(a, b);
  CHECK(distance(values(ga.weight + gb.weight), values(both.weight)) <= 1e-14);
  CHECK(distance(values(ga.bias + gb.bias), values(both.bias)) <= 1e-14);
}

TEST_CASE("one member used twice gets the sum of both gradients") {
  const Tied net{spread<double, 4, 4>(1)};
  const auto x = spread<double, 3, 4>(2);
  const auto v = spread<double, 4, 4>(1);
  auto f = [&](const auto& a, const auto& b) {
    return sum(matmul(tanh(matmul(x, a)), transpose(b)));
  };
  Tape tape;
  Tensor loss = f(net.weight, net.weight);
  const Tied g = tape.gradient(loss, net);
  const auto other = net.weight.clone();
  Tape apart;
  Tensor same = f(v, other);
  const Pair p = apart.gradient(same, Pair{v, other});
  CHECK(distance(values(g.weight), values(p.a + p.b)) <= 1e-13);
}
