// SPDX-License-Identifier: Apache-2.0
// The matrix product on the CPU.
#pragma once
#include <tenon/core/parallel.hpp>
#include <tenon/kernel/cpu/gemm_block.hpp>
#include <tenon/kernel/cpu/gemv.hpp>
#include <tenon/kernel/cpu/scratch.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {

inline bool is_dense(Index stride, Index other) { return stride == 1 || other == 1; }

/// Rough cost, in cycles, of bringing a k x n operand into panels.
template <class T>
double packing_cost(MatrixView<T> b, Index k, Index n, Index m) {
  double each = b.col_stride == 1   ? (m <= GemmGrid::direct_rows ? 0.0 : 0.07)
                : b.row_stride == 1 ? 0.17
                                    : 1.0;
  return each * static_cast<double>(k) * static_cast<double>(n);
}
/// Rough cost of the tiles.
inline double tile_cost(Index m, Index n, Index k, Index lanes) {
  double rows = static_cast<double>((m + 3) / 4 * 4),
         cols = static_cast<double>((n + lanes - 1) / lanes);
  return rows * cols * static_cast<double>(k) / 2;
}

}  // namespace detail

/// C = A B, or C += A B if `accumulate`.   A: [m, k]   B: [k, n]   C: [m, n], rows at a distance of ldc >= n.
/// k == 0 gives zeros. C overlaps neither operand. T is float or double.
/// An element's sum depends on m, n, k and the operands' strides, never on the number of threads.
/// Errors: no memory for packing -> Error::memory.   Precision: k eps sum|a||b| at most.
/// Cost: 2 m n k flops, at most 512 x 512 elements of scratch; allocates nothing after warm-up.
/// Source: Goto, van de Geijn, Anatomy of high-performance matrix multiplication, 2008.
/// Example: tests/kernel/cpu/gemm.cpp
template <class T>
void gemm(Index m, Index n, Index k, MatrixView<T> a, MatrixView<T> b, T* c, Index ldc,
          bool accumulate, const GemmEpilogue* epilogue, int threads) {
  using namespace detail;
  using Grid = GemmGrid;
  if (m <= 0 || n <= 0) return;
  if (2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) <
      Threshold::flops) {
    threads = 1;
  }
  if (k <= 0) {
    for (Index i = 0; i < m && !accumulate; ++i) {
      for (Index j = 0; j < n; ++j) c[i * ldc + j] = T(0);
    }
    if (epilogue != nullptr) epilogue->run(epilogue->context, 0, m, 0, n);
    return;
  }
  if (m == 1 && is_dense(b.row_stride, b.col_stride)) {
    gemv(n, k, b.transposed(), a.data, a.col_stride, c, Index{1}, true, accumulate, epilogue,
         threads);
    return;
  }
  if (n == 1 && is_dense(a.row_stride, a.col_stride)) {
    gemv(m, k, a, b.data, b.row_stride, c, ldc, false, accumulate, epilogue, threads);
    return;
  }
  const GemmKernels<T>& kernels = chosen_kernels<T>();
  // C^T = B^T A^T takes the same sums; it pays where A is cheaper to pack than B.
  double as_is = packing_cost(b, k, n, m) + tile_cost(m, n, k, kernels.lanes);
  double flipped = packing_cost(a.transposed(), k, m, n) + tile_cost(n, m, k, kernels.lanes) +
                   0.2 * static_cast<double>(m) * static_cast<double>(n);
  bool turned = flipped < as_is;
  if (turned) {
    MatrixView<T> old = a;
    a = b.transposed(), b = old.transposed();
    Index rows = m;
    m = n, n = rows;
  }
  auto whole = [&kernels](Index cols) {
    return (cols + kernels.width - 1) / kernels.width * kernels.width;
  };
  const Index width = whole(Grid::width);
  const Index blocks = (k + Grid::depth - 1) / Grid::depth;
  const Index depth = ((k + blocks - 1) / blocks + 15) / 16 * 16;
  struct Panels;
  std::size_t panel_elements =
      static_cast<std::size_t>(whole(n < width ? n : width) * (k < depth ? k : depth));
  T* packed = static_cast<T*>(scratch<Panels>(panel_elements * sizeof(T)));
  GemmBlock<T> block{};
  block.kernels = &kernels;
  block.m = m, block.ldc = ldc, block.packed = packed, block.turned = turned,
  block.epilogue = epilogue;
  block.direct = b.col_stride == 1 && m <= Grid::direct_rows;
  block.task_rows = turned ? Grid::turned_rows : Grid::rows;
  block.task_cols = turned ? whole(Grid::turned_width) : width;
  for (Index j = 0; j < n; j += width) {
    block.n = n - j < width ? n - j : width;
    block.col = j;
    block.c = turned ? c + j * ldc : c + j;
    for (Index q = 0; q < k; q += depth) {
      block.k = k - q < depth ? k - q : depth;
      block.a = {a.data + q * a.col_stride, a.row_stride, a.col_stride};
      block.b = {b.data + q * b.row_stride + j * b.col_stride, b.row_stride, b.col_stride};
      block.add = accumulate || q > 0;
      block.last = q + depth >= k;
      parallel_for(block.panels(), threads, [&block](Index p) { block.pack(p); });
      parallel_for(block.tasks(), threads, [&block](Index task) { block.run(task); });
    }
  }
}

}  // namespace tenon::inline TENON_ISA::kernel
