// SPDX-License-Identifier: Apache-2.0
// Operations by name on tensors of a device: which of them have kernels there; sorting and running
// sums by the device's own; the others on the host, by copies that the tape follows.
#pragma once
#include <tenon/function/lookup.hpp>

namespace tenon::inline TENON_ISA::registry::detail {

/// Whether an operation of which an operand lies on a device computes there.
inline bool runs_on_device(std::string_view name, std::span<const AnyTensor> inputs) {
  for (const AnyTensor& t : inputs)
    if (!t.get()->place) return false;
  for (const char* n : {"matmul", "batch_dot", "dot", "reshape", "permute", "transpose", "moveaxis",
                        "squeeze", "unsqueeze"})
    if (name == n) return true;
  for (const char* n : {"sort", "argsort", "topk", "cumsum"})
    if (name == n) {
      const Record& r = *inputs[0].get();
      const Dtype d = r.dtype;
      return r.rank > 0 && r.size() > 0 &&
             (d == Dtype::f32 || d == Dtype::f64 || d == Dtype::i64 || d == Dtype::i32);
    }
  return false;
}

/// x as rows along an axis, which comes last: [rows, n], contiguous. Recorded.
struct DeviceRowsOf {
  Extents whole;  ///< of the axes in that order
  Index rows, n;
  AnyTensor flat;
  int axis;

  DeviceRowsOf(const AnyTensor& x, int along) : axis(along) {
    const AnyTensor last = tenon::swapaxes(x, axis, -1);
    whole = last.extents();
    n = whole.extent[whole.rank - 1], rows = last.size() / n;
    flat = tenon::reshape(last, Extents{1, {rows * n}}).to_contiguous();
  }
  /// `count` elements a row, back where x has them.
  AnyTensor back(const AnyTensor& y, Index count) const {
    Extents e = whole;
    e.extent[e.rank - 1] = count;
    return tenon::swapaxes(tenon::reshape(y, e), axis, -1);
  }
};

/// The first `count` of each row along an axis, sorted, equal ones in their order: their values, if
/// asked for, and where in the row each came from. x: f32, f64, i64 or i32, not empty. Gradient: to
/// where it came from.
inline std::vector<AnyTensor> sorted_on_device(const AnyTensor& x, int axis, Index count,
                                               bool descending, bool with_values) {
  const DeviceRowsOf r(x, axis);
  const Device d = x.device();
  const Extents all{2, {r.rows, r.n}}, kept{2, {r.rows, count}};
  AnyTensor values = AnyTensor::empty(x.dtype(), all, d),
            order = AnyTensor::empty(Dtype::i64, all, d);
  tenon::detail::check_device(tenon::detail::device_table(d).sort(
      d.index, {r.flat.get()->data, values.get()->data, order.get()->data,
                static_cast<std::uint8_t>(x.dtype()), r.rows, r.n, descending}));
  const Index strides[] = {r.n, 1}, beside[] = {1, 0};
  const AnyTensor index = order.view(kept, strides, 0).to_contiguous();
  if (!with_values) return {r.back(index, count)};
  // Positions in all rows: sums below 2^53, exact in f64.
  AnyTensor at = index.to(Dtype::f64);
  const AnyTensor first = kernel::device_calls().filled(Dtype::f64, Extents{1, {r.rows}}, 0,
                                                        static_cast<double>(r.n), d);
  kernel::device_calls().combine(at, 1, first.view(kept, beside, 0).to_contiguous(), 1);
  return {r.back(tenon::take(r.flat, at.to(Dtype::i64)), count), r.back(index, count)};
}

inline AnyTensor running_sum_on_device(const AnyTensor& x, int axis);
inline void running_sum_backward(BackwardCall& call) {
  const int axis = static_cast<int>(call.attributes->integer[0]);
  const AnyTensor back = running_sum_on_device(tenon::flip(call.dy, axis), axis);
  tenon::detail::settle_gradient(call, 0, tenon::flip(back, axis));
}
inline constexpr StatementInfo running_sum_info = [] {
  StatementInfo s;
  s.name = "cumsum", s.function_backward = running_sum_backward;
  return s;
}();
/// y[k] = x[0] + ... + x[k] along an axis; floating numbers are added in f64.
inline AnyTensor running_sum_on_device(const AnyTensor& x, int axis) {
  AnyTensor y;
  {
    Paused whole;
    const DeviceRowsOf r(x, axis);
    const Device d = x.device();
    AnyTensor sums = AnyTensor::empty(x.dtype(), Extents{2, {r.rows, r.n}}, d);
    tenon::detail::check_device(tenon::detail::device_table(d).scan(
        d.index,
        {r.flat.get()->data, sums.get()->data, static_cast<std::uint8_t>(x.dtype()), r.rows, r.n}));
    y = r.back(sums, r.n);
  }
  Attributes a;
  a.push(axis);
  record_function(running_sum_info, Context::current(), {x}, a, y);
  return y;
}

}  // namespace tenon::inline TENON_ISA::registry::detail
