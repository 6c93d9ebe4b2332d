// SPDX-License-Identifier: Apache-2.0
// Labels are indices into a row: whether they fit is asked before a kernel runs.
#pragma once
#include <tenon/kernel/group_run.hpp>
#include <tenon/kernel/op_info.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {
TENON_COLD inline void check_index(const AnyTensor& label, Index n) {
  if (label.get()->place) return device_calls().check_index(label, n);
  AnyTensor l = label.to(Dtype::i64).to_contiguous();
  const auto* p = static_cast<const std::int64_t*>(l.raw());
  for (Index i = 0; i < l.size(); ++i)
    if (p[i] < 0 || p[i] >= n)
      fail(Error::index,
           {"pick: label ", p[i], " at position ", i, " is out of range for ", n, " classes"});
}
}  // namespace detail

/// Errors: Error::index for a label that is no class; Error::unsupported for more classes than f32
/// can number.
TENON_COLD inline void check_labels(const StatementInfo& info, const AnyTensor* operand,
                                    const GroupCall& how) {
  const Extents e = detail::group_extents(info, operand, how);
  Index n = 1;
  for (int i = 0; i < e.rank; ++i) n *= how.axes >> i & 1 ? e.extent[i] : 1;
  if (info.compute == Dtype::f32 && n > (Index{1} << 24))
    fail(Error::unsupported,
         {"pick: ", n, " classes are more than f32 can number exactly (16777216); use f64"});
  for (const StatementNode* node = info.nodes; node != info.nodes + info.node_count; ++node)
    if (node->op->reduction && node->op->arity == 2 && node->operand[1] < info.leaves)
      detail::check_index(operand[node->operand[1]], n);
}

}  // namespace tenon::kernel
