// SPDX-License-Identifier: Apache-2.0
// The arguments of a kernel: plain data, the same for every instruction set and compiler.
#pragma once
#include <cstdint>

namespace tenon::abi {

using Count = std::int64_t;

/// How a kernel leaves a gradient: not at all, over what is there, or added to it.
enum GradientMode : std::uint8_t { gradient_none = 0, gradient_write = 1, gradient_add = 2 };

/// A matrix of elements, `rows` rows of n, for every operand of a group. Distances count elements
/// of the compute type; along a row an operand's step is 1, or 0 where it is constant.
struct Block {
  Count rows = 0, n = 0;
  const void* const* leaf = nullptr;
  const Count* leaf_row = nullptr;  ///< distance between rows
  const Count* leaf_step = nullptr;
  const double* scalar = nullptr;
  void* out = nullptr;  ///< forward; one element a row when the result is constant along it
  Count out_row = 0;
  /// Two numbers a reduction and row: written forward if not null, read backward.
  void* kept = nullptr;
  // Backward, set by who calls it: small statements would feel the time to clear them.
  const void* dy;
  Count dy_row, dy_step;
  const void* y;  ///< the result, for kernels that start from it
  Count y_row;
  void* const* gradient;
  const Count* gradient_row;
  const Count* gradient_step;
  const std::uint8_t* gradient_mode;
};

using Kernel = void (*)(const Block&);

/// y[i] = op(x[0][i], x[1][i], x[2][i]) for whole registers: n is a multiple of the lanes.
using Chunk = void (*)(const void* const* x, void* y, Count n);

}  // namespace tenon::abi
