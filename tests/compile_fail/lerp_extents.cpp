// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Lerp, .*AxisTag<0>, 5, 2>
#include <tenon/tenon.hpp>

namespace lerp_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<5>& x, const F<2>& w) { return lerp(x, x, w); }
#else
auto f(const F<5>& x, const F<1>& w) { return lerp(x, x, w); }
#endif
}  // namespace lerp_extents
