// SPDX-License-Identifier: Apache-2.0
// A part of a matrix product that stays in cache: packing, and the grid of tasks for threads.
#pragma once
#include <tenon/kernel/cpu/gemm_tile.hpp>

namespace tenon::inline TENON_ISA::kernel {

/// Element (i, j) is data[i * row_stride + j * col_stride]; strides may be 0 or negative.
template <class T>
struct MatrixView {
  const T* data;
  Index row_stride, col_stride;
  MatrixView transposed() const { return {data, col_stride, row_stride}; }
};

/// What follows a product: called once for each rectangle of C, when it is final and still in
/// cache, by the thread that computed it. Rectangles cover C and do not overlap. Must not throw.
struct GemmEpilogue {
  void (*run)(const void* context, Index row, Index rows, Index col, Index cols);
  const void* context;
};

namespace detail {

/// Where sums and grids are cut. An element's sum runs over k in order within a block of `depth`,
/// and the blocks are added in order: its bits depend on neither the grid, the tile nor the thread.
struct GemmGrid {
  static constexpr Index depth = 512;  ///< of k: rows of a packed panel
  static constexpr Index width = 512;  ///< of n: columns packed at a time
  static constexpr Index rows = 24;    ///< of a task
  /// Of a task when C is computed transposed, and rows that are turned at a time.
  static constexpr Index turned_rows = 128, turned_width = 64, turned_group = 48;
  /// Up to so many rows of C, B is read where it lies if its rows are dense.
  static constexpr Index direct_rows = 24;
};

/// to[j * to_stride + i] (+)= from[i * from_stride + j] for i < rows, j < cols.
template <class T>
void transpose(const GemmKernels<T>& kernels, Index rows, Index cols, const T* from,
               Index from_stride, T* to, Index to_stride, bool add) {
  const Index lanes = kernels.lanes;
  for (Index i = 0; i < rows; i += lanes) {
    Index j = 0;
    if (i + lanes <= rows) {
      for (; j + lanes <= cols; j += lanes) {
        kernels.transpose(from + i * from_stride + j, from_stride, lanes, to + j * to_stride + i,
                          to_stride, add);
      }
    }
    Index end = i + lanes < rows ? i + lanes : rows;
    for (; j < cols; ++j) {
      T* out = to + j * to_stride;
      const T* in = from + j;
      for (Index q = i; q < end; ++q)
        out[q] = add ? out[q] + in[q * from_stride] : in[q * from_stride];
    }
  }
}

/// Packs b[k, cols], cols <= width, as rows of `width` elements, zeros beyond cols.
/// width is a multiple of lanes.
template <class T>
void pack_panel(const GemmKernels<T>& kernels, Index k, Index cols, MatrixView<T> b, T* to,
                Index width) {
  if (b.col_stride == 1 && cols == width) {
    kernels.copy(k, b.data, b.row_stride, to, width);
    return;
  }
  if (b.row_stride == 1 && k >= kernels.lanes) {
    const Index lanes = kernels.lanes;
    for (Index j = 0; j < width; j += lanes) {
      Index there = cols - j < lanes ? (cols > j ? cols - j : 0) : lanes;
      for (Index q = 0; q < k; q += lanes) {
        // The last block may repeat rows of the one before.
        Index from = q + lanes <= k ? q : k - lanes;
        kernels.transpose(b.data + j * b.col_stride + from, b.col_stride, there,
                          to + from * width + j, width, false);
      }
    }
    return;
  }
  for (Index q = 0; q < k; ++q) {
    const T* row = b.data + q * b.row_stride;
    for (Index j = 0; j < width; ++j) to[q * width + j] = j < cols ? row[j * b.col_stride] : T(0);
  }
}

/// One block of k against one block of columns, cut into a grid of tasks.
template <class T>
struct GemmBlock {
  const GemmKernels<T>* kernels;
  Index m, n, k;       // of the block
  MatrixView<T> a, b;  // where the block begins
  T* c;                // the same; transposed if `turned`
  Index ldc, col;      // col: of the whole C
  Index task_rows, task_cols;
  const T* packed;  // panels of b
  bool direct, turned, add, last;
  const GemmEpilogue* epilogue;

  Index panels() const { return (n + kernels->width - 1) / kernels->width; }
  Index panel_cols(Index p) const {
    Index left = n - p * kernels->width;
    return left < kernels->width ? left : kernels->width;
  }
  Index panel_width(Index p) const {
    return panel_cols(p) <= kernels->lanes ? kernels->lanes : kernels->width;
  }
  T* panel(Index p) const { return const_cast<T*>(packed) + p * kernels->width * k; }

  void pack(Index p) const {
    if (direct && panel_cols(p) == kernels->width) return;
    MatrixView<T> from{b.data + p * kernels->width * b.col_stride, b.row_stride, b.col_stride};
    pack_panel(*kernels, k, panel_cols(p), from, panel(p), panel_width(p));
  }

  Index tasks_across() const { return (n + task_cols - 1) / task_cols; }
  Index tasks() const { return (m + task_rows - 1) / task_rows * tasks_across(); }

  void run(Index task) const {
    Index i0 = task / tasks_across() * task_rows, i1 = i0 + task_rows < m ? i0 + task_rows : m;
    Index j0 = task % tasks_across() * task_cols, j1 = j0 + task_cols < n ? j0 + task_cols : n;
    if (turned) {
      run_turned(i0, i1, j0, j1);
    } else {
      for (Index i = i0; i < i1;) i += run_rows(i, i1, j0, j1, c + i * ldc + j0, ldc, false);
    }
    if (last && epilogue != nullptr) {
      if (turned) {
        epilogue->run(epilogue->context, col + j0, j1 - j0, i0, i1 - i0);
      } else {
        epilogue->run(epilogue->context, i0, i1 - i0, col + j0, j1 - j0);
      }
    }
  }

  // Groups of rows go through a buffer, padded to whole tiles, and then to C in square blocks.
  void run_turned(Index i0, Index i1, Index j0, Index j1) const {
    constexpr Index ld = GemmGrid::turned_width + 16;
    alignas(64) T buffer[GemmGrid::turned_group * ld];
    for (Index g = i0; g < i1; g += GemmGrid::turned_group) {
      Index end = g + GemmGrid::turned_group < i1 ? g + GemmGrid::turned_group : i1;
      for (Index i = g; i < end;) i += run_rows(i, end, j0, j1, buffer + (i - g) * ld, ld, true);
      transpose(*kernels, end - g, j1 - j0, buffer, ld, c + j0 * ldc + g, ldc, add);
    }
  }

  // One row of tiles, written to `to`; returns how many rows of C that were. `padded`: there is
  // room for whole tiles, and nothing to add to. A rest of 4 after 12 is better cut as 8 and 8.
  __attribute__((noinline)) Index run_rows(Index i, Index end, Index j0, Index j1, T* to, Index ld,
                                           bool padded) const {
    Index left = end - i;
    Index rows = left > kernels->rows ? kernels->rows : left < 4 ? 4 : left / 4 * 4;
    if (kernels->rows == 12 && left > 12 && left <= 16) rows = 8;
    Index there = left < rows ? left : rows;
    MatrixView<T> from{a.data + i * a.row_stride, a.row_stride, a.col_stride};
    alignas(64) T four[4 * GemmGrid::depth];
    if (there < 4) {
      pad_rows(from, there, four);
      from = {four, 1, 4};
    }
    for (Index j = j0; j < j1; j += kernels->width) {
      Index p = j / kernels->width, cols = panel_cols(p), width = panel_width(p);
      bool in_place = direct && cols == kernels->width;
      const T* columns = in_place ? b.data + j * b.col_stride : panel(p);
      Index ldb = in_place ? b.row_stride : width;
      auto tile = kernels->tile[rows / 4 - 1][width == kernels->lanes ? 0 : 1];
      T* out = to + (j - j0);
      if (padded || (there == rows && cols == width)) {
        tile(k, from.data, from.row_stride, from.col_stride, columns, ldb, out, ld, !padded && add);
      } else {
        alignas(64) T edge[12 * 32];
        tile(k, from.data, from.row_stride, from.col_stride, columns, ldb, edge, width, false);
        for (Index r = 0; r < there; ++r) leave_row(edge + r * width, cols, out + r * ld);
      }
    }
    return there;
  }

  // The last one to three rows as four, zeros beyond, so that no tile reads outside A.
  void pad_rows(MatrixView<T> from, Index there, T* four) const {
    for (Index q = 0; q < k; ++q) {
      const T* column = from.data + q * from.col_stride;
      for (Index r = 0; r < 4; ++r)
        four[4 * q + r] = r < there ? column[r * from.row_stride] : T(0);
    }
  }
  void leave_row(const T* from, Index cols, T* out) const {
    for (Index q = 0; q < cols; ++q) out[q] = add ? out[q] + from[q] : from[q];
  }
};

}  // namespace detail
}  // namespace tenon::inline TENON_ISA::kernel
