// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Less, .*AxisTag<0>, 6, 5>
#include <tenon/tenon.hpp>

namespace less_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<6>& x, const F<5>& y) { return x < y; }
#else
auto f(const F<6>& x, const F<6>& y) { return x < y; }
#endif
}  // namespace less_extents
