// SPDX-License-Identifier: Apache-2.0
// expect: f is a function without captures or a model
#include <tenon/tenon.hpp>

namespace remat_closure {
using namespace tenon;
using F = Tensor<float, Shape<2>>;
#ifdef EXPECT_ERROR
void f(const F& x, const F& w) {
  F y = remat([&w](const auto& x) { return x * w; })(x);
}
#else
void f(const F& x, const F& w) {
  F y = remat([](const auto& x, const auto& w) { return x * w; })(x, w);
}
#endif
}  // namespace remat_closure
