// SPDX-License-Identifier: Apache-2.0
// What every statement must obey: its fused kernels give what its operations give one by one, its
// gradient is the limit of differences.
#pragma once
#include <tenon/tape/gradcheck.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace tests {

/// Value and gradients of sum(weights * f(x...)), gradients in the order of x.
template <class F, class... Xs>
std::vector<AnyTensor> value_and_gradients(const F& f, const Xs&... x) {
  const AnyTensor wrt[] = {x.any()...};
  std::vector<AnyTensor> out(1 + sizeof...(Xs));
  Tape tape;
  auto y = f(x...);
  if constexpr (detail::is_expression<decltype(y)>) out[0] = y.value();
  else out[0] = y.any();
  const AnyTensor seed = spread(compute_dtype(out[0].dtype()), out[0].extents(), 77, 0.5, 1.5);
  tape.gradient(out[0], std::span<const AnyTensor>(wrt, sizeof...(Xs)),
                std::span<AnyTensor>(out).subspan(1), seed);
  return out;
}
/// The largest difference between fused and one by one, in units of the bound for the dtypes.
template <class F, class... Xs>
double fused_against_single(double bound, const F& f, const Xs&... x) {
  const auto fused = value_and_gradients(f, x...);
  std::vector<AnyTensor> single;
  {
    WithoutKernels scope;
    single = value_and_gradients(f, x...);
  }
  double worst = 0;
  for (std::size_t i = 0; i < fused.size(); ++i)
    worst = std::max(worst, distance(fused[i], single[i]));
  return worst / bound;
}
/// All three laws for f64 arguments.
template <class F, class... Xs>
void check_statement(const F& f, const Xs&... x) {
  CHECK(fused_against_single(1e-12, f, x...) <= 1);
  CHECK_NOTHROW(gradcheck(f, x...));
}

/// What the kernels' counters counted during f().
template <class F>
kernel::Counters counted(const F& f) {
  const kernel::Counters before = kernel::counters();
  f();
  const kernel::Counters after = kernel::counters();
  return {after.forward - before.forward, after.backward - before.backward,
          after.products - before.products, after.single - before.single};
}

}  // namespace tests
