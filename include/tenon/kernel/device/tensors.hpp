// SPDX-License-Identifier: Apache-2.0
// What tensors on a device are made of and copied by. Part of tenon/cuda.hpp.
#pragma once
#include <tenon/memory/device_kernels.hpp>
#include <tenon/tensor/copy.hpp>

namespace tenon::inline TENON_ISA::detail {

/// A buffer whose elements lie on a device.
inline Buffer* create_on(std::size_t bytes, Device d) {
  const abi::DeviceTable& t = device_table(d);
  void* data = t.allocate(d.index, bytes + Buffer::margin);
  if (!data)
    fail(Error::memory,
         {"memory: ", bytes, " bytes could not be allocated on cuda(", int(d.index), ")"});
  auto* b = new (memory::allocate(sizeof(Buffer))) Buffer;
  b->device = d, b->apart = true;
  b->data = data, b->bytes = bytes;
  b->release = [](void* p) {
    auto* self = static_cast<Buffer*>(p);
    abi::device_table->deallocate(self->device.index, self->data, self->bytes + Buffer::margin);
  };
  b->context = b;
  return b;
}

/// Elements of a strided source to a strided target; times a factor, or added to what is there.
inline void strided_on(Device d, const Extents& e, Dtype from, const void* source,
                       const Index* source_strides, Dtype to, void* target,
                       const Index* target_strides, double factor, bool add) {
  const Index count = e.size();
  if (count == 0) return;
  const MergedAxes m(e, source_strides, target_strides);
  if (from == to && factor == 1 && !add && m.rank == 1 && m.source[0] == 1 && m.target[0] == 1)
    return check_device(device_table(d).copy(d.index, target, d.index, source,
                                             static_cast<std::size_t>(count) * size_of(from)));
  abi::DeviceCopy c{};
  c.source = source, c.target = target, c.factor = factor, c.add = add;
  c.from = static_cast<abi::Element>(from), c.to = static_cast<abi::Element>(to);
  c.rank = m.rank, c.count = count;
  for (int i = 0; i < m.rank; ++i) {
    c.extent[i] = abi::Divisor::of(m.extent[i]);
    c.source_stride[i] = m.source[i], c.target_stride[i] = m.target[i];
  }
  launch_each(d, abi::device_kernels.copy, "copy", c, count);
}

/// The elements of a record that is not generated, contiguous, of dtype `to`, on its own device.
inline AnyTensor pack_on_device(const Record& source, Dtype to) {
  const Extents e = source.shape();
  AnyTensor t = AnyTensor::empty(to, e, source.device());
  strided_on(source.device(), e, source.dtype, source.data, source.strides, to, t.get()->data,
             t.get()->strides, 1, false);
  return t;
}
/// From a device to contiguous memory of the host; waits. Reports what kernels found.
inline void download(const Record& source, Dtype to, void* target) {
  const Device d = source.device();
  const AnyTensor packed = pack_on_device(source, to);
  const abi::DeviceTable& t = device_table(d);
  const std::size_t bytes = static_cast<std::size_t>(packed.size()) * size_of(to);
  if (bytes) check_device(t.download(d.index, target, packed.get()->data, bytes));
  check_fault(t, d.index);
}

inline constexpr DeviceTensors device_tensor_functions{create_on, pack_on_device, download,
                                                       strided_on};
inline const bool device_tensors_set = (device_tensors_place = &device_tensor_functions, true);

}  // namespace tenon::detail
