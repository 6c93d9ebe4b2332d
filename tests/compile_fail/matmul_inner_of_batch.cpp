// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Matmul, .*AxisTag<2>, 4, 5>
#include <tenon/tenon.hpp>

namespace matmul_inner_of_batch {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3, 4>& x, const F<2, 5, 6>& w) { return matmul(x, w); }
#else
auto f(const F<2, 3, 4>& x, const F<2, 4, 6>& w) { return matmul(x, w); }
#endif
}  // namespace matmul_inner_of_batch
