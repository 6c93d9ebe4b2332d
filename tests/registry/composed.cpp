// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/composed.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE("composed: formulas against the C library, gradients against differences") {
  const AnyTensor x = tensor({4}, {-1.25, -0.4, 0.3, 1.1});
  auto of = [&](double (*f)(double)) {
    Numbers n = numbers(x);
    for (double& v : n) v = f(v);
    return n;
  };
  CHECK(near(result("tan", {x}), of([](double v) { return std::tan(v); })));
  CHECK(near(result("cosh", {x}), of([](double v) { return std::cosh(v); })));
  CHECK(near(result("mish", {x}),
             of([](double v) { return v * std::tanh(std::log1p(std::exp(v))); })));
  CHECK(near(result("degrees", {x}), of([](double v) { return v * 180 / std::acos(-1.0); })));
  CHECK(near(result("frac", {x}), of([](double v) { return v - std::trunc(v); })));
  for (const char* op : {"tan", "cosh", "mish", "selu", "softsign", "hard_swish", "tanhshrink",
                         "relu6", "leaky_relu"}) {
    CAPTURE(op);
    CHECK(near(gradient(op, {x}, 0), differences(op, {x}, 0), 1e-6));
  }
  const AnyTensor y = tensor({4}, {2, -1.5, 0.5, 0.25});
  for (const char* op : {"hypot", "fmax", "logaddexp2", "smooth_l1"})
    for (int i : {0, 1}) {
      CAPTURE(op, i);
      CHECK(near(gradient(op, {x, y}, i), differences(op, {x, y}, i), 1e-6));
    }
}
TEST_CASE("composed: hypot does not overflow, fmax prefers a number, xlogy is 0 at 0") {
  CHECK(near(result("hypot", {tensor({3}, {3e200, inf, 0}), tensor({3}, {4e200, not_a_number, 0})}),
             {5e200, inf, 0}));
  CHECK(near(result("fmax", {tensor({3}, {not_a_number, 1, not_a_number}),
                             tensor({3}, {2, not_a_number, not_a_number})}),
             {2, 1, not_a_number}));
  CHECK(near(result("xlogy", {tensor({2}, {0, 2}), tensor({2}, {0, 1})}), {0, 0}));
  CHECK(near(result("power_scalar", {tensor({2}, {4, 9})}, {{"exponent", -0.5}}), {0.5, 1.0 / 3}));
  CHECK(failing("glu", {tensor({3}, {1, 2, 3})}).code == Error::shape);
}
