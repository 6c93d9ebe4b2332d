// SPDX-License-Identifier: Apache-2.0
// expect: axis_is_out_of_range<.*Sum, .*AxisTag<2>, 2>
#include <tenon/tenon.hpp>

namespace sum_axis {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3>& x) { return sum(x, axis<2>); }
#else
auto f(const F<2, 3>& x) { return sum(x, axis<1>); }
#endif
}  // namespace sum_axis
