// SPDX-License-Identifier: Apache-2.0
// expect: fuse_is_not_one_group<.*Max
#include <tenon/tenon.hpp>

namespace fuse_two_axes {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3>& x) {
  return fuse([](auto a) { return max(a - mean(a, axis<0>, keepdims), axis<1>); }, x);
}
#else
auto f(const F<2, 3>& x) {
  return fuse([](auto a) { return max(a - mean(a, axis<1>, keepdims), axis<1>); }, x);
}
#endif
}  // namespace fuse_two_axes
