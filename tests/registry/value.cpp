// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/value.hpp>

#include "registry/help.hpp"

using namespace tests;
using registry::Value;

TEST_CASE("value: formulas are those of arithmetic, numbers take the tensor's dtype") {
  for (Dtype d : {Dtype::f32, Dtype::f64}) {
    const Value x(tensor({3}, {1, 4, 9}, d));
    const Value y = 1 - 2 * sqrt(x) / (x + 1);
    CHECK(y.dtype() == d);
    CHECK(near(numbers(y.t), {0, 1 - 4.0 / 5, 1 - 6.0 / 10}, 1e-6));
    CHECK(numbers(where(x > 3, x, 0.0).t) == Numbers{0, 4, 9});
    CHECK(numbers(clamp(x, 2, 5).t) == Numbers{2, 4, 5});
    CHECK(near(numbers(sum(x, 1u).t), {14}));
  }
}
TEST_CASE("value: a constant has no gradient") {
  const AnyTensor x = tensor({2}, {3, 5});
  Tape tape;
  const Value y = Value(x) * registry::constant(x);
  AnyTensor g;
  const AnyTensor loss = sum(y, 1u).t;
  tape.gradient(loss, std::span<const AnyTensor>(&x, 1), std::span<AnyTensor>(&g, 1));
  CHECK(numbers(g) == Numbers{3, 5});
}
TEST_CASE("value: bool and u8 follow the other dtype, others must agree") {
  const AnyTensor f = tensor({1}, {1}, Dtype::f32), d = tensor({1}, {1}), b = d.to(Dtype::boolean),
                  u = d.to(Dtype::u8);
  auto common = [](std::vector<AnyTensor> all) { return registry::common_dtype("f", all); };
  CHECK(common({b, f}) == Dtype::f32);
  CHECK(common({d, u, b}) == Dtype::f64);
  CHECK(common({b, u}) == Dtype::u8);
  CHECK(common({b, b}) == Dtype::boolean);
  CHECK(failure([&] { common({u, f, d}); }).code == Error::dtype);
}
