// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Matmul, .*AxisTag<1>, 784, 512>
#include <tenon/tenon.hpp>

namespace matmul_inner {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<dyn, 784>& x, const F<512, 10>& w) { return matmul(x, w); }
#else
auto f(const F<dyn, 784>& x, const F<784, 10>& w) { return matmul(x, w); }
#endif
}  // namespace matmul_inner
