// SPDX-License-Identifier: Apache-2.0
// Tensors that come from no operand: one number everywhere, counts, ... A trace hears of them here.
#pragma once
#include <tenon/kernel/device/calls.hpp>
#include <tenon/kernel/statement.hpp>
#include <tenon/tensor/copy.hpp>
#include <tenon/tensor/create.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {

/// A function that a graph runs by its operands and attributes alone.
using Again = AnyTensor(const AnyTensor* operand, const Attributes&, const Extents& result);
constexpr StatementInfo made_info(const char* name, Again* again) {
  StatementInfo s;
  s.name = name, s.function_forward = again;
  return s;
}
/// What a graph from a file says of a function need not fit together.
inline void check_again(const char* name, bool fits) {
  if (!fits) [[unlikely]]
    fail(Error::trace, {"graph: ", name, ": operands, attributes and extents do not fit"});
}

/// Tells the tracer, if there is one, of a value that no kernel computed.
TENON_COLD inline void trace_made(const StatementInfo& info, const Attributes& a,
                                  const AnyTensor& result, const AnyTensor* operand = nullptr) {
  Tracer* t = ambient().tracer;
  Statement s{&info, operand, operand ? 1 : 0, nullptr, &a, &result};
  t->statement(*t, s);
}
inline AnyTensor fill(Dtype dtype, const Extents& e, double x) {
  AnyTensor t = AnyTensor::empty(dtype, e);
  convert(Dtype::f64, &x, 0, dtype, t.raw_writable(), 1, e.size());
  return t;
}
/// Where a run makes a value without operands: beside its inputs, but single numbers of the host
/// stay there. A second integer says that the value was made on a device.
inline Device place_again(const Attributes& a, const Extents& e) {
  const bool there = a.place && (e.size() != 1 || (a.integers > 1 && a.integer[1]));
  return there ? cuda(a.place - 1) : cpu;
}
inline AnyTensor fill_at(Dtype dtype, const Extents& e, double x, Device d) {
  return d == cpu ? fill(dtype, e, x) : device_calls().filled(dtype, e, x, 0, d);
}
inline AnyTensor fill_again(const AnyTensor*, const Attributes& a, const Extents& e) {
  return fill_at(static_cast<Dtype>(a.integer[0]), e, a.number[0], place_again(a, e));
}
inline constexpr StatementInfo fill_info = made_info("fill", fill_again);

inline AnyTensor inverse_again(const AnyTensor*, const Attributes& a, const Extents&) {
  return fill(static_cast<Dtype>(a.integer[0]), Extents{}, 1 / static_cast<double>(a.integer[1]));
}
inline constexpr StatementInfo inverse_info = made_info("inverse", inverse_again);

inline AnyTensor count(Dtype dtype, const Extents& e, Device d = cpu) {
  if (!(d == cpu)) return device_calls().filled(dtype, e, 0, 1, d);
  AnyTensor t = AnyTensor::empty(Dtype::i64, e);
  auto* p = static_cast<std::int64_t*>(t.raw_writable());
  for (Index i = 0, n = t.size(); i < n; ++i) p[i] = i;
  return t.to(dtype);
}
inline AnyTensor count_again(const AnyTensor*, const Attributes& a, const Extents& e) {
  return count(static_cast<Dtype>(a.integer[0]), e, place_again(a, e));
}
inline constexpr StatementInfo count_info = made_info("arange", count_again);

// Attributes: dtype; numbers: first and step, or both ends.
inline AnyTensor ramp_again(const AnyTensor*, const Attributes& a, const Extents& e) {
  check_again("ramp", e.rank == 1);
  return tenon::detail::ramp(static_cast<Dtype>(a.integer[0]), e.extent[0], a.number[0],
                             a.number[1]);
}
inline AnyTensor linspace_again(const AnyTensor*, const Attributes& a, const Extents& e) {
  check_again("linspace", e.rank == 1);
  return tenon::detail::spaced(static_cast<Dtype>(a.integer[0]), a.number[0], a.number[1],
                               e.extent[0]);
}
inline AnyTensor eye_again(const AnyTensor*, const Attributes& a, const Extents& e) {
  check_again("eye", e.rank == 2);
  return tenon::detail::diagonal(static_cast<Dtype>(a.integer[0]), e);
}
inline AnyTensor one_hot_again(const AnyTensor* index, const Attributes& a, const Extents& e) {
  Extents whole = index[0].extents();
  check_again("one_hot", e.rank == whole.rank + 1);
  whole.extent[whole.rank++] = e.extent[e.rank - 1];
  check_again("one_hot", whole == e);
  return tenon::detail::hot(index[0], static_cast<Dtype>(a.integer[0]), e);
}
inline constexpr StatementInfo ramp_info = made_info("ramp", ramp_again),
                               linspace_info = made_info("linspace", linspace_again),
                               eye_info = made_info("eye", eye_again),
                               one_hot_info = made_info("one_hot", one_hot_again);

/// What ambient().made calls while a trace is recorded.
TENON_COLD inline void trace_creation(tenon::detail::Made how, const AnyTensor& t,
                                      const AnyTensor* from, double a, double b) {
  using tenon::detail::Made;
  if (how == Made::same) return tenon::detail::trace_same(from->id(), t);
  static constexpr const StatementInfo* infos[] = {&fill_info, &ramp_info, &linspace_info,
                                                   &eye_info, &one_hot_info};
  Attributes of;
  of.push(static_cast<Index>(t.dtype()));
  if (how <= Made::linspace) of.push_number(a);
  if (how == Made::ramp || how == Made::linspace) of.push_number(b);
  trace_made(*infos[static_cast<int>(how)], of, t, from);
}

}  // namespace detail

/// 0, 1, 2, ... in row-major order, on a device where one is named.
inline AnyTensor counted(Dtype dtype, const Extents& e, Device d = cpu) {
  AnyTensor t = detail::count(dtype, e, d);
  if (ambient().tracer) [[unlikely]] {
    Attributes a;
    a.push(static_cast<Index>(dtype));
    if (!(d == cpu)) a.push(1);
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
  AnyTensor t = detail::fill_at(dtype, e, x, d);
  if (ambient().tracer) [[unlikely]] {
    Attributes a;
    a.push(static_cast<Index>(dtype)), a.push_number(x);
    if (!(d == cpu)) a.push(1);
    detail::trace_made(detail::fill_info, a, t);
  }
  return t;
}

}  // namespace tenon::kernel
