// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Divide, .*AxisTag<2>, 4, 5>
#include <tenon/tenon.hpp>

namespace divide_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3, 4>& x, const F<2, 1, 5>& y) { return x / y; }
#else
auto f(const F<2, 3, 4>& x, const F<2, 1, 4>& y) { return x / y; }
#endif
}  // namespace divide_extents
