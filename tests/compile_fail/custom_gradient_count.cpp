// SPDX-License-Identifier: Apache-2.0
// expect: backward returns a tuple of gradients
#include <tenon/tenon.hpp>

namespace custom_gradient_count {
using namespace tenon;
using F = Tensor<float, Shape<2>>;
#ifdef EXPECT_ERROR
auto backward = [](const F& a, const F& b, const F& dy) { return dy * a; };
#else
auto backward = [](const F& a, const F& b, const F& dy) { return std::tuple{dy * b, dy * a}; };
#endif
void f(const F& x) {
  F y = custom_gradient([](const F& a, const F& b) { return a * b; }, backward)(x, x);
}
}  // namespace custom_gradient_count
