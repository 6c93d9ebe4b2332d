// SPDX-License-Identifier: Apache-2.0
// vjp, jvp, value_and_grad: against differences, against each other, and for models.
#include <tenon/tape/transform.hpp>

#include "support/statements.hpp"

using namespace tests;

namespace {
double dot(const AnyTensor& a, const AnyTensor& b) {
  const auto x = values(a), y = values(b);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}
struct Layer {
  Tensor<double, Shape<4, 3>> weight;
  Tensor<double, Shape<3>> bias;
  auto operator()(const auto& x) const { return tanh(matmul(x, weight) + bias); }
};
struct Net {
  Layer first;
  std::vector<Tensor<double, Shape<3>>> gains;
  int width = 3;
};
Layer layer(unsigned i) { return {spread<double, 4, 3>(i), spread<double, 3>(i + 1)}; }
Net net(unsigned i) { return {layer(i), {spread<double, 3>(i + 2), spread<double, 3>(i + 3)}}; }
const auto run_net = [](const Net& n, const auto& x) {
  Tensor h = n.first(x);
  for (const auto& g : n.gains) h = h * g;
  return softmax(h, axis<-1>);
};
}  // namespace

TEST_CASE("jvp is the limit of differences along the direction") {
  const auto x = spread<double, 5, 4>(1), dx = spread<double, 5, 4>(2);
  const auto f = [](const auto& x) { return softmax(sin(x) * x, axis<-1>) + exp(-x * x); };
  const auto [y, dy] = jvp(f, x, dx);
  static_assert(std::is_same_v<decltype(dy), const Tensor<double, Shape<5, 4>>>);
  CHECK(same_bits(y.any(), Tensor(f(x)).any()));
  const double h = 1e-6;
  const Tensor up = f(Tensor(x + dx * h)), down = f(Tensor(x - dx * h));
  CHECK(distance(values(dy), values((up - down) / (2 * h))) <= 1e-8);
}

TEST_CASE("<v, jvp u> is <vjp v, u>, for tensors and for models") {
  const auto x = spread<double, 6, 4>(5);
  {
    const auto u = spread<double, 6, 4>(6);
    const auto w = spread<double, 4, 3>(7);
    const auto f = [&](const auto& x) { return logsumexp(tanh(matmul(x, w)), axis<-1>); };
    const auto v = spread<double, 6>(8);
    const auto [y, pull] = vjp(f, x);
    const auto dx = pull(v);
    static_assert(std::is_same_v<decltype(dx), const Tensor<double, Shape<6, 4>>>);
    const auto [y2, dy] = jvp(f, x, u);
    CHECK(std::fabs(dot(v, dy) - dot(dx, u)) <= 1e-14);
    CHECK(std::fabs(dot(v, dy)) > 1e-3);
  }
  const Net n = net(1), u = net(11);
  const auto v = spread<double, 6, 3>(8);
  const auto [y, pull] = vjp([&](const Net& n) { return run_net(n, x); }, n);
  const Net g = pull(v);
  const auto [y2, dy] = jvp(run_net, n, u, x);
  double right = 0;
  std::vector<const AnyTensor*> a, b;
  each_parameter(g, [&](std::string, const auto& t) { a.push_back(&t.any()); });
  each_parameter(u, [&](std::string, const auto& t) { b.push_back(&t.any()); });
  REQUIRE(a.size() == 4);
  for (std::size_t i = 0; i < a.size(); ++i) right += dot(*a[i], *b[i]);
  CHECK(std::fabs(dot(v, dy) - right) <= 1e-14);
  CHECK(std::fabs(right) > 1e-3);
  CHECK(g.width == 3);
}

TEST_CASE("vjp of several arguments gives a tuple, partial where one tensor is passed twice") {
  const auto x = spread<double, 3>(1), w = spread<double, 3>(2);
  const auto [y, pull] = vjp([](const auto& a, const auto& b) { return a * a * b; }, x, x);
  const auto [da, db] = pull(w);
  CHECK(distance(values(da), values(2 * x * x * w)) <= 1e-15);
  CHECK(distance(values(db), values(x * x * w)) <= 1e-15);
  const auto again = pull(Tensor(w * 2));
  CHECK(distance(values(std::get<1>(again)), values(x * x * w * 2)) <= 1e-15);
}

TEST_CASE("a pullback records nothing while it waits, and may outlive the tape it was made under") {
  const auto x = spread<double, 3>(1);
  std::optional<decltype(vjp([](const auto& x) { return x * x; }, x))> kept;
  {
    Tape outer;
    kept.emplace(vjp([](const auto& x) { return x * x; }, x));
    CHECK(Context::current().serial == outer.serial());
  }
  CHECK(Context::current().serial == 0);
  CHECK_FALSE(is_training());
  CHECK(distance(values(kept->second(x)), values(2 * x * x)) <= 1e-15);
  CHECK(Context::current().serial == 0);
}

TEST_CASE("vjp and jvp are themselves differentiable") {
  const auto x = spread<double, 3>(1), u = spread<double, 3>(2);
  const auto f = [](const auto& x) { return x * x * x; };
  CHECK_NOTHROW(gradcheck([&](const auto& x, const auto& u) { return jvp(f, x, u).second; }, x, u));
  CHECK_NOTHROW(gradcheck(
      [&](const auto& x, const auto& u) {
        auto [y, pull] = vjp(f, x);
        return pull(u);
      },
      x, u));
}

TEST_CASE("grad of grad is the second derivative, jvp of grad a Hessian times a vector") {
  const auto x = tensor(0.5);
  const auto f = [](const auto& x) { return sin(x) * x; };
  CHECK(std::fabs(grad(grad(f))(x).item() - (2 * std::cos(0.5) - 0.5 * std::sin(0.5))) <= 1e-14);
  const auto z = spread<double, 4>(3), v = spread<double, 4>(4);
  const auto g = grad([](const auto& z) { return sum(z * z * z) + square(sum(z)); });
  const auto [gradient, hv] = jvp(g, z, v);
  const double total = 2 * sum(v).item();
  CHECK(distance(values(hv), values(6 * z * v + total)) <= 1e-13);
}

TEST_CASE("storage types: value and derivative have the type of y") {
  const auto x = spread<bf16, 5>(1), dx = spread<bf16, 5>(2);
  const auto [y, dy] = jvp([](const auto& x) { return x * 2; }, x, dx);
  static_assert(std::is_same_v<decltype(dy), const Tensor<bf16, Shape<5>>>);
  CHECK(values(dy) == values(dx * 2));
  const auto [z, pull] = vjp([](const auto& x) { return x * 2; }, x);
  CHECK(values(pull(dx)) == values(dx * 2));
}

TEST_CASE("errors of vjp and jvp name what does not fit") {
  const auto x = spread<double, 3>(1);
  const AnyTensor two = spread<double, 2>(1).any();
  const auto [y, pull] = vjp([](const auto& x) { return x * x; }, x);
  CHECK_THROWS_WITH(pull(two), ContainsSubstring("the seed [2]"));
  const Tensor<double, Shape<dyn>> a(x), b(two);
  CHECK_THROWS_WITH(jvp([](const auto& x) { return x * x; }, a, b),
                    ContainsSubstring("jvp: parameter 0 of x is [3], that of dx [2]"));
  const auto [c, none] = vjp([](const auto&) { return tensor(1.0); }, x);
  try {
    (void)none(tensor(1.0));
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Error::tape);
  }
}
