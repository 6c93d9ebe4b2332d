// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Maximum, .*AxisTag<0>, 2, 3>
#include <tenon/tenon.hpp>

namespace maximum_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 2>& x, const F<3, 2>& y) { return maximum(x, y); }
#else
auto f(const F<2, 2>& x, const F<2>& y) { return maximum(x, y); }
#endif
}  // namespace maximum_extents
