// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Assign, .*AxisTag<1>, 3, 2>
#include <tenon/tenon.hpp>

namespace list_extents {
using namespace tenon;
#ifdef EXPECT_ERROR
void f() { Tensor<float, Shape<2, 3>> x = {{1, 2}, {3, 4}}; }
#else
void f() { Tensor<float, Shape<2, 2>> x = {{1, 2}, {3, 4}}; }
#endif
}  // namespace list_extents
