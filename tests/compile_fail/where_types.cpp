// SPDX-License-Identifier: Apache-2.0
// expect: dtypes_differ<.*Where, .*float.*, .*double
#include <tenon/tenon.hpp>

namespace where_types {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<3>& x, const Tensor<double, Shape<3>>& y) { return where(x > 0.0f, x, y); }
#else
auto f(const F<3>& x, const F<3>& y) { return where(x > 0.0f, x, y); }
#endif
}  // namespace where_types
