// SPDX-License-Identifier: Apache-2.0
// The element-wise functions by their NumPy and PyTorch names. Formulas, precision and gradients:
// op/.
#pragma once
#include <tenon/expr/map.hpp>

namespace tenon::inline TENON_ISA {

// clang-format off
/// y = |x|; the slope at 0 is 0.
template <TensorExpr X> constexpr auto abs(X&& x) { return map<op::Abs>(std::forward<X>(x)); }
/// y = -1, 0 or 1; 0 of NaN.
template <TensorExpr X> constexpr auto sign(X&& x) { return map<op::Sign>(std::forward<X>(x)); }
/// y = x^2.
template <TensorExpr X> constexpr auto square(X&& x) { return map<op::Square>(std::forward<X>(x)); }
/// y = sqrt(x); NaN below 0.
template <TensorExpr X> constexpr auto sqrt(X&& x) { return map<op::Sqrt>(std::forward<X>(x)); }
/// y = 1 / sqrt(x); infinity at 0, NaN below.
template <TensorExpr X> constexpr auto rsqrt(X&& x) { return map<op::Rsqrt>(std::forward<X>(x)); }
/// y = 1 / x.
template <TensorExpr X> constexpr auto reciprocal(X&& x) { return map<op::Reciprocal>(std::forward<X>(x)); }
/// y = e^x.
template <TensorExpr X> constexpr auto exp(X&& x) { return map<op::Exp>(std::forward<X>(x)); }
/// y = 2^x.
template <TensorExpr X> constexpr auto exp2(X&& x) { return map<op::Exp2>(std::forward<X>(x)); }
/// y = e^x - 1, without cancellation near 0.
template <TensorExpr X> constexpr auto expm1(X&& x) { return map<op::Expm1>(std::forward<X>(x)); }
/// y = ln x; -infinity at 0, NaN below.
template <TensorExpr X> constexpr auto log(X&& x) { return map<op::Log>(std::forward<X>(x)); }
/// y = log2 x; exact at powers of 2.
template <TensorExpr X> constexpr auto log2(X&& x) { return map<op::Log2>(std::forward<X>(x)); }
/// y = log10 x.
template <TensorExpr X> constexpr auto log10(X&& x) { return map<op::Log10>(std::forward<X>(x)); }
/// y = ln(1 + x), without cancellation near 0.
template <TensorExpr X> constexpr auto log1p(X&& x) { return map<op::Log1p>(std::forward<X>(x)); }
/// y = sin x, x in radians.
template <TensorExpr X> constexpr auto sin(X&& x) { return map<op::Sin>(std::forward<X>(x)); }
/// y = cos x, x in radians.
template <TensorExpr X> constexpr auto cos(X&& x) { return map<op::Cos>(std::forward<X>(x)); }
/// y = tanh x.
template <TensorExpr X> constexpr auto tanh(X&& x) { return map<op::Tanh>(std::forward<X>(x)); }
/// y = 1 / (1 + e^-x).
template <TensorExpr X> constexpr auto sigmoid(X&& x) { return map<op::Sigmoid>(std::forward<X>(x)); }
/// y = x where x > 0, else 0; the slope at 0 is 0.
template <TensorExpr X> constexpr auto relu(X&& x) { return map<op::Relu>(std::forward<X>(x)); }
/// y = x (1 + erf(x / sqrt 2)) / 2.
template <TensorExpr X> constexpr auto gelu(X&& x) { return map<op::Gelu>(std::forward<X>(x)); }
/// y = x (1 + tanh u) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3).
template <TensorExpr X> constexpr auto gelu_tanh(X&& x) { return map<op::GeluTanh>(std::forward<X>(x)); }
/// y = x / (1 + e^-x).
template <TensorExpr X> constexpr auto silu(X&& x) { return map<op::Silu>(std::forward<X>(x)); }
/// y = ln(1 + e^x), without overflow.
template <TensorExpr X> constexpr auto softplus(X&& x) { return map<op::Softplus>(std::forward<X>(x)); }
/// y = -ln(1 + e^-x), without overflow.
template <TensorExpr X> constexpr auto logsigmoid(X&& x) { return map<op::LogSigmoid>(std::forward<X>(x)); }
/// y = 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x.
template <TensorExpr X> constexpr auto erf(X&& x) { return map<op::Erf>(std::forward<X>(x)); }
/// y = the largest integral value <= x.
template <TensorExpr X> constexpr auto floor(X&& x) { return map<op::Floor>(std::forward<X>(x)); }
/// y = the smallest integral value >= x.
template <TensorExpr X> constexpr auto ceil(X&& x) { return map<op::Ceil>(std::forward<X>(x)); }
/// y = the nearest integral value; halves go to the even one.
template <TensorExpr X> constexpr auto round(X&& x) { return map<op::Round>(std::forward<X>(x)); }
/// y = x without its fraction.
template <TensorExpr X> constexpr auto trunc(X&& x) { return map<op::Trunc>(std::forward<X>(x)); }
/// y = (x is NaN): bool.
template <TensorExpr X> constexpr auto isnan(X&& x) { return map<op::IsNan>(std::forward<X>(x)); }
/// y = (x is +infinity or -infinity): bool.
template <TensorExpr X> constexpr auto isinf(X&& x) { return map<op::IsInf>(std::forward<X>(x)); }
/// y = (x is neither NaN nor infinite): bool.
template <TensorExpr X> constexpr auto isfinite(X&& x) { return map<op::IsFinite>(std::forward<X>(x)); }

/// y = a^b; a^0 = 1, NaN for a < 0 and a b that is no integer.
template <class A, class B> requires Operands<A, B>
constexpr auto pow(A&& a, B&& b) { return map<op::Power>(std::forward<A>(a), std::forward<B>(b)); }
/// y = the larger of a and b; NaN if either is, equal operands share the gradient.
template <class A, class B> requires Operands<A, B>
constexpr auto maximum(A&& a, B&& b) { return map<op::Maximum>(std::forward<A>(a), std::forward<B>(b)); }
/// y = the smaller of a and b; NaN if either is, equal operands share the gradient.
template <class A, class B> requires Operands<A, B>
constexpr auto minimum(A&& a, B&& b) { return map<op::Minimum>(std::forward<A>(a), std::forward<B>(b)); }
/// y = a where a > 0, else slope a.
template <class A, class B> requires Operands<A, B>
constexpr auto leaky_relu(A&& a, B&& slope) { return map<op::Prelu>(std::forward<A>(a), std::forward<B>(slope)); }
/// y = a where a > 0, else alpha (e^a - 1).
template <class A, class B> requires Operands<A, B>
constexpr auto elu(A&& a, B&& alpha) { return map<op::Elu>(std::forward<A>(a), std::forward<B>(alpha)); }
/// y = ln(e^a + e^b), without overflow.
template <class A, class B> requires Operands<A, B>
constexpr auto logaddexp(A&& a, B&& b) { return map<op::LogAddExp>(std::forward<A>(a), std::forward<B>(b)); }

/// y = c ? a : b; c is true where it is not 0.
template <class C, class A, class B> requires(TensorExpr<C> && (TensorExpr<A> || Number<A>) && (TensorExpr<B> || Number<B>))
constexpr auto where(C&& c, A&& a, B&& b) { return map<op::Where>(std::forward<C>(c), std::forward<A>(a), std::forward<B>(b)); }
/// y = min(max(x, low), high).
template <TensorExpr X, class A, class B>
constexpr auto clamp(X&& x, A&& low, B&& high) { return map<op::Clamp>(std::forward<X>(x), std::forward<A>(low), std::forward<B>(high)); }
/// y = a + weight (b - a); exact at weight 0 and 1.
template <TensorExpr A, TensorExpr B, class W>
constexpr auto lerp(A&& a, B&& b, W&& weight) { return map<op::Lerp>(std::forward<A>(a), std::forward<B>(b), std::forward<W>(weight)); }
// clang-format on

}  // namespace tenon
