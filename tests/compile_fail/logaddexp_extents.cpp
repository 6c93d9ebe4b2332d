// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*LogAddExp, .*AxisTag<2>, 2, 9>
#include <tenon/tenon.hpp>

namespace logaddexp_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<8, 1, 2>& x, const F<3, 9>& y) { return logaddexp(x, y); }
#else
auto f(const F<8, 1, 2>& x, const F<3, 2>& y) { return logaddexp(x, y); }
#endif
}  // namespace logaddexp_extents
