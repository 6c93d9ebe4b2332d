// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Concatenate, .*AxisTag<1>, 3, 4>
#include <tenon/function/shape.hpp>

namespace concatenate_extents {
#ifdef EXPECT_ERROR
auto f(const tenon::Tensor<float, tenon::Shape<2, 3>>& x,
       const tenon::Tensor<float, tenon::Shape<2, 4>>& y) {
  return tenon::concatenate(tenon::axis<0>, x, y);
}
#else
auto f(const tenon::Tensor<float, tenon::Shape<2, 3>>& x,
       const tenon::Tensor<float, tenon::Shape<2, 3>>& y) {
  return tenon::concatenate(tenon::axis<0>, x, y);
}
#endif
}  // namespace concatenate_extents
