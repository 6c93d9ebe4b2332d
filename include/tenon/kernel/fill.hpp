// SPDX-License-Identifier: Apache-2.0
// Tensors that come from no operand: one number everywhere, or counts. Made here, so that a trace
// knows them.
#pragma once
#include <tenon/kernel/device/calls.hpp>
#include <tenon/kernel/statement.hpp>
#include <tenon/tensor/copy.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {

/// Tells the tracer, if there is one, of a value that no kernel computed.
TENON_COLD inline void trace_made(const StatementInfo& info, const Attributes& a,
                                  const AnyTensor& result) {
  Tracer* t = ambient().tracer;
  Statement s{&info, nullptr, 0, nullptr, &a, &result};
  t->statement(*t, s);
}
inline AnyTensor fill(Dtype dtype, const Extents& e, double x) {
  AnyTensor t = AnyTensor::empty(dtype, e);
  convert(Dtype::f64, &x, 0, dtype, t.raw_writable(), 1, e.size());
  return t;
}
inline AnyTensor fill_again(const AnyTensor*, const Attributes& a, const Extents& e) {
  return fill(static_cast<Dtype>(a.integer[0]), e, a.number[0]);
}
inline constexpr StatementInfo fill_info = [] {
  StatementInfo s;
  s.name = "fill", s.function_forward = fill_again;
  return s;
}();

inline AnyTensor inverse_again(const AnyTensor*, const Attributes& a, const Extents&) {
  return fill(static_cast<Dtype>(a.integer[0]), Extents{}, 1 / static_cast<double>(a.integer[1]));
}
inline constexpr StatementInfo inverse_info = [] {
  StatementInfo s;
  s.name = "inverse", s.function_forward = inverse_again;
  return s;
}();

inline AnyTensor count(Dtype dtype, const Extents& e) {
  AnyTensor t = AnyTensor::empty(Dtype::i64, e);
  auto* p = static_cast<std::int64_t*>(t.raw_writable());
  for (Index i = 0, n = t.size(); i < n; ++i) p[i] = i;
  return t.to(dtype);
}
inline AnyTensor count_again(const AnyTensor*, const Attributes& a, const Extents& e) {
  return count(static_cast<Dtype>(a.integer[0]), e);
}
inline constexpr StatementInfo count_info = [] {
  StatementInfo s;
  s.name = "arange", s.function_forward = count_again;
  return s;
}();

}  // namespace detail

/// 0, 1, 2, ... in row-major order.
inline AnyTensor counted(Dtype dtype, const Extents& e) {
  AnyTensor t = detail::count(dtype, e);
  if (ambient().tracer) [[unlikely]] {
    Attributes a;
    a.push(static_cast<Index>(dtype));
    detail::trace_made(detail::count_info, a, t);
  }
  return t;
}

/// 1 / n as a tensor of rank 0: the factor of a mean, which a trace keeps as a count.
inline AnyTensor inverse(Dtype dtype, Index n) {
  AnyTensor t = detail::fill(dtype, Extents{}, 1 / static_cast<double>(n));
  if (ambient().tracer) [[unlikely]] {
    Attributes a;
    a.push(static_cast<Index>(dtype)), a.push(n);
    detail::trace_made(detail::inverse_info, a, t);
  }
  return t;
}

/// A tensor all of whose elements are x, on a device where one is named.
inline AnyTensor filled(Dtype dtype, const Extents& e, double x, Device d = cpu) {
  AnyTensor t = d == cpu ? detail::fill(dtype, e, x) : device_calls().filled(dtype, e, x, 0, d);
  if (ambient().tracer) [[unlikely]] {
    Attributes a;
    a.push(static_cast<Index>(dtype)), a.push_number(x);
    detail::trace_made(detail::fill_info, a, t);
  }
  return t;
}

}  // namespace tenon::kernel
