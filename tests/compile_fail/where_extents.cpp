// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Where, .*AxisTag<0>, 3, 4>
#include <tenon/tenon.hpp>

namespace where_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<3>& x, const F<4>& y) { return where(x > 0.0f, x, y); }
#else
auto f(const F<3>& x, const F<3>& y) { return where(x > 0.0f, x, y); }
#endif
}  // namespace where_extents
