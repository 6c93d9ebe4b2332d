// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Power, .*AxisTag<0>, 784, 512>
#include <tenon/tenon.hpp>

namespace pow_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<784>& x, const F<512>& y) { return pow(x, y); }
#else
auto f(const F<784>& x, const F<784>& y) { return pow(x, y); }
#endif
}  // namespace pow_extents
