// SPDX-License-Identifier: Apache-2.0
// First and second derivatives of every operation and reduction by tensors as a kind of value,
// against central differences. Their compiled backward kernels: op_info.cpp.
#include <tenon/kernel/any.hpp>

#include "kernel/operations.hpp"
#include "support/catch.hpp"
#include "support/tensors.hpp"

#include <tenon/tape/gradcheck.hpp>

using namespace tests;

namespace {

// Operands within the range, far enough from its ends and from places without derivative for a step
// of 1e-5.
AnyTensor operand(const Operation& op, int i, const Extents& e) {
  const op::Range r = op.range[i];
  const double low = std::max(r.low, -3.0), high = std::min(r.high, 3.0), edge = (high - low) / 50;
  return spread(Dtype::f64, e, static_cast<unsigned>(11 + i), low + edge, high - edge);
}
template <class Check>
double checked(const Operation& op, Check check) {
  const StatementInfo& info = *op.f64->single;
  auto f = [&info](const auto&... x) {
    const AnyTensor in[] = {x...};
    return kernel::evaluate(info, in, static_cast<int>(sizeof...(x)), nullptr, GroupCall{},
                            Dtype::f64, Context::current());
  };
  const Extents e = extents({3, 4});
  if (op.arity == 1) return check(f, operand(op, 0, e));
  // The second operand is broadcast along the rows, the third along the columns.
  const AnyTensor a = operand(op, 0, e), b = operand(op, 1, extents({4}));
  if (op.arity == 2) return check(f, a, b);
  return check(f, a, b, operand(op, 2, extents({3, 1})));
}
template <class R>
auto reduction(std::uint32_t axes, bool keep, const AnyTensor& label = {}) {
  return [=](const AnyTensor& x) {
    GroupCall how;
    how.axes = axes, how.keepdims = keep;
    AnyTensor in[2] = {x, label};
    const Context c = Context::current();
    if constexpr (std::is_same_v<R, op::LogSumExp>)
      in[1] =
          kernel::evaluate(*op_info<op::Peak, double>.single, in, 1, nullptr, how, Dtype::f64, c);
    if (R::arity == 2 && !keep) how.dropped_leaves = 2;
    return kernel::evaluate(*op_info<R, double>.single, in, R::arity, nullptr, how, Dtype::f64, c);
  };
}

template <class R>
void check_reduction(const AnyTensor& x, const AnyTensor& label = {}) {
  for (std::uint32_t axes : {1u, 2u, 4u, 5u, 7u}) {
    if (label.defined() && axes != 4) continue;
    for (bool keep : {false, true}) {
      if (label.defined() && keep) continue;
      CAPTURE(R::name, axes, keep);
      CHECK_NOTHROW(gradcheck(reduction<R>(axes, keep, label), x));
      CHECK_NOTHROW(gradcheck_second(reduction<R>(axes, keep, label), x));
    }
  }
}

}  // namespace

TEST_CASE("the first derivative of every operation is the limit of its differences") {
  for (const Operation& op : operations()) {
    if (!op.differentiable) continue;
    CAPTURE(op.name);
    CHECK_NOTHROW(checked(op, [](const auto& f, const auto&... x) { return gradcheck(f, x...); }));
  }
}

TEST_CASE("the second derivative of every operation is the limit of the differences of the first") {
  for (const Operation& op : operations()) {
    if (!op.differentiable) continue;
    CAPTURE(op.name);
    CHECK_NOTHROW(
        checked(op, [](const auto& f, const auto&... x) { return gradcheck_second(f, x...); }));
  }
}

TEST_CASE("first and second derivatives of reductions are limits of differences, over any axes") {
  const AnyTensor x = spread(Dtype::f64, extents({2, 3, 4}), 5);
  check_reduction<op::Sum>(x);
  check_reduction<op::Mean>(x);
  check_reduction<op::Max>(x);
  check_reduction<op::Min>(x);
  check_reduction<op::LogSumExp>(x);
  check_reduction<op::Pick>(x, of(Dtype::i64, extents({2, 3}), {0, 3, 1, 2, 2, 0}));
}

TEST_CASE("operations without derivative give zero") {
  for (const Operation& op : operations()) {
    if (op.differentiable || op.boolean) continue;
    CAPTURE(op.name);
    const AnyTensor x = operand(op, 0, extents({5}));
    Tape tape;
    const AnyTensor y = kernel::evaluate(*op.f64->single, &x, 1, nullptr, GroupCall{}, Dtype::f64,
                                         Context::current());
    AnyTensor g;
    tape.gradient(y, std::span<const AnyTensor>(&x, 1), std::span<AnyTensor>(&g, 1),
                  of(Dtype::f64, extents({5}), {1, 1, 1, 1, 1}));
    CHECK(values(g) == std::vector<double>(5, 0));
  }
}
