// SPDX-License-Identifier: Apache-2.0
// expect: element_counts_differ<.*Reshape.*Shape<2, *3>.*Shape<4>
#include <tenon/function/shape.hpp>

namespace reshape_counts {
#ifdef EXPECT_ERROR
auto f(const tenon::Tensor<float, tenon::Shape<2, 3>>& x) {
  return tenon::reshape<tenon::Shape<4>>(x);
}
#else
auto f(const tenon::Tensor<float, tenon::Shape<2, 3>>& x) {
  return tenon::reshape<tenon::Shape<6>>(x);
}
#endif
}  // namespace reshape_counts
