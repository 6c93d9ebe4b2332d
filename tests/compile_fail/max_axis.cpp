// SPDX-License-Identifier: Apache-2.0
// expect: axis_is_out_of_range<.*Max, .*AxisTag<-3>, 2>
#include <tenon/tenon.hpp>

namespace max_axis {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3>& x) { return max(x, axis<0, -3>); }
#else
auto f(const F<2, 3>& x) { return max(x, axis<0, -1>); }
#endif
}  // namespace max_axis
