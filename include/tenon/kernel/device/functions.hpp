// SPDX-License-Identifier: Apache-2.0
// What the door's functions call for tensors on a device; and the table of it all.
#pragma once
#include <tenon/kernel/device/group_backward.hpp>
#include <tenon/kernel/device/product.hpp>
#include <tenon/kernel/device/tensors.hpp>

namespace tenon::inline TENON_ISA::kernel {
namespace detail {

inline void combine_on(AnyTensor& to, double scale_to, const AnyTensor& from, double scale_from) {
  const Device d = to.device();
  const AnyTensor source = from.to(to.dtype()).to(d).to_contiguous();
  const abi::DeviceCombine c{
      to.get()->data, source.get()->data, static_cast<abi::Element>(to.dtype()),
      to.size(),      scale_to,           scale_from};
  tenon::detail::launch_each(d, abi::device_kernels.combine, "add", c, to.size());
}

inline double square_sum_on(const AnyTensor& t) {
  const Device d = t.device();
  const AnyTensor dense = t.to_contiguous();
  const Index blocks = (t.size() + 4095) / 4096;
  if (blocks == 0) return 0;
  const AnyTensor part = AnyTensor::empty(Dtype::f64, Extents{1, {blocks}}, d);
  const abi::DeviceSquares s{dense.get()->data, static_cast<double*>(part.get()->data),
                             static_cast<abi::Element>(dense.dtype()), t.size()};
  tenon::detail::launch(d, abi::device_kernels.squares, "norm", &s, sizeof s,
                        std::min<Index>(blocks, 4096), 256);
  const AnyTensor here = part.to(cpu);
  const double* p = static_cast<const double*>(here.raw());
  double sum = 0;
  for (Index i = 0; i < blocks; ++i) sum += p[i];
  return sum;
}

inline void check_index_on(const AnyTensor& index, Index extent) {
  const Device d = index.device();
  const AnyTensor dense = is_floating(index.dtype()) ? index.to(Dtype::i64) : index.to_contiguous();
  const abi::DeviceCheck c{dense.get()->data,
                           static_cast<abi::Element>(dense.dtype()),
                           dense.size(),
                           extent,
                           0,
                           tenon::detail::device_table(d).fault(d.index)};
  tenon::detail::launch_each(d, abi::device_kernels.check, "pick", c, dense.size());
}

inline AnyTensor filled_on(Dtype dtype, const Extents& e, double start, double step, Device d) {
  AnyTensor t = AnyTensor::empty(dtype, e, d);
  const abi::DeviceRamp r{t.get()->data, static_cast<abi::Element>(dtype), t.size(), start, step};
  tenon::detail::launch_each(d, abi::device_kernels.ramp, "full", r, t.size());
  return t;
}

inline AnyTensor sum_to_on(const AnyTensor& g, const Extents& e) {
  AnyTensor y = AnyTensor::empty(g.dtype(), e, g.device());
  fold_into(y, false, g, g.extents(), 0);
  return y;
}

inline AnyTensor take_on(const AnyTensor& table, const AnyTensor& index, const Extents& result) {
  const Device d = table.device();
  const AnyTensor at = index.to(d).to(Dtype::i64).to_contiguous(), rows = table.to_contiguous();
  AnyTensor y = AnyTensor::empty(table.dtype(), result, d);
  const Index count = at.size(), width = count ? y.size() / count : 0;
  const abi::DeviceTake t{rows.get()->data,
                          static_cast<const std::int64_t*>(at.get()->data),
                          y.get()->data,
                          count,
                          table.extent(0),
                          width * static_cast<Index>(size_of(table.dtype())),
                          tenon::detail::device_table(d).fault(d.index)};
  if (count)
    tenon::detail::launch(d, abi::device_kernels.take, "take", &t, sizeof t,
                          std::min<Index>((count + 7) / 8, 65535), 256);
  return y;
}

inline AnyTensor scatter_on(const AnyTensor& dy, const AnyTensor& index, const Extents& result) {
  const Device d = dy.device();
  const abi::DeviceTable& table = tenon::detail::device_table(d);
  const AnyTensor at = index.to(d).to(Dtype::i64).to_contiguous(), source = dy.to_contiguous();
  const Index count = at.size(), rows = result.extent[0];
  AnyTensor y = AnyTensor::empty(dy.dtype(), result, d);
  const AnyTensor order = AnyTensor::empty(Dtype::i64, at.extents(), d),
                  sorted = AnyTensor::empty(Dtype::i64, at.extents(), d);
  const abi::DeviceCheck c{
      at.get()->data, static_cast<abi::Element>(Dtype::i64), count, rows, 2, table.fault(d.index)};
  tenon::detail::launch_each(d, abi::device_kernels.check, "scatter_rows", c, count);
  if (count)
    tenon::detail::check_device(
        table.sort(d.index, {at.get()->data, sorted.get()->data, order.get()->data,
                             static_cast<abi::Element>(Dtype::i64), 1, count, false}));
  const abi::DeviceScatter s{source.get()->data,
                             static_cast<const std::int64_t*>(sorted.get()->data),
                             static_cast<const std::int64_t*>(order.get()->data),
                             y.get()->data,
                             static_cast<abi::Element>(dy.dtype()),
                             count,
                             rows,
                             rows ? y.size() / rows : 0};
  if (y.size())
    tenon::detail::launch(d, abi::device_kernels.scatter, "scatter_rows", &s, sizeof s,
                          std::min<Index>((rows + 7) / 8, 65535), 256);
  return y;
}

inline AnyTensor extreme_on(const AnyTensor& x, Index outer, Index n, Index inner, bool least,
                            const Extents& result) {
  const Device d = x.device();
  const AnyTensor dense = x.to_contiguous();
  AnyTensor y = AnyTensor::empty(Dtype::i64, result, d);
  const abi::DeviceExtreme e{dense.get()->data,
                             static_cast<abi::Element>(dense.dtype()),
                             static_cast<std::int64_t*>(y.get()->data),
                             outer,
                             n,
                             inner,
                             least};
  tenon::detail::launch_each(d, abi::device_kernels.extreme, least ? "argmin" : "argmax", e,
                             outer * inner);
  return y;
}

inline constexpr DeviceCalls device_functions{device_forward,
                                              device_backward,
                                              device_product_forward,
                                              device_product_backward,
                                              combine_on,
                                              square_sum_on,
                                              check_index_on,
                                              filled_on,
                                              sum_to_on,
                                              take_on,
                                              scatter_on,
                                              extreme_on};
inline const bool device_functions_set = (device_calls_place() = &device_functions, true);

}  // namespace detail
}  // namespace tenon::kernel
