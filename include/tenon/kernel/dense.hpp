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
  abi::Leaves constant = 0;
  Index n;
  const Record* shape;
  static constexpr Index row[max_leaves] = {};

  /// unread: bit i: nobody reads the elements of operand i. alike: as Statement::alike.
  bool fits(const StatementInfo& info, const AnyTensor* operand, std::uint32_t unread,
            bool alike = false) {
    if (alike) {
      shape = operand[0].get(), n = shape->size();
      for (int i = 0; i < info.leaves; ++i) leaf[i] = operand[i].get()->data;
      return true;
    }
    return info.elementwise && (same(info, operand, unread) || mixed(info, operand, unread));
  }
  /// One row of n elements, operands at these places.
  static abi::Block one_row(const void* const* leaf, Index n, const double* scalar) {
    abi::Block b;
    b.rows = 1, b.n = n, b.scalar = scalar, b.leaf = leaf, b.leaf_row = row;
    return b;
  }
  abi::Block block(const double* scalar) const {
    abi::Block b = one_row(leaf, n, scalar);
    b.constant = constant;
    return b;
  }
  std::size_t bytes() const { return static_cast<std::size_t>(n) * size_of(shape->dtype); }

 private:
  bool sized() {
    n = shape->size();
    return n <= tile && n > 0;
  }
  // All of one kind and extents.
  bool same(const StatementInfo& info, const AnyTensor* operand, std::uint32_t unread) {
    shape = operand[0].get();
    if (!shape) return false;
    const std::uint64_t kind = shape->bits() & ~RecordKind::valueless_bits;
    if (shape->dtype != info.compute || !shape->dense || shape->place) return false;
    std::uint64_t differ = 0;
    for (int i = 0; i < info.leaves; ++i) {
      const Record* r = operand[i].get();
      if (!r) return false;
      differ |= (r->bits() ^ kind) & ~(unread >> i & 1 ? RecordKind::valueless_bits : 0);
      for (int k = 0; k < shape->rank; ++k)
        differ |= static_cast<std::uint64_t>(r->extents[k] ^ shape->extents[k]);
      leaf[i] = r->data;
    }
    if (differ) return false;
    return sized();
  }
  // Numbers among them, or views that are contiguous.
  __attribute__((noinline)) bool mixed(const StatementInfo& info, const AnyTensor* operand,
                                       std::uint32_t unread) {
    shape = &operand[0].record(info.name);
    for (int i = 1; i < info.leaves; ++i)
      if (operand[i].record(info.name).rank > shape->rank) shape = operand[i].get();
    if (!sized()) return false;
    for (int i = 0; i < info.leaves; ++i) {
      const Record& r = *operand[i].get();
      if (r.generated || r.place || r.dtype != info.compute || (r.valueless && !(unread >> i & 1)))
        return false;
      leaf[i] = r.data;
      if (r.rank == 0 && shape->rank > 0) constant |= 1u << i;
      else if (!r.alike(*shape) || !r.contiguous()) return false;
    }
    return shape->dense;
  }
};

// Results of exp, tanh and the like are left for backward while all of it stays in the caches:
// tanh(a * x + b) * sigmoid(c) + d with its gradients takes 0.8 of the time at 1 K and 4 K
// elements, but 1.1 at 64 K (Zen 5). Below 128 elements a block of memory costs more than it saves.
inline constexpr Index fewest_kept = 128, most_kept = 64 * 1024;  // elements, bytes

/// Where the forward kernel `b` of such a statement leaves them; undefined where it does not.
inline __attribute__((noinline)) AnyTensor room_to_keep(const StatementInfo& info,
                                                        const AnyTensor& result, abi::Block& b) {
  if (info.keeps_result) return result;
  const Index each = (b.n + 63) & -64, all = info.kept_values * each;
  if (b.n < fewest_kept || all * static_cast<Index>(size_of(info.compute)) > most_kept) return {};
  AnyTensor kept = AnyTensor::empty(info.compute, Extents{1, {all}});
  b.kept = kept.get()->data;
  return kept;
}

/// kept: as room_to_keep, if not null.
inline bool forward_dense(const StatementInfo& info, const AnyTensor* leaf, const double* scalar,
                          AnyTensor& result, Dtype dtype, AnyTensor* kept = nullptr) {
  Dense d;
  if (dtype != info.compute || !d.fits(info, leaf, 0)) return false;
  if (!result.defined()) result = AnyTensor::empty_like(*d.shape, d.bytes());
  else if (result.dtype() != dtype || !result.contiguous() || result.size() != d.n) return false;
  abi::Block b = d.block(scalar);
  b.out = result.get()->data;
  if (kept) *kept = room_to_keep(info, result, b);
  info.forward(b);
  return true;
}

inline bool backward_dense(const StatementInfo& info, BackwardCall& c) {
  Dense d;
  if (!d.fits(info, c.operand, ~info.reads, c.alike)) return false;
  const Record& dy = *c.dy.get();
  if (dy.dtype != info.compute || !dy.contiguous() || dy.generated || dy.place) return false;
  void* gradient[max_leaves];
  abi::Block b = d.block(c.scalar);
  const std::size_t bytes = d.bytes();
  const std::uint32_t all = (1u << info.leaves) - 1;
  for (std::uint32_t left = all & ~info.reads; left; left &= left - 1)
    d.leaf[__builtin_ctz(left)] = dy.data;
  for (std::uint32_t left = c.wanted & all; left; left &= left - 1) {
    const int i = __builtin_ctz(left);
    const std::uint32_t bit = left & -left;
    AnyTensor& g = c.gradient[i];
    if (!g.defined()) {
      AnyTensor made = d.constant & bit ? AnyTensor::empty(info.compute, Extents{})
                                        : AnyTensor::empty_like(*d.shape, bytes);
      g.swap(made);
      c.accumulate &= ~bit;
    }
    gradient[i] = g.get()->data;
    if (!((info.reached | c.accumulate) & bit))  // steps and comparisons only: no kernel writes it
      std::memset(gradient[i], 0, static_cast<std::size_t>(g.size()) * size_of(info.compute));
  }
  if (c.kept && c.kept->defined()) b.kept = c.kept->get()->data;
  b.dy = dy.data, b.dy_row = 0, b.dy_constant = false;
  b.gradient = gradient, b.gradient_row = Dense::row;
  const abi::Leaves reached = c.wanted & info.reached;
  b.written = reached & ~c.accumulate, b.added = reached & c.accumulate;
  b.summed = reached & d.constant;
  info.backward(b);
  return true;
}

}  // namespace tenon::kernel::detail
