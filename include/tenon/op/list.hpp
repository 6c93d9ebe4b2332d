// SPDX-License-Identifier: Apache-2.0
// The list of element-wise operations. Everything that loops over operations loops over this list.
#pragma once
#include <tenon/op/activation.hpp>
#include <tenon/op/arithmetic.hpp>
#include <tenon/op/choice.hpp>
#include <tenon/op/compare.hpp>
#include <tenon/op/exponential.hpp>
#include <tenon/op/rounding.hpp>
#include <tenon/op/trigonometric.hpp>

#include <type_traits>
#include <utility>

namespace tenon::inline TENON_ISA::op {

template <class... Ops>
struct TypeList {
  static constexpr int size = static_cast<int>(sizeof...(Ops));
};

/// Every element-wise operation. An operation's number is its place here; it is written into files,
/// so new ones are added at the end and none is ever moved.
using Elementwise =
    TypeList<Negative, Abs, Sign, Square, Sqrt, Rsqrt, Reciprocal, Exp, Exp2, Expm1, Log, Log2,
             Log10, Log1p, Sin, Cos, Tanh, Sigmoid, Relu, Gelu, GeluTanh, Silu, Softplus,
             LogSigmoid, Erf, Floor, Ceil, Round, Trunc, IsNan, IsInf, IsFinite, LogicalNot, Add,
             Subtract, Multiply, Divide, Power, Maximum, Minimum, Equal, NotEqual, Less, LessEqual,
             Greater, GreaterEqual, LogicalAnd, LogicalOr, LogicalXor, Prelu, Elu, LogAddExp, Where,
             Clamp, Lerp>;

namespace detail {
// One class derived from all (number, operation) pairs: the compiler finds a base from either half
// without a recursion of templates.
template <int I, class Op>
struct Entry {
  using type = Op;
};
template <class Numbers, class List>
struct Table;
template <int... I, class... Ops>
struct Table<std::integer_sequence<int, I...>, TypeList<Ops...>> : Entry<I, Ops>... {};
using ElementwiseTable = Table<std::make_integer_sequence<int, Elementwise::size>, Elementwise>;

template <class Op, int I>
std::integral_constant<int, I> number_of(const Entry<I, Op>*);
template <int I, class Op>
Entry<I, Op> entry_at(const Entry<I, Op>*);
}  // namespace detail

/// The number of Op in the list.
template <class Op>
inline constexpr int number =
    decltype(detail::number_of<Op>(static_cast<const detail::ElementwiseTable*>(nullptr)))::value;

/// The operation numbered I.
template <int I>
using At = typename decltype(detail::entry_at<I>(
    static_cast<const detail::ElementwiseTable*>(nullptr)))::type;

}  // namespace tenon::inline TENON_ISA::op
