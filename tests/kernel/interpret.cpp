// SPDX-License-Identifier: Apache-2.0
// Everything operation by operation: the same values, no fused kernel, reshape with its gradient.
#include <tenon/kernel/interpret.hpp>

#include "support/statements.hpp"

using namespace tests;

TEST_CASE("without kernels a statement runs its operations one by one, forward and backward") {
  const auto x = spread<double, 3, 4>(1);
  const auto w = spread<double, 4, 2>(2);
  WithoutKernels scope;
  const auto n = counted([&] {
    value_and_gradients([](auto& x, auto& w) { return tanh(matmul(x * x, w)) * 2; }, x, w);
  });
  CHECK(n.single > 4);
  CHECK_NOTHROW(gradcheck(
      [](const auto& x, const auto& w) { return gelu(matmul(x, w)) - mean(w * w); }, x, w));
}

TEST_CASE("reshape keeps elements in row-major order, also of views, and passes gradients back") {
  const AnyTensor x = spread(Dtype::f64, extents({4, 6}), 1);
  const AnyTensor y = kernel::reshape(swapped(x, 0, 1), extents({3, 8}), Context{});
  CHECK(values(y) == values(swapped(x, 0, 1)));
  CHECK_THROWS_WITH(kernel::reshape(x, extents({5, 5}), Context{}),
                    ContainsSubstring("[4, 6] has 24 elements, [5, 5] has 25"));
  const auto f = [](const AnyTensor& t) {
    return kernel::reshape(t, extents({2, 12}), Context::current());
  };
  CHECK_NOTHROW(gradcheck(f, x));
}
