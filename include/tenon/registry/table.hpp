// SPDX-License-Identifier: Apache-2.0
// From an operation's number and a dtype, both known at run time, to its kernel. The kernels are
// function templates
// that this header declares; registry/kernels.hpp defines them.
#pragma once
#include <tenon/kernel/evaluate.hpp>

namespace tenon::inline TENON_ISA::registry {

/// Element-wise operations Part * 10 ... Part * 10 + 9 of op::Elementwise: the i-th of them
/// computing in T, null
/// where it does not take T.
template <int Part, class T>
const OpInfo* elementwise_part(int i);
inline constexpr int elementwise_parts = (op::Elementwise::size + 9) / 10;

/// The i-th of expr::Reductions computing in T, null where it does not take T.
template <class T>
const OpInfo* reduction_part(int i);

/// Statements of several operations that run as one kernel.
enum class Fused {
  matmul,       ///< a b
  linear,       ///< a b + c
  softmax,      ///< e / sum(e) with e = exp(x - m); m: one value a row
  log_softmax,  ///< x - m - log(sum(exp(x - m)))
  normalise     ///< d rsqrt(mean(d d) + epsilon) with d = x - mean(x); epsilon: a scalar
};
template <class T>
const StatementInfo* fused_part(Fused which);

/// What an operation on tensors of dtype d computes in.
constexpr Dtype compute_type(Dtype d) {
  return d == Dtype::f64 ? Dtype::f64 : is_floating(d) ? Dtype::f32 : Dtype::i64;
}

namespace detail {
template <class T, int... Part>
const OpInfo* elementwise_of(int number, std::integer_sequence<int, Part...>) {
  using Get = const OpInfo* (*)(int);
  constexpr Get part[] = {elementwise_part<Part, T>...};
  return part[number / 10](number % 10);
}
}  // namespace detail

/// The operation computing in f32, f64 or i64, or null.
inline const OpInfo* elementwise(int number, Dtype compute) {
  constexpr auto parts = std::make_integer_sequence<int, elementwise_parts>{};
  if (compute == Dtype::f32) return detail::elementwise_of<float>(number, parts);
  if (compute == Dtype::f64) return detail::elementwise_of<double>(number, parts);
  return detail::elementwise_of<std::int64_t>(number, parts);
}
template <class R>
const OpInfo* reduction(Dtype compute) {
  constexpr int i = expr::reduction_number<R> - expr::first_reduction;
  if (compute == Dtype::f32) return reduction_part<float>(i);
  if (compute == Dtype::f64) return reduction_part<double>(i);
  return reduction_part<std::int64_t>(i);
}
inline const StatementInfo* fused(Fused which, Dtype compute) {
  if (compute == Dtype::f32) return fused_part<float>(which);
  return compute == Dtype::f64 ? fused_part<double>(which) : nullptr;
}

}  // namespace tenon::inline TENON_ISA::registry
