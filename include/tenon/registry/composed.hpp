// SPDX-License-Identifier: Apache-2.0
// Element-wise operations that are formulas of others.
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/registry/gather.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

inline constexpr double pi = 3.14159265358979323846;

/// Names a formula of one tensor.
template <Value (*F)(const Value&)>
Results unary(const Arguments& a) {
  a.takes(1);
  return {F(a[0])};
}
template <Value (*F)(const Value&, const Value&)>
Results binary(const Arguments& a) {
  a.takes(2);
  return {F(a[0], a[1])};
}

inline Value degrees(const Value& x) { return x * (180 / pi); }
inline Value radians(const Value& x) { return x * (pi / 180); }
inline Value tan(const Value& x) { return sin(x) / cos(x); }
inline Value cosh(const Value& x) { return 0.5 * (exp(x) + exp(-x)); }
inline Value frac(const Value& x) { return x - trunc(constant(x)); }
inline Value relu6(const Value& x) { return clamp(x, 0, 6); }
/// Source: Klambauer et al., Self-normalizing neural networks, 2017.
inline Value selu(const Value& x) {
  return 1.0507009873554804934 * Value::apply<op::Elu>(x, x.like(1.6732632423543772848));
}
inline Value mish(const Value& x) { return x * tanh(softplus(x)); }
inline Value softsign(const Value& x) { return x / (1 + abs(x)); }
inline Value hard_swish(const Value& x) { return x * clamp(x / 6 + 0.5, 0, 1); }
inline Value tanhshrink(const Value& x) { return x - tanh(x); }
inline Value is_zero(const Value& x) { return equal(x, x.like(0)); }

inline Results leaky_relu(const Arguments& a) {
  const Value x(a[0]);
  a.takes(1);
  return {Value::apply<op::Prelu>(x, x.like(a.number("slope", 0.01)))};
}
inline Results hard_tanh(const Arguments& a) {
  a.takes(1);
  return {clamp(Value(a[0]), a.number("min", -1), a.number("max", 1))};
}
inline Results softshrink(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const double l = a.number("lambd", 0.5);
  return {where(x > l, x - l, where(x < -l, x + l, x * 0))};
}
inline Results hardshrink(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const double l = a.number("lambd", 0.5);
  return {where(logical_and(x >= -l, x <= l), 0.0, x)};
}
inline Results threshold(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  return {where(x <= a.number("threshold"), a.number("value"), x)};
}
/// x^exponent; 0.5, -0.5 and 2 are sqrt, rsqrt and square, also for negative infinity, as in
/// PyTorch.
inline Results power_scalar(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const double exponent = a.number("exponent");
  if (exponent == 0.5) return {sqrt(x)};
  if (exponent == -0.5) return {rsqrt(x)};
  return {exponent == 2 ? square(x) : pow(x, exponent)};
}
/// a sigmoid(b), a and b the halves along an axis.
inline Results glu(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank(), -1);
  const Index n = x.t.extent(axis);
  if (n % 2)
    a.wrong("axis " + std::to_string(axis) + " of " + to_string(x.extents()) + " has no halves",
            Error::shape);
  return {slice(x, axis, 0, n / 2) * Value::apply<op::Sigmoid>(slice(x, axis, n / 2, n / 2))};
}
/// sqrt(a^2 + b^2) without overflow; infinite where a or b is, whatever the other.
inline Value hypot(const Value& a, const Value& b) {
  const Value x = abs(a), y = abs(b), most = maximum(x, y), least = minimum(x, y);
  const Value scale = where(is_zero(most), 1.0, most);
  const Value r = most * sqrt(1 + square(least / scale));
  return where(logical_or(isinf(x), isinf(y)), std::numeric_limits<double>::infinity(), r);
}
inline Value fmax(const Value& a, const Value& b) {
  return where(isnan(a), b, where(isnan(b), a, maximum(a, b)));
}
inline Value fmin(const Value& a, const Value& b) {
  return where(isnan(a), b, where(isnan(b), a, minimum(a, b)));
}
/// a log(b), 0 where a is 0 (NaN where b is NaN).
inline Value xlogy(const Value& a, const Value& b) {
  return where(isnan(b), b, where(is_zero(a), 0.0, a * log(where(is_zero(a), 1.0, b))));
}
inline Value logaddexp2(const Value& a, const Value& b) {
  constexpr double ln2 = 0.69314718055994530942;
  return Value::apply<op::LogAddExp>(a * ln2, b * ln2) / ln2;
}
inline Value smooth_l1_of(const Value& d, double beta) {
  const Value x = abs(d);
  return where(x < beta, square(d) * (0.5 / beta), x - 0.5 * beta);
}
inline Value smooth_l1(const Value& a, const Value& b) { return smooth_l1_of(a - b, 1); }
inline Results addcmul(const Arguments& a) {
  a.takes(3);
  return {Value(a[0]) + a.number("value", 1) * Value(a[1]) * Value(a[2])};
}
inline Results addcdiv(const Arguments& a) {
  a.takes(3);
  return {Value(a[0]) + a.number("value", 1) * Value(a[1]) / Value(a[2])};
}

inline constexpr Operation composed_table[] = {{"degrees", unary<degrees>},
                                               {"radians", unary<radians>},
                                               {"tan", unary<tan>},
                                               {"cosh", unary<cosh>},
                                               {"frac", unary<frac>},
                                               {"relu6", unary<relu6>},
                                               {"selu", unary<selu>},
                                               {"mish", unary<mish>},
                                               {"softsign", unary<softsign>},
                                               {"hard_swish", unary<hard_swish>},
                                               {"tanhshrink", unary<tanhshrink>},
                                               {"leaky_relu", leaky_relu},
                                               {"hard_tanh", hard_tanh},
                                               {"softshrink", softshrink},
                                               {"hardshrink", hardshrink},
                                               {"threshold", threshold},
                                               {"power_scalar", power_scalar},
                                               {"glu", glu},
                                               {"hypot", binary<hypot>},
                                               {"fmax", binary<fmax>},
                                               {"fmin", binary<fmin>},
                                               {"xlogy", binary<xlogy>},
                                               {"logaddexp2", binary<logaddexp2>},
                                               {"smooth_l1", binary<smooth_l1>},
                                               {"addcmul", addcmul},
                                               {"addcdiv", addcdiv}};

}  // namespace detail

template <class>
std::span<const Operation> composed_operations() {
  return detail::composed_table;
}

}  // namespace tenon::inline TENON_ISA::registry
