// SPDX-License-Identifier: Apache-2.0
// expect: extents_do_not_broadcast<.*Multiply, .*AxisTag<1>, 3, 4>
#include <tenon/tenon.hpp>

namespace fuse_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3>& x, const F<4>& y) {
  return fuse([](auto a, auto b) { return tanh(a * b); }, x, y);
}
#else
auto f(const F<2, 3>& x, const F<3>& y) {
  return fuse([](auto a, auto b) { return tanh(a * b); }, x, y);
}
#endif
}  // namespace fuse_extents
