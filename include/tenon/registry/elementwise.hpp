// SPDX-License-Identifier: Apache-2.0
// The operations of op::Elementwise by name, one kernel each.
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/registry/value.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

/// The operation of this number on all tensors of the call.
template <int Number>
Results listed(const Arguments& a) {
  a.takes(op::At<Number>::arity);
  if constexpr (op::At<Number>::arity == 1) return {map(Number, {a[0]})};
  else if constexpr (op::At<Number>::arity == 2) return {map(Number, {a[0], a[1]})};
  else return {map(Number, {a[0], a[1], a[2]})};
}
template <class Op>
constexpr Operation entry(const char* name = Op::name) {
  return {name, listed<op::number<Op>>};
}
/// Attributes, or tensors, for the operands after the first.
inline Results clamp_entry(const Arguments& a) {
  if (a.size() == 3) return {map(op::number<op::Clamp>, {a[0], a[1], a[2]})};
  a.takes(1);
  Value x(a[0]);
  if (a.has("min") && a.has("max")) return {clamp(x, a.number("min"), a.number("max"))};
  if (a.has("min")) return {maximum(x, a.number("min"))};
  return {minimum(x, a.number("max"))};
}
inline Results gelu_entry(const Arguments& a) {
  a.takes(1);
  const std::string how = a.text("approximate", "none");
  if (how != "none" && how != "tanh")
    a.wrong("approximate must be \"none\" or \"tanh\", not \"" + how + "\"");
  return {how == "tanh" ? Value::apply<op::GeluTanh>(a[0]) : Value::apply<op::Gelu>(a[0])};
}
/// softplus(beta x) / beta, x above the threshold.
inline Results softplus_entry(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const double beta = a.number("beta", 1), threshold = a.number("threshold", 20);
  const Value z = x * beta;
  return {where(z > threshold, x, softplus(z) / beta)};
}
inline Results elu_entry(const Arguments& a) {
  if (a.size() == 2) return {map(op::number<op::Elu>, {a[0], a[1]})};
  const Value x(a[0]);
  return {Value::apply<op::Elu>(x, x.like(a.number("alpha", 1)))};
}
/// x: [n, channels, ...]   slope: [channels] or []
inline Results prelu_entry(const Arguments& a) {
  a.takes(2);
  const Value x(a[0]), slope(a[1]);
  if (slope.rank() != 1 || x.rank() < 2) return {Value::apply<op::Prelu>(x, slope)};
  Extents e;
  e.rank = x.rank() - 1;
  std::fill_n(e.extent, e.rank, Index{1});
  e.extent[0] = slope.t.extent(0);
  return {Value::apply<op::Prelu>(x, reshape(slope, e))};
}

inline constexpr Operation elementwise_table[] = {
    entry<op::Negative>("neg"), entry<op::Negative>(),     entry<op::Abs>(),
    entry<op::Sign>(),          entry<op::Square>(),       entry<op::Sqrt>(),
    entry<op::Rsqrt>(),         entry<op::Reciprocal>(),   entry<op::Exp>(),
    entry<op::Exp2>(),          entry<op::Expm1>(),        entry<op::Log>(),
    entry<op::Log2>(),          entry<op::Log10>(),        entry<op::Log1p>(),
    entry<op::Sin>(),           entry<op::Cos>(),          entry<op::Tanh>(),
    entry<op::Sigmoid>(),       entry<op::Relu>(),         {"gelu", gelu_entry},
    entry<op::GeluTanh>(),      entry<op::Silu>(),         {"softplus", softplus_entry},
    entry<op::LogSigmoid>(),    entry<op::Erf>(),          entry<op::Floor>(),
    entry<op::Ceil>(),          entry<op::Round>(),        entry<op::Trunc>(),
    entry<op::IsNan>(),         entry<op::IsInf>(),        entry<op::IsFinite>(),
    entry<op::LogicalNot>(),    entry<op::Add>(),          entry<op::Subtract>(),
    entry<op::Multiply>(),      entry<op::Divide>(),       entry<op::Power>(),
    entry<op::Maximum>(),       entry<op::Minimum>(),      entry<op::Equal>(),
    entry<op::NotEqual>(),      entry<op::Less>(),         entry<op::LessEqual>(),
    entry<op::Greater>(),       entry<op::GreaterEqual>(), entry<op::LogicalAnd>(),
    entry<op::LogicalOr>(),     entry<op::LogicalXor>(),   {"prelu", prelu_entry},
    {"elu", elu_entry},         entry<op::LogAddExp>(),    entry<op::Where>(),
    {"clamp", clamp_entry},     entry<op::Lerp>()};

}  // namespace detail

template <class>
std::span<const Operation> elementwise_operations() {
  return detail::elementwise_table;
}

}  // namespace tenon::inline TENON_ISA::registry
