// SPDX-License-Identifier: Apache-2.0
// A whole tensor as a value with operators, its dtype known at run time: the formulas of the
// registry are written
// with it, so that none of them is compiled once per dtype.
#pragma once
#include <tenon/registry/table.hpp>

#include <span>

namespace tenon::inline TENON_ISA::registry {

/// The dtype of a result of these operands. Errors: operands of different dtypes -> Error::dtype;
/// bool and u8
/// follow the others.
inline Dtype common_dtype(const char* name, std::span<const AnyTensor> operands) {
  auto weak = [](Dtype d) { return d == Dtype::boolean || d == Dtype::u8; };
  Dtype d = operands[0].dtype();
  for (const AnyTensor& t : operands) {
    if (t.dtype() == d || weak(t.dtype())) {
      if (weak(d) && t.dtype() == Dtype::u8) d = Dtype::u8;
      continue;
    }
    if (!weak(d))
      fail(Error::dtype, {name, ": operands of dtype ", name_of(d), " and ", name_of(t.dtype())});
    d = t.dtype();
  }
  return d;
}

/// An element-wise operation by its number in op::Elementwise; extents broadcast. `pattern`: which
/// operands decide
/// the dtype. Errors: dtype, shape.
inline AnyTensor map(int number, std::initializer_list<AnyTensor> operands) {
  const std::span<const AnyTensor> all(operands.begin(), operands.size());
  // A condition is no operand of the computation.
  const bool condition = number == op::number<op::Where>;
  const char* name = elementwise(number, Dtype::f32)->name;
  const Dtype d = common_dtype(name, condition ? all.subspan(1) : all);
  const OpInfo* op = elementwise(number, compute_type(d));
  if (!op) fail(Error::dtype, {name, ": takes floating-point tensors, not ", name_of(d)});
  return kernel::evaluate(*op->single, all.data(), static_cast<int>(all.size()), nullptr,
                          GroupCall{}, op->boolean ? Dtype::boolean : d, Context::current());
}

/// A tensor of rank 0.
inline AnyTensor number_tensor(Dtype d, double x) {
  AnyTensor t = AnyTensor::empty(d, Extents{});
  convert(Dtype::f64, &x, 1, d, t.raw_writable(), 1, 1);
  return t;
}
/// All elements x.
inline AnyTensor filled(Dtype d, const Extents& e, double x) {
  AnyTensor t = AnyTensor::empty(d, e);
  convert(Dtype::f64, &x, 0, d, t.raw_writable(), 1, e.size());
  return t;
}

/// A tensor with arithmetic; a plain number takes its dtype.
struct Value {
  AnyTensor t;

  Value() = default;
  Value(AnyTensor x) : t(std::move(x)) {}
  operator const AnyTensor&() const { return t; }
  Dtype dtype() const { return t.dtype(); }
  Extents extents() const { return t.extents(); }
  int rank() const { return t.rank(); }
  Value like(double x) const { return Value(number_tensor(dtype(), x)); }

  template <class Op>
  static Value apply(const Value& a) {
    return map(op::number<Op>, {a.t});
  }
  template <class Op>
  static Value apply(const Value& a, const Value& b) {
    return map(op::number<Op>, {a.t, b.t});
  }

  friend Value operator+(const Value& a, const Value& b) { return apply<op::Add>(a, b); }
  friend Value operator-(const Value& a, const Value& b) { return apply<op::Subtract>(a, b); }
  friend Value operator*(const Value& a, const Value& b) { return apply<op::Multiply>(a, b); }
  friend Value operator/(const Value& a, const Value& b) { return apply<op::Divide>(a, b); }
  friend Value operator+(const Value& a, double b) { return a + a.like(b); }
  friend Value operator-(const Value& a, double b) { return a - a.like(b); }
  friend Value operator*(const Value& a, double b) { return a * a.like(b); }
  friend Value operator/(const Value& a, double b) { return a / a.like(b); }
  friend Value operator+(double a, const Value& b) { return b.like(a) + b; }
  friend Value operator-(double a, const Value& b) { return b.like(a) - b; }
  friend Value operator*(double a, const Value& b) { return b.like(a) * b; }
  friend Value operator/(double a, const Value& b) { return b.like(a) / b; }
  friend Value operator-(const Value& a) { return apply<op::Negative>(a); }
  friend Value operator<(const Value& a, double b) { return apply<op::Less>(a, a.like(b)); }
  friend Value operator<=(const Value& a, double b) { return apply<op::LessEqual>(a, a.like(b)); }
  friend Value operator>(const Value& a, double b) { return apply<op::Greater>(a, a.like(b)); }
  friend Value operator>=(const Value& a, double b) {
    return apply<op::GreaterEqual>(a, a.like(b));
  }
  friend Value equal(const Value& a, const Value& b) { return apply<op::Equal>(a, b); }
  friend Value less(const Value& a, const Value& b) { return apply<op::Less>(a, b); }
  friend Value exp(const Value& a) { return apply<op::Exp>(a); }
  friend Value log(const Value& a) { return apply<op::Log>(a); }
  friend Value log1p(const Value& a) { return apply<op::Log1p>(a); }
  friend Value abs(const Value& a) { return apply<op::Abs>(a); }
  friend Value sqrt(const Value& a) { return apply<op::Sqrt>(a); }
  friend Value rsqrt(const Value& a) { return apply<op::Rsqrt>(a); }
  friend Value square(const Value& a) { return apply<op::Square>(a); }
  friend Value sign(const Value& a) { return apply<op::Sign>(a); }
  friend Value sin(const Value& a) { return apply<op::Sin>(a); }
  friend Value cos(const Value& a) { return apply<op::Cos>(a); }
  friend Value tanh(const Value& a) { return apply<op::Tanh>(a); }
  friend Value relu(const Value& a) { return apply<op::Relu>(a); }
  friend Value softplus(const Value& a) { return apply<op::Softplus>(a); }
  friend Value log_sigmoid(const Value& a) { return apply<op::LogSigmoid>(a); }
  friend Value floor(const Value& a) { return apply<op::Floor>(a); }
  friend Value trunc(const Value& a) { return apply<op::Trunc>(a); }
  friend Value isnan(const Value& a) { return apply<op::IsNan>(a); }
  friend Value isinf(const Value& a) { return apply<op::IsInf>(a); }
  friend Value logical_and(const Value& a, const Value& b) { return apply<op::LogicalAnd>(a, b); }
  friend Value logical_or(const Value& a, const Value& b) { return apply<op::LogicalOr>(a, b); }
  friend Value logical_not(const Value& a) { return apply<op::LogicalNot>(a); }
  friend Value pow(const Value& a, const Value& b) { return apply<op::Power>(a, b); }
  friend Value pow(const Value& a, double b) { return pow(a, a.like(b)); }
  friend Value maximum(const Value& a, const Value& b) { return apply<op::Maximum>(a, b); }
  friend Value maximum(const Value& a, double b) { return maximum(a, a.like(b)); }
  friend Value minimum(const Value& a, const Value& b) { return apply<op::Minimum>(a, b); }
  friend Value minimum(const Value& a, double b) { return minimum(a, a.like(b)); }
  friend Value clamp(const Value& a, double low, double high) {
    return map(op::number<op::Clamp>, {a.t, a.like(low).t, a.like(high).t});
  }
  friend Value where(const Value& c, const Value& a, const Value& b) {
    return map(op::number<op::Where>, {c.t, a.t, b.t});
  }
  friend Value where(const Value& c, const Value& a, double b) { return where(c, a, a.like(b)); }
  friend Value where(const Value& c, double a, const Value& b) { return where(c, b.like(a), b); }
};

/// x as a constant: nothing flows back through it.
inline Value constant(const Value& x) { return Value(x.t.clone()); }

inline std::uint32_t all_axes(const Value& x) { return (1u << x.rank()) - 1; }

/// A reduction over the axes (bits), by its kernel. Errors: dtype. dtype of the result: x's.
template <class R>
Value reduce(const Value& x, std::uint32_t axes, bool keep) {
  const OpInfo* op = reduction<R>(compute_type(x.dtype()));
  if (!op)
    fail(Error::dtype, {R::name, ": takes floating-point tensors, not ", name_of(x.dtype())});
  GroupCall how;
  how.axes = axes, how.keepdims = keep;
  AnyTensor in[2] = {x.t, {}};
  if constexpr (R::arity == 2) {  // logsumexp: its shift has one value a row
    in[1] = reduce<op::Peak>(x, axes, keep).t;
    how.dropped_leaves = keep ? 0 : 2;
  }
  return kernel::evaluate(*op->single, in, R::arity, nullptr, how, x.dtype(), Context::current());
}
inline Value sum(const Value& x, std::uint32_t axes, bool keep = false) {
  return reduce<op::Sum>(x, axes, keep);
}
inline Value mean(const Value& x, std::uint32_t axes, bool keep = false) {
  return reduce<op::Mean>(x, axes, keep);
}
inline Value amax(const Value& x, std::uint32_t axes, bool keep = false) {
  return reduce<op::Max>(x, axes, keep);
}
inline Value amin(const Value& x, std::uint32_t axes, bool keep = false) {
  return reduce<op::Min>(x, axes, keep);
}

/// The same elements in other extents. Errors: another number of elements -> Error::shape.
inline Value reshape(const Value& x, const Extents& e) {
  return kernel::reshape(x.t, e, Context::current());
}
/// With one axis of extent 1 more.
inline Value unsqueeze(const Value& x, int axis) {
  Extents e = x.extents();
  if (e.rank == max_rank)
    fail(Error::shape, {"unsqueeze: ", e, " has as many axes as a tensor can have"});
  for (int i = e.rank++; i > axis; --i) e.extent[i] = e.extent[i - 1];
  e.extent[axis] = 1;
  return reshape(x, e);
}

/// softmax or log_softmax over the axes, one kernel. The shift is a constant: neither value nor
/// gradient depend on it.
inline Value softmax(const Value& x, std::uint32_t axes, Fused which = Fused::softmax) {
  const char* name = which == Fused::softmax ? "softmax" : "log_softmax";
  const StatementInfo* info = fused(which, compute_type(x.dtype()));
  if (!info) fail(Error::dtype, {name, ": takes floating-point tensors, not ", name_of(x.dtype())});
  AnyTensor peak;
  {
    Paused none;
    peak = amax(x, axes, true).t;
  }
  const AnyTensor in[2] = {x.t, peak};
  GroupCall how;
  how.axes = axes, how.keepdims = true;
  return kernel::evaluate(*info, in, 2, nullptr, how, x.dtype(), Context::current());
}
inline Value log_softmax(const Value& x, std::uint32_t axes) {
  return softmax(x, axes, Fused::log_softmax);
}

/// (x - mean) / sqrt(variance + epsilon) over the axes, one kernel.
inline Value normalise(const Value& x, std::uint32_t axes, double epsilon) {
  const StatementInfo* info = fused(Fused::normalise, compute_type(x.dtype()));
  if (!info)
    fail(Error::dtype, {"layer_norm: takes floating-point tensors, not ", name_of(x.dtype())});
  GroupCall how;
  how.axes = axes, how.keepdims = true;
  return kernel::evaluate(*info, &x.t, 1, &epsilon, how, x.dtype(), Context::current());
}

}  // namespace tenon::inline TENON_ISA::registry
