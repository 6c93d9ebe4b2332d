// SPDX-License-Identifier: Apache-2.0
// expect: dtypes_differ<.*Fuse, float, double>
#include <tenon/tenon.hpp>

namespace fuse_types {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<3>& x, const Tensor<double, Shape<3>>& y) {
  return fuse([](auto a, auto b) { return a * b; }, x, y);
}
#else
auto f(const F<3>& x, const F<3>& y) {
  return fuse([](auto a, auto b) { return a * b; }, x, y);
}
#endif
}  // namespace fuse_types
