// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Assign, .*AxisTag<0>, 3, 2>
#include <tenon/tenon.hpp>

namespace list_count {
using namespace tenon;
#ifdef EXPECT_ERROR
void f() { Tensor<float, Shape<3>> x = {1, 2}; }
#else
void f() { Tensor<float, Shape<3>> x = {1, 2, 3}; }
#endif
}  // namespace list_count
