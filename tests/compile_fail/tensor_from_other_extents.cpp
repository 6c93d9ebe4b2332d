// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Assign, .*AxisTag<0>, 5, 2>
#include <tenon/tenon.hpp>

namespace tensor_from_other_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
void f(const F<2, 3>& x) { F<5, 3> y = x; }
#else
void f(const F<2, 3>& x) { F<dyn, 3> y = x; }
#endif
}  // namespace tensor_from_other_extents
