// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Matmul, .*AxisTag<0>, 2, 3>
#include <tenon/tenon.hpp>

namespace matmul_batch {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3, 4>& x, const F<3, 4, 6>& w) { return matmul(x, w); }
#else
auto f(const F<2, 3, 4>& x, const F<1, 4, 6>& w) { return matmul(x, w); }
#endif
}  // namespace matmul_batch
