// SPDX-License-Identifier: Apache-2.0
// The functions that graph files may name, beside groups: what does not fuse and what comes from no
// operand.
#pragma once
#include <tenon/function/lookup.hpp>
#include <tenon/graph/ir.hpp>

namespace tenon::inline TENON_ISA::graph {

/// A function and the counts that its node has in a file. What they say together (axes, extents)
/// the function itself checks when it runs.
struct FunctionEntry {
  const StatementInfo* info;
  int operands;  ///< -1: from 1 to max_leaves
  int integers;  ///< at least, and so many more for each axis of the first operand or result
  int per_axis = 0;
  int numbers = 0;
  bool typed = false;  ///< integer[0] is the result's dtype
  int more = 0;        ///< integers that may follow
};

/// All of them. Names differ; a group that has a function's name (add) says what it computes in.
inline std::span<const FunctionEntry> functions() {
  using namespace kernel::detail;
  using namespace tenon::detail;
  static constexpr FunctionEntry all[] = {
      {&fill_info, 0, 1, 0, 1, true, 1},
      {&inverse_info, 0, 2, 0, 0, true},
      {&count_info, 0, 1, 0, 0, true, 1},
      {&uniform_info, 0, 4, 0, 0, true},
      {&ramp_info, 0, 1, 0, 2, true},
      {&linspace_info, 0, 1, 0, 2, true},
      {&eye_info, 0, 1, 0, 0, true},
      {&one_hot_info, 1, 1, 0, 0, true},
      {&kernel::detail::cast_info, 1, 1, 0, 0, true},
      {&kernel::detail::reshape_info, 1, 0},
      {&kernel::detail::add_info, 2, 0},
      {&select_info, 1, 2, 2},
      {&place_info, 1, 2, 2},
      {&tenon::detail::permute_info, 1, 0, 1},
      {&unsqueeze_info, 1, 1},
      {&broadcast_info, 1, 0},
      {&concatenate_info, -1, 2},
      {&to_device_info, 1, 1},
      {&take_info, 2, 0},
      {&scatter_info, 2, 0},
      {&argmax_info, 1, 2},
      {&argmin_info, 1, 2},
  };
  return all;
}

}  // namespace tenon::inline TENON_ISA::graph
