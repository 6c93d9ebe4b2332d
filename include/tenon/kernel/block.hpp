// SPDX-License-Identifier: Apache-2.0
// The arguments of a kernel: plain data, the same for every instruction set and compiler.
#pragma once
#include <cstdint>

namespace tenon::abi {

using Count = std::int64_t;

/// Bit i: leaf i of a group.
using Leaves = std::uint32_t;

/// A matrix of elements, `rows` rows of n, for every operand of a group. Distances count elements
/// of the compute type; along a row elements follow each other.
struct Block {
  Count rows = 0, n = 0;
  const void* const* leaf = nullptr;
  const Count* leaf_row = nullptr;  ///< distance between rows
  Leaves constant = 0;              ///< one element a row
  const double* scalar = nullptr;
  void* out = nullptr;  ///< forward; one element a row when the result is constant along it
  Count out_row = 0;
  /// Two numbers a reduction and row: written forward if not null, read backward. Of element-wise
  /// groups, one row, if not null: what is kept for backward, a row after the other of whole
  /// registers.
  void* kept = nullptr;
  // Backward, set by who calls it: small statements would feel the time to clear them.
  const void* dy;
  Count dy_row;
  const void* y;  ///< the result, for kernels that start from it
  Count y_row;
  void* const* gradient;
  const Count* gradient_row;
  Leaves written, added;  ///< over what is there, to what is there; others nobody wants
  Leaves summed;          ///< of them, those with one element a row
  bool dy_constant;
};

using Kernel = void (*)(const Block&);

/// y[i] = op(x[0][i], x[1][i], x[2][i]) for whole registers: n is a multiple of the lanes.
using Chunk = void (*)(const void* const* x, void* y, Count n);

}  // namespace tenon::abi
