// SPDX-License-Identifier: Apache-2.0
// expect: f returns one tensor
#include <tenon/tenon.hpp>

namespace remat_result {
using namespace tenon;
using F = Tensor<float, Shape<2>>;
#ifdef EXPECT_ERROR
void f(const F& x) {
  remat([](const auto&) { return 1; })(x);
}
#else
void f(const F& x) {
  remat([](const auto& x) { return x * 1; })(x);
}
#endif
}  // namespace remat_result
