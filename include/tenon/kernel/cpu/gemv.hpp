// SPDX-License-Identifier: Apache-2.0
// A matrix times a vector: bound by memory, so the matrix is read once, as it lies.
#pragma once
#include <tenon/core/parallel.hpp>
#include <tenon/kernel/cpu/gemm_block.hpp>
#include <tenon/kernel/cpu/scratch.hpp>

namespace tenon::inline TENON_ISA::kernel::detail {

/// y = A x or y += A x.   A: [m, k], rows or columns dense   x: [k], dense   y: [m], any stride
template <class T>
struct GemvTask {
  static constexpr Index rows_each = 256;

  const GemmKernels<T>* kernels;
  Index m, k;
  MatrixView<T> a;
  const T* x;
  T* y;
  Index y_stride;
  bool accumulate, is_row;  // is_row: y is a row of C, else a column
  const GemmEpilogue* epilogue;

  void run(Index task) const {
    Index i0 = task * rows_each, rows = m - i0 < rows_each ? m - i0 : rows_each;
    alignas(64) T sum[rows_each] = {};
    const T* from = a.data + i0 * a.row_stride;
    if (a.col_stride == 1) {
      sum_rows(rows, from, sum);
    } else {
      add_columns(rows, k, from, a.col_stride, x, sum);
    }
    T* out = y + i0 * y_stride;
    for (Index i = 0; i < rows; ++i) {
      out[i * y_stride] = accumulate ? out[i * y_stride] + sum[i] : sum[i];
    }
    if (epilogue == nullptr) return;
    if (is_row) {
      epilogue->run(epilogue->context, 0, 1, i0, rows);
    } else {
      epilogue->run(epilogue->context, i0, rows, 0, 1);
    }
  }

  // A row's sums by lane; a block of them is turned, so that one addition serves `lanes` rows.
  void sum_rows(Index rows, const T* from, T* sum) const {
    const Index lanes = kernels->lanes, whole = k / lanes * lanes;
    alignas(64) T by_row[16 * 16], by_lane[16 * 16], ones[16];
    for (T& one : ones) one = T(1);
    for (Index i = 0; i < rows; i += lanes) {
      Index there = rows - i < lanes ? rows - i : lanes;
      for (Index r = 0; r < there; ++r) {
        kernels->dot(whole, from + (i + r) * a.row_stride, x, by_row + r * lanes);
      }
      kernels->transpose(by_row, lanes, there, by_lane, lanes, false);
      add_columns(lanes, lanes, by_lane, lanes, ones, sum + i);
      for (Index r = 0; r < there; ++r) {
        const T* row = from + (i + r) * a.row_stride;
        for (Index q = whole; q < k; ++q) sum[i + r] += row[q] * x[q];
      }
    }
  }

  // sum[i] += sum over q < columns of from[i + q * stride] v[q].
  void add_columns(Index rows, Index columns, const T* from, Index stride, const T* v,
                   T* sum) const {
    const Index whole = rows / kernels->lanes * kernels->lanes;
    Index q = 0;
    for (; q + 8 <= columns; q += 8) kernels->axpy8(whole, from + q * stride, stride, v + q, sum);
    for (; q < columns; ++q) kernels->axpy(whole, from + q * stride, stride, v + q, sum);
    for (Index i = whole; i < rows; ++i) {
      for (q = 0; q < columns; ++q) sum[i] += from[i + q * stride] * v[q];
    }
  }
};

template <class T>
void gemv(Index m, Index k, MatrixView<T> a, const T* x, Index x_stride, T* y, Index y_stride,
          bool is_row, bool accumulate, const GemmEpilogue* epilogue, int threads) {
  struct VectorCopy;
  if (x_stride != 1) {
    T* copy = static_cast<T*>(scratch<VectorCopy>(static_cast<std::size_t>(k) * sizeof(T)));
    for (Index q = 0; q < k; ++q) copy[q] = x[q * x_stride];
    x = copy;
  }
  GemvTask<T> product{&chosen_kernels<T>(), m, k, a, x, y, y_stride, accumulate, is_row, epilogue};
  parallel_for((m + GemvTask<T>::rows_each - 1) / GemvTask<T>::rows_each, threads,
               [&product](Index task) { product.run(task); });
}

}  // namespace tenon::inline TENON_ISA::kernel::detail
