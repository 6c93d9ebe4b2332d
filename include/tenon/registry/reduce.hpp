// SPDX-License-Identifier: Apache-2.0
// Reductions, softmax and scans by name, over any axes.
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/registry/order.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

struct ReduceCall {
  Value x;
  std::uint32_t axes;
  bool keep;
  explicit ReduceCall(const Arguments& a)
      : x(a[0]), axes(a.axes("axis", a[0].rank())), keep(a.flag("keepdim", false)) {
    a.takes(1);
  }
  /// How many elements make one result.
  double count() const {
    double n = 1;
    for (int i = 0; i < x.rank(); ++i) n *= axes >> i & 1 ? static_cast<double>(x.t.extent(i)) : 1;
    return n;
  }
};
template <class R>
Results reduction_entry(const Arguments& a) {
  const ReduceCall c(a);
  if constexpr (std::is_same_v<R, op::Max> || std::is_same_v<R, op::Min>)
    if (c.count() == 0)
      a.wrong("an empty row has no value: " + to_string(c.x.extents()), Error::shape);
  if constexpr (std::is_same_v<R, op::Sum>)  // of integers: i64
    if (!is_floating(c.x.dtype())) return {sum(c.x.t.to(Dtype::i64), c.axes, c.keep)};
  return {reduce<R>(c.x, c.axes, c.keep)};
}
inline Value variance(const ReduceCall& c, double correction) {
  const Value d = c.x - mean(c.x, c.axes, true);
  return sum(square(d), c.axes, c.keep) / std::max(c.count() - correction, 0.0);
}
inline Results var(const Arguments& a) {
  return {variance(ReduceCall(a), a.number("correction", 1))};
}
inline Results standard_deviation(const Arguments& a) {
  return {sqrt(variance(ReduceCall(a), a.number("correction", 1)))};
}
inline Value nonzero_count(const ReduceCall& c) {
  const Value yes = Value::apply<op::NotEqual>(c.x, c.x.like(0));
  return sum(yes.t.to(Dtype::i64), c.axes, c.keep);
}
inline Results count_nonzero(const Arguments& a) { return {nonzero_count(ReduceCall(a))}; }
inline Results any(const Arguments& a) { return {nonzero_count(ReduceCall(a)) > 0}; }
inline Results all(const Arguments& a) {
  const ReduceCall c(a);
  return {nonzero_count(c) >= c.count()};
}
inline Results nansum(const Arguments& a) {
  const ReduceCall c(a);
  return {sum(where(isnan(c.x), 0.0, c.x), c.axes, c.keep)};
}
inline Results nanmean(const Arguments& a) {
  const ReduceCall c(a);
  const Value n = sum(logical_not(isnan(c.x)).t.to(c.x.dtype()), c.axes, c.keep);
  return {sum(where(isnan(c.x), 0.0, c.x), c.axes, c.keep) / n};
}
/// One axis by halves: exact zeros keep exact gradients.
inline Value product_over(Value x, int axis) {
  if (x.t.extent(axis) == 0) {
    Extents e = x.extents();
    e.extent[axis] = 1;
    return filled(x.dtype(), e, 1);
  }
  while (x.t.extent(axis) > 1) {
    const Index n = x.t.extent(axis), half = n / 2;
    const Value y = slice(x, axis, 0, half) * slice(x, axis, half, half);
    const AnyTensor parts[] = {y.t, n % 2 ? slice(x, axis, n - 1, 1).t : y.t};
    x = n % 2 ? concat(parts, axis) : y;
  }
  return x;
}
inline Results prod(const Arguments& a) {
  const ReduceCall c(a);
  Value y = c.x;
  for (int i = 0; i < c.x.rank(); ++i)
    if (c.axes >> i & 1) y = product_over(y, i);
  return {reshape(y, kernel::detail::reduced_extents(y.extents(), c.axes, c.keep))};
}
/// (sum |x|^ord)^(1/ord); inf, -inf: largest, smallest |x|; 0: how many are not 0.
inline Value norm_of(const Value& x, double ord, std::uint32_t axes, bool keep) {
  const Value y = abs(x);
  if (std::isinf(ord)) return ord > 0 ? amax(y, axes, keep) : amin(y, axes, keep);
  if (ord == 0) return sum(Value(sign(y)), axes, keep);
  if (ord == 1) return sum(y, axes, keep);
  if (ord == 2) return sqrt(sum(square(x), axes, keep));
  return pow(sum(pow(y, ord), axes, keep), 1 / ord);
}
inline Results norm(const Arguments& a) {
  const ReduceCall c(a);
  double ord = 2;
  if (const int at = a.has("ord"); at) {
    try {
      ord = a.number("ord");
    } catch (const Error&) {
      const std::string text = a.text("ord", "");
      if (text != "inf" && text != "-inf")
        a.wrong("ord must be a number, \"inf\" or \"-inf\", not \"" + text + "\"");
      ord = text == "inf" ? std::numeric_limits<double>::infinity()
                          : -std::numeric_limits<double>::infinity();
    }
  }
  return {norm_of(c.x, ord, c.axes, c.keep)};
}

/// softmax or log_softmax of x or of -x.
template <Fused Which, bool Negate>
Results softmax_entry(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const std::uint32_t axes = 1u << a.axis("axis", x.rank(), -1);
  return {softmax(Negate ? -x : x, axes, Which)};
}
/// softmax over the elements where the mask is true; the others give 0.
inline Results masked_softmax(const Arguments& a) {
  a.takes(2);
  const Value x(a[0]), mask(a[1]);
  const std::uint32_t axes = 1u << a.axis("axis", x.rank(), -1);
  return {softmax(where(mask, x, -std::numeric_limits<double>::infinity()), axes)};
}

/// Inclusive scan in log2(n) steps: y[k] = y[k] . y[k - step].
template <class Op>
Results scan(const Arguments& a) {
  a.takes(1);
  Value y(is_floating(a[0].dtype()) ? a[0] : a[0].to(Dtype::i64));
  const int axis = a.axis("axis", y.rank());
  if constexpr (std::is_same_v<Op, op::Add>)
    if (y.t.get()->place) return {running_sum_on_device(y, axis)};
  const Index n = y.t.extent(axis);
  for (Index step = 1; step < n; step *= 2) {
    const AnyTensor parts[] = {
        slice(y, axis, 0, step).t,
        Value::apply<Op>(slice(y, axis, 0, n - step), slice(y, axis, step, n - step)).t};
    y = concat(parts, axis);
  }
  return {y};
}

inline constexpr Operation reduce_table[] = {
    {"sum", reduction_entry<op::Sum>},
    {"mean", reduction_entry<op::Mean>},
    {"amax", reduction_entry<op::Max>},
    {"amin", reduction_entry<op::Min>},
    {"logsumexp", reduction_entry<op::LogSumExp>},
    {"var", var},
    {"std", standard_deviation},
    {"count_nonzero", count_nonzero},
    {"any", any},
    {"all", all},
    {"nansum", nansum},
    {"nanmean", nanmean},
    {"prod", prod},
    {"norm", norm},
    {"softmax", softmax_entry<Fused::softmax, false>},
    {"log_softmax", softmax_entry<Fused::log_softmax, false>},
    {"softmin", softmax_entry<Fused::softmax, true>},
    {"masked_softmax", masked_softmax},
    {"cumsum", scan<op::Add>},
    {"cumprod", scan<op::Multiply>},
    {"logcumsumexp", scan<op::LogAddExp>},
    {"max", extreme<true, true>},
    {"min", extreme<false, true>},
    {"argmax", extreme<true, false>},
    {"argmin", extreme<false, false>},
    {"median", median},
    {"quantile", quantile},
    {"cummax", running<true>},
    {"cummin", running<false>},
    {"sort", sort<true>},
    {"argsort", sort<false>},
    {"topk", topk},
    {"kthvalue", kthvalue}};

}  // namespace detail

template <class>
std::span<const Operation> reduce_operations() {
  return detail::reduce_table;
}

}  // namespace tenon::inline TENON_ISA::registry
