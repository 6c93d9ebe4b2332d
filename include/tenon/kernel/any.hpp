// SPDX-License-Identifier: Apache-2.0
// Any<T>: a whole tensor as a kind of value. An operation's backward run on it goes operation by
// operation, through the door, which is what makes it differentiable and traceable again.
#pragma once
#include <tenon/kernel/door.hpp>

namespace tenon::inline TENON_ISA {

namespace detail {

/// The call that values of the kind Any are numbers of, on this thread.
inline OpCall*& open_call() {
  thread_local constinit OpCall* call = nullptr;
  return call;
}
inline int keep_value(AnyTensor t) {
  OpCall& c = *open_call();
  if (c.count == OpCall::room)
    fail(Error::unsupported, {"backward: more than 91 intermediate values"});
  c.value[c.count].swap(t);
  return c.count++;
}
TENON_COLD inline int any_number(Dtype dtype, double x) {
  return keep_value(kernel::filled(dtype, Extents{}, x));
}
TENON_COLD inline int any_apply(const OpInfo& op, int a, int b, int c) {
  ++kernel::counters().single;
  const int number[3] = {a, b, c};
  AnyTensor in[3];
  for (int s = 0; s < op.arity; ++s) in[s] = open_call()->value[number[s]];
  return keep_value(kernel::evaluate(*op.single, in, op.arity, nullptr, GroupCall{},
                                     op.single->compute, Context::current()));
}

}  // namespace detail

/// A tensor computing in T, or a number: one of the values of the OpCall that is open. Trivial, so
/// that the backward of an operation on it is a list of calls.
template <class T>
struct Any {
  using Scalar = T;
  int number = 0;

  Any() = default;
  template <class S>
    requires std::is_arithmetic_v<S>
  explicit Any(S x) : number(detail::any_number(dtype_of<T>, static_cast<double>(x))) {}
  static Any at(int number) {
    Any a;
    a.number = number;
    return a;
  }
  template <class Op>
  static Any apply(Any a, Any b = {}, Any c = {}) {
    return at(detail::any_apply(op_info<Op, T>, a.number, b.number, c.number));
  }

  friend Any operator+(Any a, Any b) { return apply<op::Add>(a, b); }
  friend Any operator-(Any a, Any b) { return apply<op::Subtract>(a, b); }
  friend Any operator*(Any a, Any b) { return apply<op::Multiply>(a, b); }
  friend Any operator/(Any a, Any b) { return apply<op::Divide>(a, b); }
  friend Any operator-(Any a) { return apply<op::Negative>(a); }
  friend Any operator==(Any a, Any b) { return apply<op::Equal>(a, b); }
  friend Any operator!=(Any a, Any b) { return apply<op::NotEqual>(a, b); }
  friend Any operator<(Any a, Any b) { return apply<op::Less>(a, b); }
  friend Any operator<=(Any a, Any b) { return apply<op::LessEqual>(a, b); }
  friend Any operator>(Any a, Any b) { return apply<op::Greater>(a, b); }
  friend Any operator>=(Any a, Any b) { return apply<op::GreaterEqual>(a, b); }
  friend Any operator&(Any a, Any b) { return apply<op::LogicalAnd>(a, b); }
  friend Any operator|(Any a, Any b) { return apply<op::LogicalOr>(a, b); }
  friend Any operator^(Any a, Any b) { return apply<op::LogicalXor>(a, b); }
  friend Any operator!(Any a) { return apply<op::LogicalNot>(a); }
  friend Any select(Any c, Any a, Any b) { return apply<op::Where>(c, a, b); }
  friend Any max(Any a, Any b) { return apply<op::Maximum>(a, b); }
  friend Any min(Any a, Any b) { return apply<op::Minimum>(a, b); }
  friend Any pow(Any a, Any b) { return apply<op::Power>(a, b); }
  friend Any abs(Any a) { return apply<op::Abs>(a); }
  friend Any exp(Any a) { return apply<op::Exp>(a); }
  friend Any exp2(Any a) { return apply<op::Exp2>(a); }
  friend Any expm1(Any a) { return apply<op::Expm1>(a); }
  friend Any log(Any a) { return apply<op::Log>(a); }
  friend Any log2(Any a) { return apply<op::Log2>(a); }
  friend Any log10(Any a) { return apply<op::Log10>(a); }
  friend Any log1p(Any a) { return apply<op::Log1p>(a); }
  friend Any sin(Any a) { return apply<op::Sin>(a); }
  friend Any cos(Any a) { return apply<op::Cos>(a); }
  friend Any tanh(Any a) { return apply<op::Tanh>(a); }
  friend Any sqrt(Any a) { return apply<op::Sqrt>(a); }
  friend Any rsqrt(Any a) { return apply<op::Rsqrt>(a); }
  friend Any erf(Any a) { return apply<op::Erf>(a); }
  friend Any floor(Any a) { return apply<op::Floor>(a); }
  friend Any ceil(Any a) { return apply<op::Ceil>(a); }
  friend Any round(Any a) { return apply<op::Round>(a); }
  friend Any trunc(Any a) { return apply<op::Trunc>(a); }
};

namespace detail {

/// Positions 0, 1, ... along the reduced axes, shaped to broadcast against the row's extents.
TENON_COLD inline AnyTensor positions(Dtype dtype, const Extents& row, std::uint32_t axes,
                                      Device d) {
  Extents e;
  e.rank = row.rank;
  for (int i = 0; i < row.rank; ++i) e.extent[i] = axes >> i & 1 ? row.extent[i] : 1;
  return kernel::counted(dtype, e, d);
}

// Where the operands that backward reads lie.
TENON_COLD inline Device device_of(const OpCall& c) {
  for (const AnyTensor& t : c.value)
    if (t.defined() && t.get()->place) return t.device();
  return cpu;
}

template <class Op, class T>
TENON_COLD void backward_any(OpCall& c, int* gradient) {
  using V = Any<T>;
  const V a = V::at(0), b = V::at(1), y = V::at(OpCall::y), dy = V::at(OpCall::dy);
  if constexpr (!std::is_floating_point_v<T>) {
    (void)c, (void)gradient;
  } else if constexpr (!requires { Op::differentiable; }) {
    V kept, index;
    Index n = 1;
    for (int i = 0; i < c.row.rank; ++i) n *= c.axes >> i & 1 ? c.row.extent[i] : 1;
    if constexpr (std::is_same_v<Op, op::Pick>)
      index = V::at(keep_value(positions(dtype_of<T>, c.row, c.axes, device_of(c))));
    if constexpr (std::is_same_v<Op, op::Max> || std::is_same_v<Op, op::Min>) {
      const AnyTensor ties = c.value[(a == y).number];
      GroupCall how;
      how.axes = c.axes, how.keepdims = true;
      kept = V::at(keep_value(kernel::evaluate(*op_info<op::Sum, T>.single, &ties, 1, nullptr, how,
                                               dtype_of<T>, Context{})));
    }
    gradient[0] = Op::template backward<V>(a, b, y, kept, dy, V(n), index).number;
  } else if constexpr (Op::arity == 1) {
    gradient[0] = Op::backward(a, y, dy).number;
  } else if constexpr (Op::arity == 2) {
    auto g = Op::backward(a, b, y, dy);
    gradient[0] = g.first.number, gradient[1] = g.second.number;
  } else {
    auto g = Op::backward(a, b, V::at(2), y, dy);
    gradient[0] = g.first.number, gradient[1] = g.second.number, gradient[2] = g.third.number;
  }
}

}  // namespace detail
}  // namespace tenon
