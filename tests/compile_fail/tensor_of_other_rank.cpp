// SPDX-License-Identifier: Apache-2.0
// expect: ranks_do_not_fit<.*Assign, 1, 2>
#include <tenon/tenon.hpp>

namespace tensor_of_other_rank {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
void f(const F<2, 3>& x) { F<2> y = x * 2; }
#else
void f(const F<2, 3>& x) { F<2> y = sum(x * 2, axis<1>); }
#endif
}  // namespace tensor_of_other_rank
