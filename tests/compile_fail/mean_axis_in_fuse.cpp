// SPDX-License-Identifier: Apache-2.0
// expect: axis_is_out_of_range<.*Mean, .*AxisTag<5>, 2>
#include <tenon/tenon.hpp>

namespace mean_axis_in_fuse {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3>& x) {
  return fuse([](auto x) { return x - mean(x, axis<5>, keepdims); }, x);
}
#else
auto f(const F<2, 3>& x) {
  return fuse([](auto x) { return x - mean(x, axis<1>, keepdims); }, x);
}
#endif
}  // namespace mean_axis_in_fuse
