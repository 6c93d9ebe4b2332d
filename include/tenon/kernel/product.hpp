// SPDX-License-Identifier: Apache-2.0
// Matrix products with an epilogue, batches included; instantiated only by files that multiply.
#pragma once
#include <tenon/kernel/cpu/gemm.hpp>
#include <tenon/kernel/group_run.hpp>

namespace tenon::inline TENON_ISA {

/// One product. Forward writes z = op(a) op(b), then the epilogue's result. Backward turns dz into
/// da and db.
struct ProductCall {
  const StatementInfo* info;
  const AnyTensor *a, *b;
  bool transpose_a, transpose_b;
  AnyTensor* z;  ///< forward: written, [..., m, n]. Backward: dz
  const kernel::GemmEpilogue* epilogue = nullptr;
  Index row0 = 0;  ///< set for the epilogue: rows of earlier matrices of a batch
  AnyTensor *da = nullptr, *db = nullptr;  ///< contiguous, in the extents of a and b
  bool add_a = false, add_b = false;
};

namespace kernel {
namespace detail {

struct Batched {
  Index rows, cols, row_stride, col_stride;  // of op(matrix)
  Index batch_stride[max_rank];              // aligned with the batch axes of z
};
inline Batched batched(const AnyTensor& t, bool transpose, int batch_axes) {
  const Record& r = *t.get();
  const int k = r.rank;
  Batched m{r.extents[k - 2], r.extents[k - 1], r.strides[k - 2], r.strides[k - 1], {}};
  if (transpose) std::swap(m.rows, m.cols), std::swap(m.row_stride, m.col_stride);
  for (int i = 0; i < batch_axes; ++i) {
    int own = i - (batch_axes - (k - 2));
    m.batch_stride[i] = own >= 0 && r.extents[own] != 1 ? r.strides[own] : 0;
  }
  return m;
}

template <class T>
MatrixView<T> view(const AnyTensor& t, const Batched& m, Index offset) {
  return {static_cast<const T*>(t.raw()) + offset, m.row_stride, m.col_stride};
}

// Leading axes of a that continue its rows, when b has none: one product instead of a batch.
inline bool fold_rows(const AnyTensor& a, const AnyTensor& b, bool transpose_a, Index& rows) {
  const Record& r = *a.get();
  if (transpose_a || b.rank() != 2) return false;
  Index expect = r.strides[r.rank - 2] * r.extents[r.rank - 2];
  rows = r.extents[r.rank - 2];
  for (int i = r.rank - 3; i >= 0; --i) {
    if (r.extents[i] != 1 && r.strides[i] != expect) return false;
    expect *= r.extents[i], rows *= r.extents[i];
  }
  return true;
}

template <class F>
void each_matrix(const Extents& batch, const Batched& a, const Batched& b, Index z_step, F&& f) {
  const Index count = batch.size();
  for (Index k = 0; k < count; ++k) {
    Index rest = k, ao = 0, bo = 0;
    for (int i = batch.rank - 1; i >= 0; --i) {
      Index at = rest % batch.extent[i];
      rest /= batch.extent[i];
      ao += at * a.batch_stride[i], bo += at * b.batch_stride[i];
    }
    f(k, ao, bo, k * z_step);
  }
}

inline Extents batch_of(const AnyTensor& z) {
  Extents e = z.extents();
  e.rank -= 2;
  return e;
}

// Rows are counted from the first matrix of the batch.
struct ShiftedEpilogue {
  const GemmEpilogue* inner;
  Index row0;
  static void run(const void* c, Index row, Index rows, Index col, Index cols) {
    auto* s = static_cast<const ShiftedEpilogue*>(c);
    s->inner->run(s->inner->context, s->row0 + row, rows, col, cols);
  }
};

}  // namespace detail

template <class T>
void product_forward(ProductCall& c) {
  using namespace detail;
  ++counters().products;
  const Extents batch = batch_of(*c.z);
  Batched a = batched(*c.a, c.transpose_a, batch.rank),
          b = batched(*c.b, c.transpose_b, batch.rank);
  T* z = static_cast<T*>(c.z->raw_writable());
  Index rows = a.rows;
  if (fold_rows(*c.a, *c.b, c.transpose_a, rows)) {
    gemm<T>(rows, b.cols, a.cols, view<T>(*c.a, a, 0), view<T>(*c.b, b, 0), z, b.cols, false,
            c.epilogue, num_threads());
    return;
  }
  each_matrix(batch, a, b, a.rows * b.cols, [&](Index k, Index ao, Index bo, Index zo) {
    ShiftedEpilogue shifted{c.epilogue, k * a.rows};
    GemmEpilogue epilogue{ShiftedEpilogue::run, &shifted};
    gemm<T>(a.rows, b.cols, a.cols, view<T>(*c.a, a, ao), view<T>(*c.b, b, bo), z + zo, b.cols,
            false, c.epilogue ? &epilogue : nullptr, num_threads());
  });
}

template <class T>
void product_backward(ProductCall& c) {
  using namespace detail;
  const Extents batch = batch_of(*c.z);
  const Batched a = batched(*c.a, c.transpose_a, batch.rank),
                b = batched(*c.b, c.transpose_b, batch.rank);
  const T* dz = static_cast<const T*>(c.z->raw());
  auto into = [&](AnyTensor& t, bool transpose, MatrixView<T> left, MatrixView<T> right, Index rows,
                  Index inner, Index cols, Index offset, bool add) {
    // The gradient of a transposed operand is written in the operand's own order.
    T* to = static_cast<T*>(t.raw_writable()) + offset;
    if (transpose)
      std::swap(left, right), left = left.transposed(), right = right.transposed(),
                              std::swap(rows, cols);
    gemm<T>(rows, cols, inner, left, right, to, cols, add, nullptr, num_threads());
  };
  counters().products += (c.da != nullptr) + (c.db != nullptr);
  Index rows = a.rows;
  if (fold_rows(*c.a, *c.b, c.transpose_a, rows)) {
    MatrixView<T> d{dz, b.cols, 1}, av = view<T>(*c.a, a, 0), bv = view<T>(*c.b, b, 0);
    // In this order, so that the gradient of a may lie where a does: graph/plan.hpp.
    if (c.db) into(*c.db, c.transpose_b, av.transposed(), d, a.cols, rows, b.cols, 0, c.add_b);
    if (c.da) into(*c.da, false, d, bv.transposed(), rows, b.cols, a.cols, 0, c.add_a);
    return;
  }
  const Batched ga = c.da ? batched(*c.da, false, batch.rank) : a,
                gb = c.db ? batched(*c.db, false, batch.rank) : b;
  auto clear = [](AnyTensor* t, bool add) {
    if (t && !add)
      std::memset(t->raw_writable(), 0, static_cast<std::size_t>(t->size()) * sizeof(T));
  };
  clear(c.da, c.add_a), clear(c.db, c.add_b);
  each_matrix(batch, a, b, a.rows * b.cols, [&](Index k, Index ao, Index bo, Index zo) {
    Index rest = k, gao = 0, gbo = 0;
    for (int i = batch.rank - 1; i >= 0; --i) {
      gao += rest % batch.extent[i] * ga.batch_stride[i],
          gbo += rest % batch.extent[i] * gb.batch_stride[i];
      rest /= batch.extent[i];
    }
    MatrixView<T> d{dz + zo, b.cols, 1}, av = view<T>(*c.a, a, ao), bv = view<T>(*c.b, b, bo);
    if (c.da) into(*c.da, c.transpose_a, d, bv.transposed(), a.rows, b.cols, a.cols, gao, true);
    if (c.db) into(*c.db, c.transpose_b, av.transposed(), d, a.cols, a.rows, b.cols, gbo, true);
  });
}

}  // namespace kernel
}  // namespace tenon
