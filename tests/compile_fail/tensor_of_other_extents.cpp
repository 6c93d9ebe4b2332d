// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Assign, .*AxisTag<1>, 4, 3>
#include <tenon/tenon.hpp>

namespace tensor_of_other_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
void f(const F<2, 3>& x) { F<2, 4> y = x + 1; }
#else
void f(const F<2, 3>& x) { F<2, dyn> y = x + 1; }
#endif
}  // namespace tensor_of_other_extents
