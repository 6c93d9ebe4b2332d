// SPDX-License-Identifier: Apache-2.0
// The short way for small element-wise groups: leaves that are dense and alike need no iteration
// space.
#pragma once
#include <tenon/kernel/statement.hpp>

namespace tenon::inline TENON_ISA::kernel::detail {

inline constexpr Index tile = 4096;  // elements per call of a kernel, where rows are shorter

// Small element-wise groups whose leaves are dense and alike, or single numbers, need no space: one
// row.
struct Dense {
  const void* leaf[max_leaves];
  Index step[max_leaves];
  Index n;
  const Record* shape;
  static constexpr Index row[max_leaves] = {};

  bool fits(const StatementInfo& info, const AnyTensor* operand) {
    if (info.depth || info.row_root || info.reductions || info.row_leaves || info.product)
      return false;
    shape = operand[0].get();
    for (int i = 1; i < info.leaves; ++i)
      if (operand[i].get()->rank > shape->rank) shape = operand[i].get();
    n = shape->size();
    if (n > tile || n == 0) return false;
    for (int i = 0; i < info.leaves; ++i) {
      const Record& r = *operand[i].get();
      if (r.generated || r.place || r.dtype != info.compute || (r.valueless && info.reads >> i & 1))
        return false;
      leaf[i] = r.data, step[i] = 1;
      if (r.rank == 0 && shape->rank > 0) step[i] = 0;
      else if (!r.alike(*shape) || !r.contiguous()) return false;
    }
    return true;
  }
  abi::Block block(const double* scalar) const {
    abi::Block b;
    b.rows = 1, b.n = n, b.scalar = scalar;
    b.leaf = leaf, b.leaf_row = row, b.leaf_step = step;
    return b;
  }
};

inline bool forward_dense(const StatementInfo& info, const AnyTensor* leaf, const double* scalar,
                          AnyTensor& result, Dtype dtype) {
  Dense d;
  if (dtype != info.compute || !d.fits(info, leaf)) return false;
  if (!result.defined()) result = AnyTensor::empty(dtype, d.shape->shape());
  else if (result.dtype() != dtype || !result.contiguous() || result.size() != d.n) return false;
  abi::Block b = d.block(scalar);
  b.out = result.raw_writable();
  info.forward(b);
  return true;
}

inline bool backward_dense(const StatementInfo& info, BackwardCall& c) {
  Dense d;
  if (!d.fits(info, c.operand)) return false;
  const Record& dy = *c.dy.get();
  if (dy.dtype != info.compute || !dy.contiguous() || dy.generated || dy.place) return false;
  void* gradient[max_leaves];
  std::uint8_t mode[max_leaves];
  abi::Block b = d.block(c.scalar);
  const Extents e = d.shape->shape();
  for (int i = 0; i < info.leaves; ++i) {
    mode[i] = abi::gradient_none;
    if (!(info.reads >> i & 1)) d.leaf[i] = dy.data;
    if (!(c.wanted >> i & 1)) continue;
    if (!c.gradient[i].defined()) {
      c.gradient[i] = AnyTensor::empty(info.compute, d.step[i] ? e : Extents{});
      c.accumulate &= ~(1u << i);
    }
    gradient[i] = c.gradient[i].raw_writable();
    if (!(info.reached >> i & 1)) {  // steps and comparisons only: the kernel writes nothing
      if (!(c.accumulate >> i & 1))
        std::memset(gradient[i], 0,
                    static_cast<std::size_t>(c.gradient[i].size()) * size_of(info.compute));
      continue;
    }
    mode[i] = c.accumulate >> i & 1 ? abi::gradient_add : abi::gradient_write;
  }
  b.dy = dy.data, b.dy_step = 1;
  b.gradient = gradient, b.gradient_row = Dense::row, b.gradient_step = d.step,
  b.gradient_mode = mode;
  info.backward(b);
  return true;
}

}  // namespace tenon::kernel::detail
