// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Clamp, .*AxisTag<1>, 5, 6>
#include <tenon/tenon.hpp>

namespace clamp_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 5>& x, const F<6>& y) { return clamp(x, 0.0f, y); }
#else
auto f(const F<2, 5>& x, const F<5>& y) { return clamp(x, 0.0f, y); }
#endif
}  // namespace clamp_extents
