// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Squeeze, .*AxisTag<1>, 3, 1>
#include <tenon/function/shape.hpp>

namespace squeeze_extent {
#ifdef EXPECT_ERROR
auto f(const tenon::Tensor<float, tenon::Shape<2, 3>>& x) {
  return tenon::squeeze(x, tenon::axis<1>);
}
#else
auto f(const tenon::Tensor<float, tenon::Shape<2, 1>>& x) {
  return tenon::squeeze(x, tenon::axis<1>);
}
#endif
}  // namespace squeeze_extent
