// SPDX-License-Identifier: Apache-2.0
// expect: dtypes_differ<.*Matmul, float, double>
#include <tenon/tenon.hpp>

namespace matmul_types {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3>& x, const Tensor<double, Shape<3, 4>>& w) { return matmul(x, w); }
#else
auto f(const F<2, 3>& x, const F<3, 4>& w) { return matmul(x, w); }
#endif
}  // namespace matmul_types
