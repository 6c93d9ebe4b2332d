// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Add, .*AxisTag<1>, 3, 5>
#include <tenon/tenon.hpp>

namespace add_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<4, 3>& x, const F<4, 5>& y) { return x + y; }
#else
auto f(const F<4, 3>& x, const F<4, 3>& y) { return x + y; }
#endif
}  // namespace add_extents
