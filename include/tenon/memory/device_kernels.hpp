// SPDX-License-Identifier: Apache-2.0
// Kernels that every program with a device has, whatever its statements: arguments and slots. Plain
// data, the same for every instruction set and compiler; the bodies are in kernel/device/.
#pragma once
#include <tenon/memory/device_division.hpp>
#include <tenon/memory/device_table.hpp>

namespace tenon::abi {

using Element = std::uint8_t;  ///< the number of a Dtype

/// target = factor * source, or added to target, element by element: any strides, any types. Rank
/// at most 8, merged axes. A factor other than 1, and adding, are for floating targets.
struct DeviceCopy {
  const void* source;
  void* target;
  Element from, to;
  bool add;
  int rank;
  std::int64_t count, source_stride[8], target_stride[8];
  Divisor extent[8];
  double factor;
};

/// target[i] = start + i step, contiguous.
struct DeviceRamp {
  void* target;
  Element to;
  std::int64_t count;
  double start, step;
};

/// Uniform numbers in [0, 1) first .. first + count - 1 of a draw: f32 or f64, contiguous.
struct DeviceUniform {
  void* target;
  Element to;
  std::int64_t first, count;
  std::uint64_t seed, position;
  std::uint32_t shard, call;
};

/// target row i = source row index[i], `width` bytes each; positions out of range leave a fault.
struct DeviceTake {
  const void* source;
  const std::int64_t* index;
  void* target;
  std::int64_t count, rows, width;
  DeviceFault* fault;
};

/// Row r of the target is the sum of the source rows order[k] for all k with sorted[k] == r, in
/// that order. f32 or f64.
struct DeviceScatter {
  const void* source;
  const std::int64_t *sorted, *order;
  void* target;
  Element type;
  std::int64_t count, rows, width;
};

/// Leaves a fault for the first index that is not in [0, extent). Any integer type.
struct DeviceCheck {
  const void* index;
  Element type;
  std::int64_t count, extent;
  std::int32_t what;
  DeviceFault* fault;
};

/// Where the largest or smallest element along the middle axis lies: x is [outer, n, inner].
struct DeviceExtreme {
  const void* x;
  Element type;
  std::int64_t* target;
  std::int64_t outer, n, inner;
  bool least;
};

/// *target = scale * (the sum of `count` elements), added in double or 64-bit integers.
struct DeviceTotal {
  const void* source;
  void* target;
  Element from, to;
  std::int64_t count;
  double scale;
};

/// target[i] = or += the sum of the source over the summed axes, i over the kept ones; lanes share
/// one sum. f32 or f64. Axes are merged, at most 8 of each.
struct DeviceFold {
  const void* source;
  void* target;
  Element type;
  bool add;
  int lanes, kept_rank, sum_rank;
  std::int64_t kept, summed, kept_source[8], kept_target[8], sum_source[8];
  Divisor kept_extent[8], sum_extent[8];
};

/// target[k] = the sum of squares of the elements 4096 k .. 4096 k + 4095, in double.
struct DeviceSquares {
  const void* source;
  double* target;
  Element type;
  std::int64_t count;
};

/// y = a y + b x, f32 or f64, contiguous.
struct DeviceCombine {
  void* y;
  const void* x;
  Element type;
  std::int64_t count;
  double a, b;
};

/// The slots, filled by a file built by nvcc that includes tenon/cuda.hpp.
struct DeviceKernels {
  DeviceKernel copy, ramp, uniform, take, scatter, check, extreme, total, fold, squares, combine;
};
inline DeviceKernels device_kernels{};

}  // namespace tenon::abi

namespace tenon::inline TENON_ISA::detail {

/// Blocks of 256 threads for `count` pieces of work: enough to fill a device, no more.
constexpr Index device_blocks(Index count) {
  const Index blocks = (count + 255) / 256;
  return blocks < 1 ? 1 : blocks > 4096 ? 4096 : blocks;
}
template <class Arguments>
void launch_each(Device d, const abi::DeviceKernel& kernel, const char* name, const Arguments& a,
                 Index count) {
  if (count > 0) launch(d, kernel, name, &a, sizeof a, device_blocks(count), 256);
}

}  // namespace tenon::detail
