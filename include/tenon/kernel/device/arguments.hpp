// SPDX-License-Identifier: Apache-2.0
// The arguments of fused kernels on a device: plain data, passed by value at launch.
#pragma once
#include <tenon/kernel/block.hpp>
#include <tenon/memory/device_division.hpp>
#include <tenon/memory/device_table.hpp>

namespace tenon::abi {

inline constexpr int device_rank = 8;

/// How a kernel leaves a gradient: not at all, over what is there, or added to it.
enum GradientMode : std::uint8_t { gradient_none = 0, gradient_write = 1, gradient_add = 2 };

/// One tensor of a group. Along a row its elements are at distance 1, or there is one (step 0).
struct DeviceOperand {
  void* base;                ///< null: `value` everywhere
  double value;              ///< a number of the host, passed by value
  Count outer[device_rank];  ///< distances between rows along the outer axes
  Count part;                ///< gradients summed over rows: distance between the parts
  std::int32_t step, mode;   ///< gradients: a GradientMode
};

/// Rows, and how they are cut into items: one item is a range of rows and columns for one team.
struct DeviceGroupHead {
  Count rows, n;
  Count item_rows, item_columns, items_down;
  Divisor items_along;
  Divisor outer_extent[device_rank];
  std::int32_t outer_rank;
  std::int32_t lanes;          ///< threads that share a row: a power of two up to 32, or the block
  std::int32_t wide;           ///< 1: operands with step 1 can be read 16 bytes at a time
  std::int32_t one_result;     ///< 1: one result an item instead of one a row
  std::int32_t sums_lanes;     ///< 1: a gradient is summed along rows
  std::int32_t columns_first;  ///< 1: an item goes down its rows before it moves along
  void* kept;  ///< two numbers a reduction and row: written forward if not null, read backward
};

/// Forward: leaves, result. Backward: leaves, dy, y, gradients of the leaves.
template <int Operands, int Scalars>
struct DeviceGroup {
  DeviceGroupHead head;
  DeviceOperand operand[Operands];
  double scalar[Scalars > 0 ? Scalars : 1];
};

/// Both kernels of a group computing in one type.
struct DeviceGroupKernels {
  DeviceKernel forward, backward;
};

/// One step of an optimizer for one parameter: w = rule(w, g, slots), element by element.
template <class Rule, class Step>
struct DeviceUpdate {
  Rule rule;
  Step step;
  void* w;
  const void* g;
  void* slot[8];
  Count count;
};

}  // namespace tenon::abi
