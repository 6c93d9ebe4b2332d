// SPDX-License-Identifier: Apache-2.0
// expect: write `Tensor h =
#include <tenon/tenon.hpp>

namespace assign_to_expression {
using namespace tenon;
template <Index... E>
using F = Tensor<float, Shape<E...>>;
#ifdef EXPECT_ERROR
auto f(const F<3>& x) {
  auto h = tanh(x);
  for (int i = 0; i < 2; ++i) h = h + tanh(h);
  return h.value();
}
#else
auto f(const F<3>& x) {
  Tensor h = tanh(x);
  for (int i = 0; i < 2; ++i) h = h + tanh(h);
  return h;
}
#endif
}  // namespace assign_to_expression
