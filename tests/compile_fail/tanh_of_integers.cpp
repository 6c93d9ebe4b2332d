// SPDX-License-Identifier: Apache-2.0
// expect: dtype_is_not_supported<.*Tanh, int>
#include <tenon/tenon.hpp>

namespace tanh_of_integers {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const Tensor<int, Shape<3>>& x) { return tanh(x); }
#else
auto f(const Tensor<int, Shape<3>>& x) { return -x; }
#endif
}  // namespace tanh_of_integers
