// SPDX-License-Identifier: Apache-2.0
// expect: extents_differ<.*Pick, .*AxisTag<0>, 4, 3>
#include <tenon/tenon.hpp>

namespace fuse_label_extents {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<4, 10>& x, const Tensor<std::int64_t, Shape<3>>& label) {
  return fuse([](auto a, auto l) { return logsumexp(a, axis<-1>) - pick(a, l); }, x, label);
}
#else
auto f(const F<4, 10>& x, const Tensor<std::int64_t, Shape<4>>& label) {
  return fuse([](auto a, auto l) { return logsumexp(a, axis<-1>) - pick(a, l); }, x, label);
}
#endif
}  // namespace fuse_label_extents
