// SPDX-License-Identifier: Apache-2.0
// How the operands of a group lie before a kernel of a device: rows at any distance, elements of a
// row side by side. What lies otherwise is copied first.
#pragma once
#include <tenon/kernel/device/calls.hpp>
#include <tenon/kernel/group_run.hpp>
#include <tenon/memory/device_kernels.hpp>

namespace tenon::inline TENON_ISA::kernel::detail {

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

inline void launch_fold(Device d, abi::DeviceFold& f, int lanes) {
  f.lanes = lanes;
  const Index teams = 256 / lanes, blocks = (f.kept + teams - 1) / teams;
  tenon::detail::launch(d, abi::device_kernels.fold, "sum", &f, sizeof f,
                        std::min<Index>(blocks, 65535), 256);
}
/// A sum over one axis whose neighbours are neighbours in memory: in parts, a thread for a column
/// of each, then over the parts.
inline void fold_columns(Device d, abi::DeviceFold f) {
  const Dtype type = static_cast<Dtype>(f.type);
  Index parts = 1;
  while (parts < 512 && parts * 32 <= f.summed && parts * f.kept < Index{1} << 20) parts *= 2;
  const Index each = f.summed / parts, rest = f.summed - parts * each, all = parts + (rest > 0),
              bytes = static_cast<Index>(size_of(type));
  const AnyTensor part = AnyTensor::empty(type, Extents{2, {all, f.kept}}, d);
  abi::DeviceFold first = f;
  first.target = part.get()->data, first.add = false, first.kept = parts * f.kept;
  first.summed = each, first.sum_extent[0] = abi::Divisor::of(each);
  Index dense = f.kept;
  for (int i = 0; i < f.kept_rank; ++i) {
    dense /= f.kept_extent[i].divisor;
    first.kept_extent[i + 1] = f.kept_extent[i], first.kept_source[i + 1] = f.kept_source[i];
    first.kept_target[i + 1] = dense;
  }
  first.kept_extent[0] = abi::Divisor::of(parts), first.kept_target[0] = f.kept;
  first.kept_source[0] = each * f.sum_source[0], first.kept_rank = f.kept_rank + 1;
  launch_fold(d, first, 1);
  if (rest) {
    first.kept_extent[0] = abi::Divisor::of(1), first.kept = f.kept;
    first.summed = rest, first.sum_extent[0] = abi::Divisor::of(rest);
    first.source = static_cast<const char*>(f.source) + parts * each * f.sum_source[0] * bytes;
    first.target = static_cast<char*>(part.get()->data) + parts * f.kept * bytes;
    launch_fold(d, first, 1);
  }
  f.source = part.get()->data, f.summed = all;
  f.sum_extent[0] = abi::Divisor::of(all), f.sum_source[0] = f.kept;
  dense = f.kept;
  for (int i = 0; i < f.kept_rank; ++i) f.kept_source[i] = dense /= f.kept_extent[i].divisor;
  launch_fold(d, f, 1);
}

/// target = or += source summed over the axes along which target was stretched to e. skip: axes of
/// e that target does not have.
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
    const abi::Divisor extent = abi::Divisor::of(std::max<Index>(e.extent[i], 1));
    if (to) {
      const int a = f.kept_rank++;
      f.kept_extent[a] = extent, f.kept_source[a] = of, f.kept_target[a] = to;
    } else {
      const int a = f.sum_rank++;
      f.sum_extent[a] = extent, f.sum_source[a] = of, f.summed *= e.extent[i];
    }
  }
  if (f.kept == 0) return;
  const Device d = r.device();
  const bool neighbours = f.kept_rank > 0 && f.kept_rank < 8 &&
                          f.kept_source[f.kept_rank - 1] == 1 &&
                          f.kept_extent[f.kept_rank - 1].divisor >= 16;
  if (neighbours && f.sum_rank == 1 && f.summed >= 64) return fold_columns(d, f);
  // Few long sums are shared by many threads, many short ones are not.
  launch_fold(d, f, f.summed >= 1024 ? 256 : f.summed >= 32 && f.kept < 65536 ? 32 : 1);
}

inline int power_of_two_from(Index n) {
  int p = 1;
  while (p < n && p < 256) p *= 2;
  return p;
}

}  // namespace tenon::kernel::detail
