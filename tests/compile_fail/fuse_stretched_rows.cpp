// SPDX-License-Identifier: Apache-2.0
// expect: fuse_is_not_one_group<.*Add
#include <tenon/tenon.hpp>

namespace fuse_stretched_rows {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<2, 3>& x, const F<2, 1>& c) {
  return fuse([](auto a, auto b) { return sum(b, axis<-1>, keepdims) + a; }, x, c);
}
#else
auto f(const F<2, 3>& x, const F<2, 1>& c) {
  return fuse([](auto a, auto b) { return sum(a, axis<-1>, keepdims) + b; }, x, c);
}
#endif
}  // namespace fuse_stretched_rows
