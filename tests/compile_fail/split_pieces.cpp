// SPDX-License-Identifier: Apache-2.0
// expect: extent_is_not_divisible<.*Split, .*AxisTag<1>, 3, 2>
#include <tenon/function/shape.hpp>

namespace split_pieces {
#ifdef EXPECT_ERROR
auto f(const tenon::Tensor<float, tenon::Shape<2, 3>>& x) {
  return tenon::split<2>(x, tenon::axis<1>);
}
#else
auto f(const tenon::Tensor<float, tenon::Shape<2, 4>>& x) {
  return tenon::split<2>(x, tenon::axis<1>);
}
#endif
}  // namespace split_pieces
