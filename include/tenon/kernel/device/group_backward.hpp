// SPDX-License-Identifier: Apache-2.0
// The backward kernel of a group on a device. Gradients that are sums over rows are summed in parts
// of rows by constants, and the parts in a fixed order.
#pragma once
#include <tenon/kernel/device/group.hpp>

namespace tenon::inline TENON_ISA::kernel {
namespace detail {

/// How one gradient leaves the kernel.
struct DeviceTarget {
  AnyTensor apart;  ///< what the kernel writes instead of the gradient
  Index parts = 0;  ///< > 0: `apart` holds that many gradients, each of some rows
  std::uint32_t skip = 0;
};

/// dy for every row of a total: times the factor of a mean.
inline AnyTensor scaled_dy(const AnyTensor& dy, double scale, Dtype compute) {
  if (dy.get()->place == 0) {
    double x;
    const AnyTensor dense = dy.to_contiguous();
    convert(dense.dtype(), dense.raw(), 1, Dtype::f64, &x, 1, 1);
    AnyTensor t = AnyTensor::empty(compute, Extents{});
    x *= scale;
    convert(Dtype::f64, &x, 1, compute, t.raw_writable(), 1, 1);
    return t;
  }
  AnyTensor t = AnyTensor::empty(compute, Extents{}, dy.device());
  const Record& r = *dy.get();
  tenon::detail::copy_strided_on(dy.device(), Extents{}, r.dtype, r.data, r.strides, compute,
                                 t.get()->data, t.get()->strides, scale);
  return t;
}

/// Axes that go along the row in an element-wise group: the last ones that lie alike in every
/// operand and gradient, so that each of them sees the same rows.
inline std::uint32_t row_axes(const StatementInfo& info, const BackwardCall& call,
                              const Extents& e) {
  Space s;
  auto add = [&](const AnyTensor& t, bool dense) {
    const Record& r = *t.get();
    Index strides[max_rank] = {};
    contiguous_strides(r.shape(), strides);
    s.add(e, 0, r.shape(), dense || r.generated || r.valueless ? strides : r.strides);
  };
  for (int i = 0; i < info.leaves; ++i) add(call.operand[i], false), add(call.operand[i], true);
  add(call.dy, false);
  if (info.reads_result && call.result) add(*call.result, false);
  s.arrange(e, 0);
  std::uint32_t along = 0;
  Index n = 1;
  for (int i = e.rank - 1; i >= 0 && n != s.n; --i) n *= e.extent[i], along |= 1u << i;
  return along;
}

/// The parts that rows are summed in: enough for all threads of a device, but no more memory than
/// the group has elements.
inline Index parts_of(Index rows, Index n, Index gradient) {
  Index parts = std::min<Index>(rows, 256);
  const Index room = std::max<Index>(rows * n / 4, 1 << 16);
  while (parts > 1 && parts * gradient > room) parts /= 2;
  return parts;
}

}  // namespace detail

/// Gradients of the leaves that call.wanted names, contiguous. As run_backward.
inline void device_backward(const StatementInfo& info, BackwardCall& call, const GroupCall& how) {
  using namespace detail;
  AnyTensor every[max_leaves + 1];
  for (int i = 0; i < info.leaves; ++i) every[i] = call.operand[i];
  every[info.leaves] = call.dy;
  const Device d = common_device(info.name, every, info.leaves + 1);
  DeviceGroupCall g(info, call.operand, how, d);
  const Extents e = g.extents();
  const bool total = how.total != Total::none;
  // Backward of a sum needs no row as a whole, and of a sum of everything no particular rows.
  const bool cut = info.sums_rows && !info.row_leaves;
  const std::uint32_t along = cut && total ? (1u << e.rank) - 1
                              : how.axes   ? how.axes
                                           : row_axes(info, call, e);
  g.set_along(along);
  AnyTensor dy = total ? scaled_dy(call.dy, how.scale, info.compute) : call.dy;
  if (dy.get()->place && dy.dtype() != info.compute) dy = dy.to(info.compute);
  g.add_leaves(info.reads);
  g.add(dy, info.row_root && !total && !how.keepdims ? how.axes : 0, true);
  if (info.reads_result && call.result) g.add(*call.result, 0, true);
  else g.add_none();

  // Rows and columns as the gradients will see them.
  Index rows = 1, n = 1;
  for (int i = 0; i < e.rank; ++i) (along >> i & 1 ? n : rows) *= e.extent[i];
  DeviceTarget target[max_leaves];
  Index parts = 0;
  bool down = info.depth == 0 && !info.row_root;
  for (int i = 0; i < info.leaves; ++i) {
    if (!(call.wanted >> i & 1)) {
      g.add_none();
      continue;
    }
    const Extents own = call.operand[i].extents();
    AnyTensor& to = call.gradient[i];
    if (!(info.reached >> i & 1)) {
      if (!(call.accumulate >> i & 1))
        to = tenon::detail::zeros_beside(dy.get()->place ? dy : g.leaf(i), info.compute, own);
      call.wanted &= ~(1u << i);
      g.add_none();
      continue;
    }
    if (!to.defined()) to = AnyTensor::empty(info.compute, own, d), call.accumulate &= ~(1u << i);
    DeviceTarget& t = target[i];
    t.skip = g.skip(i);
    Space s;
    s.add(e, t.skip, own, to.get()->strides);
    s.arrange(e, along);
    const Operand& o = s.operand[0];
    bool shared = false;  // rows that add to one place
    for (int k = 0; k < s.outer_rank; ++k) shared |= o.outer[k] == 0 && s.outer_extent[k] != 1;
    if (o.direct && !shared) {
      g.add(to, t.skip, false);
      down &= o.step() != 0 || s.n == 1;
      continue;
    }
    const Index count = to.size();
    if (o.direct && count * 2 <= rows * n) {
      if (!parts) parts = parts_of(rows, n, count);
      else parts = std::min(parts, parts_of(rows, n, count));
      t.parts = 1;
      g.add(to, t.skip, false);  // stands in for its parts, which lie alike
      bool all = true;
      for (int k = 0; k < s.outer_rank; ++k) all &= o.outer[k] == 0;
      down &= all && (o.step() != 0 || s.n == 1);
      continue;
    }
    t.apart = rows_first(info.compute, e, along, d);
    g.add(t.apart, 0, false);
  }
  if (!call.wanted) return;
  g.arrange();
  g.fill(call.scalar);
  abi::DeviceGroupHead& h = g.head();
  if (call.kept && call.kept->defined()) h.kept = call.kept->get()->data;
  h.columns_first = down && parts > 0;
  if (parts) {
    parts = std::min(parts, std::max<Index>(h.rows, 1));
    h.item_rows = std::max<Index>((h.rows + parts - 1) / parts, 1);
  }
  const int few = 16 / static_cast<int>(size_of(info.compute));
  if (h.columns_first) h.item_columns = std::max<Index>(h.lanes * few, 1);
  else if ((down || cut) && !parts && h.n > 4096) h.item_columns = 4096;
  g.count_items();
  for (int i = 0; i < info.leaves; ++i) {
    if (!(call.wanted >> i & 1)) continue;
    abi::DeviceOperand& a = g.argument(info.leaves + 2 + i);
    DeviceTarget& t = target[i];
    const bool adds = call.accumulate >> i & 1;
    a.mode = adds ? abi::gradient_add : abi::gradient_write;
    if (a.step == 0 && !(info.row_leaves >> i & 1)) h.sums_lanes = 1;
    if (t.parts) {
      t.parts = h.items_down;
      const Index count = call.gradient[i].size();
      t.apart =
          tenon::detail::zeros_beside(call.gradient[i], info.compute, Extents{2, {t.parts, count}});
      a.base = t.apart.get()->data, a.part = count, a.mode = abi::gradient_add;
      if (count % few) h.wide = 0;
    } else if (t.apart.defined()) {
      a.mode = abi::gradient_write;
    }
  }
  // Columns cannot be split where a row's own sums are wanted.
  if (h.sums_lanes && h.items_along.divisor > 1)
    h.item_columns = std::max<Index>(h.n, 1), g.count_items();
  g.launch(device_slots(info).backward);
  for (int i = 0; i < info.leaves; ++i) {
    const DeviceTarget& t = target[i];
    if (!t.apart.defined()) continue;
    const bool adds = call.accumulate >> i & 1;
    if (!t.parts) {
      fold_into(call.gradient[i], adds, t.apart, e, t.skip);
      continue;
    }
    AnyTensor& to = call.gradient[i];
    Extents flat{1, {to.size()}}, wide{2, {t.parts, to.size()}};
    Index one[max_rank] = {1};
    AnyTensor view = to.view(flat, one, 0);
    fold_into(view, adds, t.apart, wide, 0);
  }
}

}  // namespace tenon::kernel
