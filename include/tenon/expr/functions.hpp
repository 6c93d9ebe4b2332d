// SPDX-License-Identifier: Apache-2.0
// The element-wise functions by their NumPy and PyTorch names. Formulas, precision and gradients: op/.
#pragma once
#include <tenon/expr/map.hpp>

namespace tenon::inline TENON_ISA {

// clang-format off
template <TensorExpr X> constexpr auto abs(X&& x) { return map<op::Abs>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto sign(X&& x) { return map<op::Sign>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto square(X&& x) { return map<op::Square>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto sqrt(X&& x) { return map<op::Sqrt>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto rsqrt(X&& x) { return map<op::Rsqrt>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto reciprocal(X&& x) { return map<op::Reciprocal>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto exp(X&& x) { return map<op::Exp>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto exp2(X&& x) { return map<op::Exp2>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto expm1(X&& x) { return map<op::Expm1>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto log(X&& x) { return map<op::Log>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto log2(X&& x) { return map<op::Log2>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto log10(X&& x) { return map<op::Log10>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto log1p(X&& x) { return map<op::Log1p>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto sin(X&& x) { return map<op::Sin>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto cos(X&& x) { return map<op::Cos>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto tanh(X&& x) { return map<op::Tanh>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto sigmoid(X&& x) { return map<op::Sigmoid>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto relu(X&& x) { return map<op::Relu>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto gelu(X&& x) { return map<op::Gelu>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto gelu_tanh(X&& x) { return map<op::GeluTanh>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto silu(X&& x) { return map<op::Silu>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto softplus(X&& x) { return map<op::Softplus>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto logsigmoid(X&& x) { return map<op::LogSigmoid>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto erf(X&& x) { return map<op::Erf>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto floor(X&& x) { return map<op::Floor>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto ceil(X&& x) { return map<op::Ceil>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto round(X&& x) { return map<op::Round>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto trunc(X&& x) { return map<op::Trunc>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto isnan(X&& x) { return map<op::IsNan>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto isinf(X&& x) { return map<op::IsInf>(std::forward<X>(x)); }
template <TensorExpr X> constexpr auto isfinite(X&& x) { return map<op::IsFinite>(std::forward<X>(x)); }

template <class A, class B> requires Operands<A, B>
constexpr auto pow(A&& a, B&& b) { return map<op::Power>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto maximum(A&& a, B&& b) { return map<op::Maximum>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto minimum(A&& a, B&& b) { return map<op::Minimum>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto leaky_relu(A&& a, B&& slope) { return map<op::Prelu>(std::forward<A>(a), std::forward<B>(slope)); }
template <class A, class B> requires Operands<A, B>
constexpr auto elu(A&& a, B&& alpha) { return map<op::Elu>(std::forward<A>(a), std::forward<B>(alpha)); }
template <class A, class B> requires Operands<A, B>
constexpr auto logaddexp(A&& a, B&& b) { return map<op::LogAddExp>(std::forward<A>(a), std::forward<B>(b)); }

template <class C, class A, class B> requires(TensorExpr<C> && (TensorExpr<A> || Number<A>) && (TensorExpr<B> || Number<B>))
constexpr auto where(C&& c, A&& a, B&& b) { return map<op::Where>(std::forward<C>(c), std::forward<A>(a), std::forward<B>(b)); }
template <TensorExpr X, class A, class B>
constexpr auto clamp(X&& x, A&& low, B&& high) { return map<op::Clamp>(std::forward<X>(x), std::forward<A>(low), std::forward<B>(high)); }
template <TensorExpr A, TensorExpr B, class W>
constexpr auto lerp(A&& a, B&& b, W&& weight) { return map<op::Lerp>(std::forward<A>(a), std::forward<B>(b), std::forward<W>(weight)); }
// clang-format on

}  // namespace tenon
