// SPDX-License-Identifier: Apache-2.0
// The matrix product on the CPU.
#pragma once
#include <tenon/core/parallel.hpp>
#include <tenon/kernel/cpu/gemm_block.hpp>
#include <tenon/kernel/cpu/gemv.hpp>
#include <tenon/kernel/cpu/scratch.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {

/// Rough cost, in cycles, of C[m, n] = A B: packing B into panels, then the tiles. Decides speed
/// only.
template <class T>
double gemm_cost(Index m, Index n, Index k, MatrixView<T> b, Index lanes) {
  double each = 1;
  if (b.col_stride == 1) {
    each = m <= GemmGrid::direct_rows ? 0 : 0.07;
  } else if (b.row_stride == 1) {
    each = 0.17;
  }
  double rows = static_cast<double>((m + 3) / 4 * 4);
  double registers = static_cast<double>((n + lanes - 1) / lanes);
  return static_cast<double>(k) * (each * static_cast<double>(n) + rows * registers / 2);
}

/// The product in blocks; if `turned`, what is stored is C^T, ldc parting its columns.
template <class T>
void gemm_blocks(Index m, Index n, Index k, MatrixView<T> a, MatrixView<T> b, T* c, Index ldc,
                 bool accumulate, bool turned, const GemmEpilogue* epilogue, int threads) {
  using Grid = GemmGrid;
  struct Panels;
  GemmBlock<T> block{};
  block.kernels = &chosen_kernels<T>();
  const Index tile = block.kernels->width;
  auto whole = [tile](Index cols) { return (cols + tile - 1) / tile * tile; };
  const Index width = whole(Grid::width), parts = (k + Grid::depth - 1) / Grid::depth;
  const Index depth = ((k + parts - 1) / parts + 15) / 16 * 16;
  const Index elements = whole(n < width ? n : width) * (k < depth ? k : depth);
  block.packed = static_cast<T*>(scratch<Panels>(static_cast<std::size_t>(elements) * sizeof(T)));
  block.m = m;
  block.ldc = ldc;
  block.turned = turned;
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

/// What is left of a product without inner axis.
template <class T>
void gemm_of_nothing(Index m, Index n, T* c, Index ldc, bool accumulate,
                     const GemmEpilogue* epilogue) {
  for (Index i = 0; i < m && !accumulate; ++i) {
    for (Index j = 0; j < n; ++j) c[i * ldc + j] = T(0);
  }
  if (epilogue != nullptr) epilogue->run(epilogue->context, 0, m, 0, n);
}

}  // namespace detail

/// C = A B, or C += A B if `accumulate`.   A: [m, k]   B: [k, n]   C: [m, n], row-major, ldc >= n
/// T is float or double; C overlaps neither operand. k == 0 gives zeros, m or n == 0 does nothing.
/// An element's bits depend on m, n, k, the operands' strides and the processor's kind, never on
/// the number of threads.
/// Errors: no memory for packing -> Error::memory.
/// Precision: an element's error is at most (k + k / 512 + 3) u sum |a||b|, u half of eps.
/// Cost: 2 m n k flops; at most 528 x 512 elements of scratch, kept for the next call.
/// Source: Goto, van de Geijn, Anatomy of high-performance matrix multiplication, 2008.
/// Example: tests/kernel/cpu/gemm.cpp
template <class T>
void gemm(Index m, Index n, Index k, MatrixView<T> a, MatrixView<T> b, T* c, Index ldc,
          bool accumulate, const GemmEpilogue* epilogue, int threads) {
  using namespace detail;
  if (m <= 0 || n <= 0) return;
  if (k <= 0) return gemm_of_nothing(m, n, c, ldc, accumulate, epilogue);
  double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  if (flops < Threshold::flops) threads = 1;
  auto dense = [](MatrixView<T> x) { return x.row_stride == 1 || x.col_stride == 1; };
  if (m == 1 && dense(b)) {
    return gemv(n, k, b.transposed(), a.data, a.col_stride, c, 1, true, accumulate, epilogue,
                threads);
  }
  if (n == 1 && dense(a)) {
    return gemv(m, k, a, b.data, b.row_stride, c, ldc, false, accumulate, epilogue, threads);
  }
  // C^T = B^T A^T has the same sums; it pays where A is cheaper to pack than B.
  const Index lanes = chosen_kernels<T>().lanes;
  double turning = 0.2 * static_cast<double>(m) * static_cast<double>(n);
  if (gemm_cost(n, m, k, a.transposed(), lanes) + turning < gemm_cost(m, n, k, b, lanes)) {
    gemm_blocks(n, m, k, b.transposed(), a.transposed(), c, ldc, accumulate, true, epilogue,
                threads);
  } else {
    gemm_blocks(m, n, k, a, b, c, ldc, accumulate, false, epilogue, threads);
  }
}

}  // namespace tenon::inline TENON_ISA::kernel
