// SPDX-License-Identifier: Apache-2.0
// expect: dtypes_differ<.*Assign, double, float>
#include <tenon/tenon.hpp>

namespace tensor_of_other_type {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
void f(const F<2>& x) { Tensor<double, Shape<2>> y = x * 2; }
#else
void f(const F<2>& x) { Tensor<float, Shape<2>> y = x * 2; }
#endif
}  // namespace tensor_of_other_type
