// SPDX-License-Identifier: Apache-2.0
// expect: dtype_is_not_supported<.*Take, float>
#include <tenon/function/lookup.hpp>

namespace take_index_type {
#ifdef EXPECT_ERROR
auto f(const tenon::Tensor<float, tenon::Shape<5, 3>>& x,
       const tenon::Tensor<float, tenon::Shape<2>>& i) {
  return tenon::take(x, i);
}
#else
auto f(const tenon::Tensor<float, tenon::Shape<5, 3>>& x,
       const tenon::Tensor<int, tenon::Shape<2>>& i) {
  return tenon::take(x, i);
}
#endif
}  // namespace take_index_type
