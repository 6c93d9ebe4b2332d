// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Add, .*AxisTag<1>, 10, 20>
#include <tenon/tenon.hpp>

namespace bias_after_matmul {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3>& x, const F<3, 10>& w, const F<20>& b) { return matmul(x, w) + b; }
#else
auto f(const F<2, 3>& x, const F<3, 10>& w, const F<10>& b) { return matmul(x, w) + b; }
#endif
}  // namespace bias_after_matmul
