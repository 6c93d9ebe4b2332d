// SPDX-License-Identifier: Apache-2.0
// How the operands of a group lie before a kernel of a device: rows at any distance, elements of a
// row side by side. What lies otherwise is copied first.
#pragma once
#include <tenon/kernel/device/calls.hpp>
#include <tenon/kernel/group_run.hpp>

namespace tenon::inline TENON_ISA::kernel::detail {

/// The device of a call's operands. Errors: two devices, or a tensor of the host that is more than
/// one number -> Error::device, naming both.
inline Device common_device(const char* name, const AnyTensor* t, int count) {
  const AnyTensor* first = on_device(t, count);
  for (int i = 0; i < count; ++i) {
    const Record* r = t[i].get();
    if (!r || r->place == first->get()->place || r->generated || r->valueless) continue;
    if (r->place == 0 && r->size() == 1) continue;
    const int there = first->get()->place - 1;
    if (r->place)
      fail(Error::device,
           {name, ": operands lie on cuda(", there, ") and cuda(", r->place - 1, ")"});
    fail(Error::device, {name, ": operands lie on cuda(", there, ") and, ", r->shape(),
                         ", on the host; to(cuda(", there, ")) copies it"});
  }
  return first->device();
}

/// Uniform numbers of a generated record, made on a device.
inline AnyTensor generate_on(Device d, const Record& r) {
  AnyTensor t = AnyTensor::empty(r.dtype, r.shape(), d);
  tenon::detail::GeneratedKey k;
  std::memcpy(&k, r.strides, sizeof k);
  const abi::DeviceUniform u{
      t.get()->data, static_cast<abi::Element>(r.dtype), 0, t.size(), k.seed, k.position, k.shard,
      k.call};
  tenon::detail::launch_each(d, abi::device_kernels.uniform, "uniform", u, (t.size() + 3) / 4);
  return t;
}

/// A tensor of extents e whose axes in `along` come last in memory.
inline AnyTensor rows_first(Dtype dtype, const Extents& e, std::uint32_t along, Device d) {
  Extents order;
  int from[max_rank];
  for (unsigned part = 0; part < 2; ++part)
    for (int i = 0; i < e.rank; ++i)
      if ((along >> i & 1) == part) from[order.rank] = i, order.extent[order.rank++] = e.extent[i];
  Index dense[max_rank] = {}, strides[max_rank] = {};
  contiguous_strides(order, dense);
  for (int i = 0; i < e.rank; ++i) strides[from[i]] = dense[i];
  return AnyTensor::empty(dtype, order, d).view(e, strides, 0);
}
inline bool moves_along(const Operand& o, int inner_rank) {
  for (int i = 0; i < inner_rank; ++i)
    if (o.inner[i]) return true;
  return false;
}

/// x copied to a tensor of rows_first, stretched along the row's axes to those of e. skip: axes of
/// e that x does not have.
inline AnyTensor laid_out(const AnyTensor& x, const Extents& e, std::uint32_t along,
                          std::uint32_t skip, Dtype dtype) {
  Space s;
  const Record& r = *x.get();
  const int k = s.add(e, skip, r.shape(), r.strides);
  Extents own = e;
  for (int i = 0; i < e.rank; ++i)
    if (!(along >> i & 1) && s.operand[k].outer[i] == 0) own.extent[i] = 1;
  AnyTensor t = rows_first(dtype, own, along, r.device());
  Index strides[max_rank];
  for (int i = 0; i < e.rank; ++i) strides[i] = own.extent[i] == 1 ? 0 : s.operand[k].outer[i];
  tenon::detail::copy_strided_on(r.device(), own, r.dtype, r.data, strides, dtype, t.get()->data,
                                 t.get()->strides);
  return t;
}

/// target (contiguous) = or += source summed over the axes along which target was stretched to e.
/// skip: axes of e that target does not have.
inline void fold_into(AnyTensor& target, bool add, const AnyTensor& source, const Extents& e,
                      std::uint32_t skip) {
  const Record &r = *target.get(), &from = *source.get();
  Space s;
  const int k = s.add(e, skip, r.shape(), r.strides);
  abi::DeviceFold f{};
  f.source = from.data, f.target = r.data, f.type = static_cast<abi::Element>(r.dtype);
  f.add = add, f.kept = r.size(), f.summed = 1;
  for (int i = 0; i < e.rank; ++i) {
    if (e.extent[i] == 1) continue;
    const Index to = s.operand[k].outer[i], of = from.strides[i];
    if (to) {
      const int a = f.kept_rank++;
      f.kept_extent[a] = abi::Divisor::of(e.extent[i]), f.kept_source[a] = of,
      f.kept_target[a] = to;
    } else {
      const int a = f.sum_rank++;
      f.sum_extent[a] = abi::Divisor::of(e.extent[i]), f.sum_source[a] = of,
      f.summed *= e.extent[i];
    }
  }
  // Few long sums are shared by many threads, many short ones are not.
  f.lanes = f.summed >= 1024 ? 256 : f.summed >= 32 && f.kept < 65536 ? 32 : 1;
  if (f.kept == 0) return;
  const Index teams = 256 / f.lanes, blocks = (f.kept + teams - 1) / teams;
  tenon::detail::launch(r.device(), abi::device_kernels.fold, "sum", &f, sizeof f,
                        std::min<Index>(blocks, 65535), 256);
}

inline int power_of_two_from(Index n) {
  int p = 1;
  while (p < n && p < 256) p *= 2;
  return p;
}

}  // namespace tenon::kernel::detail
