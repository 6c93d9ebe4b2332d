// SPDX-License-Identifier: Apache-2.0
// Runs the kernels of a group on a device: any shapes, strides and dtypes, cut into items by
// constants that depend on the shapes alone.
#pragma once
#include <tenon/kernel/device/layout.hpp>
#include <tenon/kernel/op_info.hpp>

#include <vector>

namespace tenon::inline TENON_ISA::kernel {
namespace detail {

/// One call being put together: its space, operands as they lie, and the kernel's arguments.
class DeviceGroupCall {
 public:
  DeviceGroupCall(const StatementInfo& info, const AnyTensor* leaf, const GroupCall& how, Device d)
      : info_(info), how_(how), device_(d), e_(group_extents(info, leaf, how)), along_(how.axes) {
    for (int i = 0; i < info.leaves; ++i) {
      AnyTensor& t = leaf_[i] = leaf[i];
      const Record* r = t.get();
      if (r->valueless) continue;
      if (r->generated) t = generate_on(d, *r);
      if (t.get()->place && t.dtype() != info.compute) t = t.to(info.compute);
    }
  }
  const Extents& extents() const { return e_; }
  const AnyTensor& leaf(int i) const { return leaf_[i]; }
  std::uint32_t skip(int i) const { return how_.dropped_leaves >> i & 1 ? how_.axes : 0; }
  void set_along(std::uint32_t along) { along_ = along; }

  /// Operands, in the order of the kernel's arguments. read: leaves whose elements it reads.
  void add_leaves(std::uint32_t read) {
    for (int i = 0; i < info_.leaves; ++i)
      read >> i & 1 ? add(leaf_[i], skip(i), true) : add_none();
  }
  void add(const AnyTensor& t, std::uint32_t skip, bool input) {
    part_.push_back({t, skip, input, t.get()->place == 0, true});
  }
  void add_none() { part_.push_back({AnyTensor{}, 0, false, false, false}); }

  /// Where rows and columns lie. Inputs that no kernel can read as they are are copied; outputs
  /// must fit, which `fits` says beforehand.
  void arrange() {
    build();
    bool all = true;
    for (Part& p : part_) all &= !p.there || !p.input || direct(p);
    if (all) return;
    for (Part& p : part_) {
      if (!p.there || !p.input || p.by_value || !moves_along(operand(p), space_.inner_rank))
        continue;
      p.tensor = laid_out(p.tensor, e_, along_, p.skip, info_.compute);
    }
    build();
  }
  /// Whether an output of these extents and strides can be written in place.
  bool fits(const AnyTensor& t, std::uint32_t skip) const {
    Space s;
    const Record& r = *t.get();
    s.add(e_, skip, r.shape(), r.strides);
    s.arrange(e_, along_);
    return t.dtype() == info_.compute && s.operand[0].direct;
  }

  /// The arguments as bytes: head, operands, scalars.
  abi::DeviceGroupHead& head() { return *reinterpret_cast<abi::DeviceGroupHead*>(bytes_.data()); }
  abi::DeviceOperand& argument(int i) {
    return reinterpret_cast<abi::DeviceOperand*>(bytes_.data() + sizeof(abi::DeviceGroupHead))[i];
  }
  void fill(const double* scalar) {
    const std::size_t scalars = info_.scalars ? info_.scalars : 1,
                      head_bytes =
                          sizeof(abi::DeviceGroupHead) + part_.size() * sizeof(abi::DeviceOperand);
    bytes_.assign(head_bytes + scalars * sizeof(double), 0);
    if (info_.scalars)
      std::memcpy(bytes_.data() + head_bytes, scalar, info_.scalars * sizeof(double));
    abi::DeviceGroupHead& h = head();
    h.rows = space_.rows, h.n = space_.n, h.outer_rank = space_.outer_rank;
    for (int i = 0; i < space_.outer_rank; ++i)
      h.outer_extent[i] = abi::Divisor::of(space_.outer_extent[i]);
    const int few = 16 / static_cast<int>(size_of(info_.compute));
    h.wide = space_.n % few == 0 || space_.rows == 1;
    for (int i = 0; i < static_cast<int>(part_.size()); ++i) {
      const Part& p = part_[static_cast<std::size_t>(i)];
      abi::DeviceOperand& a = argument(i);
      if (!p.there) continue;
      if (p.by_value) {
        const AnyTensor x = p.tensor.to(Dtype::f64).to_contiguous();
        a.value = *static_cast<const double*>(x.raw());
        continue;
      }
      const Operand& o = space_.operand[p.number];
      a.base = o.base, a.step = static_cast<int>(o.step());
      for (int k = 0; k < space_.outer_rank; ++k) {
        a.outer[k] = o.outer[k];
        if (a.step && o.outer[k] % few) h.wide = 0;
      }
      if (a.step && reinterpret_cast<std::uintptr_t>(o.base) % 16) h.wide = 0;
    }
    const Index pieces = (space_.n + few - 1) / few;
    // A warp for a row where there are many rows: it needs no barrier.
    h.lanes = power_of_two_from(
        h.rows >= 4096 && info_.depth && pieces <= 2048 ? std::min<Index>(pieces, 32) : pieces);
    h.item_rows = 1, h.item_columns = std::max<Index>(space_.n, 1);
    count_items();
  }
  void count_items() {
    abi::DeviceGroupHead& h = head();
    h.items_down = (h.rows + h.item_rows - 1) / h.item_rows;
    h.items_along =
        abi::Divisor::of(std::max<Index>((h.n + h.item_columns - 1) / h.item_columns, 1));
  }
  void launch(const abi::DeviceKernel& kernel) {
    const abi::DeviceGroupHead& h = head();
    const Index items = h.items_down * h.items_along.divisor;
    if (items == 0) return;
    if (!kernel.device && !kernel.lanes) fail_slot();
    const int threads = h.lanes > 32 ? h.lanes : 256;
    const Index teams = threads / h.lanes, blocks = (items + teams - 1) / teams;
    tenon::detail::launch(device_, kernel, info_.name, bytes_.data(), bytes_.size(),
                          std::min<Index>(blocks, 8192), threads);
  }

 private:
  struct Part {
    AnyTensor tensor;
    std::uint32_t skip;
    bool input, by_value, there;
    int number = -1;
  };
  const Operand& operand(const Part& p) const { return space_.operand[p.number]; }
  bool direct(const Part& p) const { return p.by_value || operand(p).direct; }
  void build() {
    space_ = Space{};
    for (Part& p : part_) {
      if (!p.there || p.by_value) continue;
      const Record& r = *p.tensor.get();
      p.number = space_.add(e_, p.skip, r.shape(), r.strides);
      space_.operand[p.number].base = static_cast<char*>(r.data);
    }
    space_.arrange(e_, along_);
  }
  [[noreturn]] TENON_COLD void fail_slot() const {
    std::string list = info_.product ? "matmul" : "";
    for (int i = 0; i < info_.node_count; ++i)
      list += (list.empty() ? "" : ", ") + std::string(info_.nodes[i].op->name);
    fail(Error::device, {"cuda: the statement of ", list.c_str(),
                         " has no kernel for a device: its file must be built by nvcc and include "
                         "tenon/cuda.hpp"});
  }

  const StatementInfo& info_;
  const GroupCall& how_;
  Device device_;
  Extents e_;
  std::uint32_t along_;
  AnyTensor leaf_[max_leaves];
  std::vector<Part> part_;
  Space space_;
  std::vector<unsigned char> bytes_;
};

inline void total_on(Device d, const AnyTensor& rows, double scale, Dtype dtype,
                     AnyTensor& result) {
  const abi::DeviceTotal t{rows.get()->data,
                           result.get()->data,
                           static_cast<abi::Element>(rows.dtype()),
                           static_cast<abi::Element>(dtype),
                           rows.size(),
                           scale};
  tenon::detail::launch(d, abi::device_kernels.total, "sum", &t, sizeof t, 1, 256);
}
/// The slot of a single operation, or of a group.
inline const abi::DeviceGroupKernels& device_slots(const StatementInfo& info) {
  static constexpr abi::DeviceGroupKernels none{};
  return info.device ? *info.device : none;
}

}  // namespace detail

/// The value of a group whose leaves lie on a device. As run_forward.
inline void device_forward(const StatementInfo& info, const AnyTensor* leaf, const double* scalar,
                           const GroupCall& how, AnyTensor& result, Dtype dtype, bool keep,
                           AnyTensor& kept) {
  using namespace detail;
  const Device d = common_device(info.name, leaf, info.leaves);
  DeviceGroupCall g(info, leaf, how, d);
  const Extents e = g.extents();
  const bool total = how.total != Total::none;
  // A plain sum over other than the last axes needs no rows.
  if (!total && info.sums_rows && info.node_count == 1 && info.leaves == 1 &&
      is_floating(info.compute) && e.rank > 0 && !(how.axes >> (e.rank - 1) & 1)) {
    if (!result.defined())
      result = AnyTensor::empty(dtype, reduced_extents(e, how.axes, how.keepdims), d);
    if (result.dtype() == info.compute)
      return fold_into(result, false, g.leaf(0), e, how.keepdims ? 0 : how.axes);
  }
  // A sum of everything does not care which axes its rows have.
  const bool cut = total && info.sums_rows && !info.row_leaves && e.rank > 0;
  if (cut) g.set_along((1u << e.rank) - 1);
  g.add_leaves(~0u);
  const std::uint32_t dropped = how.keepdims || !info.row_root ? 0 : how.axes;
  const Extents shape = info.row_root ? reduced_extents(e, how.axes, how.keepdims) : e;
  AnyTensor out;
  if (!total) {
    if (!result.defined()) result = AnyTensor::empty(dtype, shape, d);
    out = result;
    if (!g.fits(result, dropped))
      out = info.row_root ? AnyTensor::empty(info.compute, shape, d)
                          : rows_first(info.compute, e, how.axes, d);
    g.add(out, dropped, false);
  } else {
    g.add_none();
  }
  g.arrange();
  g.fill(scalar);
  abi::DeviceGroupHead& h = g.head();
  if (cut) {
    h.item_columns = 32768, h.lanes = 256, h.one_result = 1;
    g.count_items();
  } else if (!info.row_root && !info.depth && h.n > 4096) {
    h.item_columns = 4096;
    g.count_items();
  }
  if (info.sums_rows) keep = false;
  if (keep && info.reductions) {
    kept = AnyTensor::empty(info.compute, Extents{2, {h.rows, 2 * info.reductions}}, d);
    h.kept = kept.get()->data;
  }
  AnyTensor rows;
  if (total) {
    rows = AnyTensor::empty(info.compute, Extents{1, {cut ? h.items_along.divisor : h.rows}}, d);
    abi::DeviceOperand& a = g.argument(info.leaves);
    a.base = rows.get()->data;
    h.one_result = 1;  // one row an item
  }
  g.launch(device_slots(info).forward);
  if (total) {
    if (!result.defined())
      result = AnyTensor::empty(dtype, how.keepdims ? reduced_extents(e, ~0u, true) : Extents{}, d);
    total_on(d, rows, how.scale, dtype, result);
  } else if (out.get() != result.get()) {
    const Record& r = *out.get();
    tenon::detail::copy_strided_on(d, shape, r.dtype, r.data, r.strides, dtype, result.get()->data,
                                   result.get()->strides);
  }
}

}  // namespace tenon::kernel
