// SPDX-License-Identifier: Apache-2.0
// Any<T>: a whole tensor as a kind of value. An operation's backward run on it goes operation by
// operation, through the door, which is what makes it differentiable and traceable again.
#pragma once
#include <tenon/kernel/door.hpp>

namespace tenon::inline TENON_ISA {

/// A tensor computing in T, or a number.
template <class T>
struct Any {
  using Scalar = T;
  AnyTensor tensor;

  Any() = default;
  explicit Any(AnyTensor t) : tensor(std::move(t)) {}
  template <class S>
    requires std::is_arithmetic_v<S>
  explicit Any(S x) : tensor(constant(static_cast<double>(x), Extents{})) {}

  /// A tensor all of whose elements are x.
  static AnyTensor constant(double x, const Extents& e) {
    AnyTensor t = AnyTensor::empty(dtype_of<T>, e);
    T* p = static_cast<T*>(t.raw_writable());
    for (Index i = 0, n = t.size(); i < n; ++i) p[i] = static_cast<T>(x);
    return t;
  }

  template <class Op>
  TENON_COLD static Any apply(std::initializer_list<AnyTensor> operands) {
    ++kernel::counters().single;
    return Any(kernel::evaluate(*op_info<Op, T>.single, operands.begin(),
                                static_cast<int>(operands.size()), nullptr, GroupCall{},
                                dtype_of<T>, Context::current()));
  }

  friend Any operator+(const Any& a, const Any& b) { return apply<op::Add>({a.tensor, b.tensor}); }
  friend Any operator-(const Any& a, const Any& b) {
    return apply<op::Subtract>({a.tensor, b.tensor});
  }
  friend Any operator*(const Any& a, const Any& b) {
    return apply<op::Multiply>({a.tensor, b.tensor});
  }
  friend Any operator/(const Any& a, const Any& b) {
    return apply<op::Divide>({a.tensor, b.tensor});
  }
  friend Any operator-(const Any& a) { return apply<op::Negative>({a.tensor}); }
  friend Any operator==(const Any& a, const Any& b) {
    return apply<op::Equal>({a.tensor, b.tensor});
  }
  friend Any operator!=(const Any& a, const Any& b) {
    return apply<op::NotEqual>({a.tensor, b.tensor});
  }
  friend Any operator<(const Any& a, const Any& b) { return apply<op::Less>({a.tensor, b.tensor}); }
  friend Any operator<=(const Any& a, const Any& b) {
    return apply<op::LessEqual>({a.tensor, b.tensor});
  }
  friend Any operator>(const Any& a, const Any& b) {
    return apply<op::Greater>({a.tensor, b.tensor});
  }
  friend Any operator>=(const Any& a, const Any& b) {
    return apply<op::GreaterEqual>({a.tensor, b.tensor});
  }
  friend Any operator&(const Any& a, const Any& b) {
    return apply<op::LogicalAnd>({a.tensor, b.tensor});
  }
  friend Any operator|(const Any& a, const Any& b) {
    return apply<op::LogicalOr>({a.tensor, b.tensor});
  }
  friend Any operator^(const Any& a, const Any& b) {
    return apply<op::LogicalXor>({a.tensor, b.tensor});
  }
  friend Any operator!(const Any& a) { return apply<op::LogicalNot>({a.tensor}); }
  friend Any select(const Any& c, const Any& a, const Any& b) {
    return apply<op::Where>({c.tensor, a.tensor, b.tensor});
  }
  friend Any max(const Any& a, const Any& b) { return apply<op::Maximum>({a.tensor, b.tensor}); }
  friend Any min(const Any& a, const Any& b) { return apply<op::Minimum>({a.tensor, b.tensor}); }
  friend Any pow(const Any& a, const Any& b) { return apply<op::Power>({a.tensor, b.tensor}); }
  friend Any abs(const Any& a) { return apply<op::Abs>({a.tensor}); }
  friend Any exp(const Any& a) { return apply<op::Exp>({a.tensor}); }
  friend Any exp2(const Any& a) { return apply<op::Exp2>({a.tensor}); }
  friend Any expm1(const Any& a) { return apply<op::Expm1>({a.tensor}); }
  friend Any log(const Any& a) { return apply<op::Log>({a.tensor}); }
  friend Any log2(const Any& a) { return apply<op::Log2>({a.tensor}); }
  friend Any log10(const Any& a) { return apply<op::Log10>({a.tensor}); }
  friend Any log1p(const Any& a) { return apply<op::Log1p>({a.tensor}); }
  friend Any sin(const Any& a) { return apply<op::Sin>({a.tensor}); }
  friend Any cos(const Any& a) { return apply<op::Cos>({a.tensor}); }
  friend Any tanh(const Any& a) { return apply<op::Tanh>({a.tensor}); }
  friend Any sqrt(const Any& a) { return apply<op::Sqrt>({a.tensor}); }
  friend Any rsqrt(const Any& a) { return apply<op::Rsqrt>({a.tensor}); }
  friend Any erf(const Any& a) { return apply<op::Erf>({a.tensor}); }
  friend Any floor(const Any& a) { return apply<op::Floor>({a.tensor}); }
  friend Any ceil(const Any& a) { return apply<op::Ceil>({a.tensor}); }
  friend Any round(const Any& a) { return apply<op::Round>({a.tensor}); }
  friend Any trunc(const Any& a) { return apply<op::Trunc>({a.tensor}); }
};

namespace detail {

/// Positions 0, 1, ... along the reduced axes, shaped to broadcast against the row's extents.
template <class T>
AnyTensor positions(const Extents& row, std::uint32_t axes) {
  Extents e;
  e.rank = row.rank;
  for (int i = 0; i < row.rank; ++i) e.extent[i] = axes >> i & 1 ? row.extent[i] : 1;
  AnyTensor t = AnyTensor::empty(dtype_of<T>, e);
  T* p = static_cast<T*>(t.raw_writable());
  for (Index i = 0, n = t.size(); i < n; ++i) p[i] = static_cast<T>(i);
  return t;
}

template <class Op, class T>
TENON_COLD void backward_any(const OpCall& c, AnyTensor* gradient) {
  using V = Any<T>;
  if constexpr (!std::is_floating_point_v<T>) {
    (void)c, (void)gradient;
  } else if constexpr (!requires { Op::differentiable; }) {
    V x(c.operand[0]), y(c.y), kept;
    Index n = 1;
    for (int i = 0; i < c.row.rank; ++i) n *= c.axes >> i & 1 ? c.row.extent[i] : 1;
    V index;
    if constexpr (std::is_same_v<Op, op::Pick>) index = V(positions<T>(c.row, c.axes));
    if constexpr (std::is_same_v<Op, op::Max> || std::is_same_v<Op, op::Min>) {
      AnyTensor ties = (x == y).tensor;
      GroupCall how;
      how.axes = c.axes, how.keepdims = true;
      kept = V(kernel::evaluate(*op_info<op::Sum, T>.single, &ties, 1, nullptr, how, dtype_of<T>,
                                Context{}));
    }
    gradient[0] =
        Op::template backward<V>(x, V(c.operand[1]), y, kept, V(c.dy), V(n), index).tensor;
  } else if constexpr (Op::arity == 1) {
    gradient[0] = Op::backward(V(c.operand[0]), V(c.y), V(c.dy)).tensor;
  } else if constexpr (Op::arity == 2) {
    auto g = Op::backward(V(c.operand[0]), V(c.operand[1]), V(c.y), V(c.dy));
    gradient[0] = g.first.tensor, gradient[1] = g.second.tensor;
  } else {
    auto g = Op::backward(V(c.operand[0]), V(c.operand[1]), V(c.operand[2]), V(c.y), V(c.dy));
    gradient[0] = g.first.tensor, gradient[1] = g.second.tensor, gradient[2] = g.third.tensor;
  }
}

}  // namespace detail
}  // namespace tenon
