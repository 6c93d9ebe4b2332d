// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Matmul, .*AxisTag<1>, 4, 5>
#include <tenon/tenon.hpp>

namespace matmul_inner_transposed {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<3, 4>& x, const F<4, 5>& w) { return matmul(x, transpose(w)); }
#else
auto f(const F<3, 4>& x, const F<5, 4>& w) { return matmul(x, transpose(w)); }
#endif
}  // namespace matmul_inner_transposed
