// SPDX-License-Identifier: Apache-2.0
// expect: backward takes
#include <tenon/tenon.hpp>

namespace custom_gradient_arguments {
using namespace tenon;
using F = Tensor<float, Shape<2>>;
#ifdef EXPECT_ERROR
void f(const F& x) {
  F y = custom_gradient([](const F& x) { return x * 2; }, [](const F& dy) { return dy; })(x);
}
#else
void f(const F& x) {
  F y = custom_gradient([](const F& x) { return x * 2; },
                        [](const F&, const F& dy) { return dy; })(x);
}
#endif
}  // namespace custom_gradient_arguments
