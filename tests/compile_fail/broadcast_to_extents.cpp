// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*BroadcastTo, .*AxisTag<1>, 3, 4>
#include <tenon/function/shape.hpp>

namespace broadcast_to_extents {
#ifdef EXPECT_ERROR
auto f(const tenon::Tensor<float, tenon::Shape<1, 3>>& x) {
  return tenon::broadcast_to(x, tenon::Shape<2, 4>{});
}
#else
auto f(const tenon::Tensor<float, tenon::Shape<1, 3>>& x) {
  return tenon::broadcast_to(x, tenon::Shape<2, 3>{});
}
#endif
}  // namespace broadcast_to_extents
