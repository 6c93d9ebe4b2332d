// SPDX-License-Identifier: Apache-2.0
// What the door calls for tensors on a device. The functions behind it come with tenon/cuda.hpp, so
// that programs without a device do not compile them.
#pragma once
#include <tenon/kernel/statement.hpp>

namespace tenon::inline TENON_ISA {

struct ProductCall;

namespace kernel {

struct DeviceCalls {
  void (*forward)(const StatementInfo&, const AnyTensor* leaf, const double* scalar,
                  const GroupCall&, AnyTensor& result, Dtype, bool keep, AnyTensor& kept);
  void (*backward)(const StatementInfo&, BackwardCall&, const GroupCall&);
  void (*product_forward)(ProductCall&);
  void (*product_backward)(ProductCall&);
  /// to = scale_to to + scale_from from, contiguous f32 or f64.
  void (*combine)(AnyTensor& to, double scale_to, const AnyTensor& from, double scale_from);
  double (*square_sum)(const AnyTensor&);
  void (*check_index)(const AnyTensor& index, Index extent);
  AnyTensor (*filled)(Dtype, const Extents&, double start, double step, Device);
  /// g summed over the axes along which extents e were stretched to its own.
  AnyTensor (*sum_to)(const AnyTensor& g, const Extents& e);
  AnyTensor (*take)(const AnyTensor& table, const AnyTensor& index, const Extents& result);
  AnyTensor (*scatter_rows)(const AnyTensor& dy, const AnyTensor& index, const Extents& result);
  AnyTensor (*extreme)(const AnyTensor& x, Index outer, Index n, Index inner, bool least,
                       const Extents& result);
};

namespace detail {
inline const DeviceCalls*& device_calls_place() {
  static constinit const DeviceCalls* calls = nullptr;
  return calls;
}
}  // namespace detail

/// Errors: Error::device in a program of which no file includes tenon/cuda.hpp.
inline const DeviceCalls& device_calls() {
  const DeviceCalls* c = detail::device_calls_place();
  if (!c) [[unlikely]]
    fail(Error::device, {"cuda: a file of the program must include tenon/cuda.hpp"});
  return *c;
}
/// The first of several tensors that lies on a device, or null.
inline const AnyTensor* on_device(const AnyTensor* t, int count) {
  for (int i = 0; i < count; ++i)
    if (t[i].get() && t[i].get()->place) return t + i;
  return nullptr;
}

/// The device that operands lie on, or the processor. Single numbers may lie on the host. Errors:
/// two devices, or another tensor of the host -> Error::device, naming both.
inline Device common_device(const char* name, const AnyTensor* t, int count) {
  const AnyTensor* first = on_device(t, count);
  if (!first) return cpu;
  const int place = first->get()->place;
  for (int i = 0; i < count; ++i) {
    const Record* r = t[i].get();
    if (!r || r->place == place || r->generated || r->valueless) continue;
    if (r->place == 0 && r->size() == 1) continue;
    if (r->place)
      fail(Error::device,
           {name, ": operands lie on cuda(", place - 1, ") and cuda(", r->place - 1, ")"});
    fail(Error::device, {name, ": operands lie on cuda(", place - 1, ") and, ", r->shape(),
                         ", on the host; to(cuda(", place - 1, ")) copies it"});
  }
  return first->device();
}

}  // namespace kernel
}  // namespace tenon
