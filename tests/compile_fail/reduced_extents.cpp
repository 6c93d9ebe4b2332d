// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Subtract, .*AxisTag<1>, 3, 2>
#include <tenon/tenon.hpp>

namespace reduced_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3>& x) { return x - sum(x, axis<1>); }
#else
auto f(const F<2, 3>& x) { return x - sum(x, axis<1>, keepdims); }
#endif
}  // namespace reduced_extents
