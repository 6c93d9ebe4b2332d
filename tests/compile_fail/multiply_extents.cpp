// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Multiply, .*AxisTag<1>, 3, 7>
#include <tenon/tenon.hpp>

namespace multiply_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<dyn, 3>& x, const F<7>& y) { return x * y; }
#else
auto f(const F<dyn, 3>& x, const F<3>& y) { return x * y; }
#endif
}  // namespace multiply_extents
