// SPDX-License-Identifier: Apache-2.0
// expect: axes_are_not_a_permutation<.*Permute, .*AxisTag<0, 0>, 2>
#include <tenon/function/shape.hpp>

namespace permute_axes {
#ifdef EXPECT_ERROR
auto f(const tenon::Tensor<float, tenon::Shape<2, 3>>& x) {
  return tenon::permute(x, tenon::axis<0, 0>);
}
#else
auto f(const tenon::Tensor<float, tenon::Shape<2, 3>>& x) {
  return tenon::permute(x, tenon::axis<0, 1>);
}
#endif
}  // namespace permute_axes
