// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Subtract, .*AxisTag<0>, 4, 2>
#include <tenon/tenon.hpp>

namespace subtract_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<4, 3>& x, const F<2, 3>& y) { return x - y; }
#else
auto f(const F<4, 3>& x, const F<1, 3>& y) { return x - y; }
#endif
}  // namespace subtract_extents
