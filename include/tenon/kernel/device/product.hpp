// SPDX-License-Identifier: Apache-2.0
// Matrix products on a device: the vendor's, one call for what lies at one distance. Epilogues are
// kernels of their own.
#pragma once
#include <tenon/kernel/device/layout.hpp>
#include <tenon/kernel/product.hpp>

namespace tenon::inline TENON_ISA::kernel {
namespace detail {

/// A matrix whose rows or columns are contiguous, as the vendor's products want it.
struct DeviceMatrix {
  AnyTensor tensor;
  bool transposed;  ///< its columns are contiguous
  Index row = 0;    ///< distance between what is contiguous
};
inline DeviceMatrix device_matrix(const AnyTensor& t) {
  const Record& r = *t.get();
  const int k = r.rank;
  const Index rows = r.extents[k - 2], cols = r.extents[k - 1], rs = r.strides[k - 2],
              cs = r.strides[k - 1];
  if ((cs == 1 || cols == 1) && (rs >= cols || rows == 1))
    return {t, false, rows == 1 ? std::max<Index>(cols, 1) : rs};
  if ((rs == 1 || rows == 1) && (cs >= rows || cols == 1))
    return {t, true, cols == 1 ? std::max<Index>(rows, 1) : cs};
  return {t.to_contiguous(), false, std::max<Index>(cols, 1)};
}

/// c = op(a) op(b), or += it, batches broadcast; c contiguous. `c_batch`: the distances of c's
/// matrices along the batch axes, 0 where they add up.
inline void device_multiply(const char* name, const AnyTensor& a, bool ta, const AnyTensor& b,
                            bool tb, AnyTensor& c, bool add, const Extents& batch,
                            const Index* c_batch) {
  const Dtype type = c.dtype();
  if (type != Dtype::f32 && type != Dtype::f64)
    fail(Error::unsupported, {name, ": products of ", name_of(type), " on a device"});
  const DeviceMatrix am = device_matrix(a), bm = device_matrix(b);
  const Batched as = batched(am.tensor, ta, batch.rank), bs = batched(bm.tensor, tb, batch.rank);
  const Device d = c.device();
  const abi::DeviceTable& t = tenon::detail::device_table(d);
  abi::DeviceGemm g{};
  g.element_bytes = static_cast<int>(size_of(type));
  g.m = as.rows, g.n = bs.cols, g.k = as.cols;
  g.a_row = am.row, g.b_row = bm.row, g.c_row = std::max<Index>(g.n, 1);
  g.transpose_a = ta != am.transposed, g.transpose_b = tb != bm.transposed;
  auto at = [&](const AnyTensor& x, Index offset) {
    return static_cast<char*>(x.get()->data) + offset * g.element_bytes;
  };
  // The last batch axis is one call; those before it are walked.
  const int last = batch.rank - 1;
  const bool adds_up = last >= 0 && c_batch[last] == 0 && batch.extent[last] > 1;
  g.count = last >= 0 && !adds_up ? batch.extent[last] : 1;
  if (last >= 0)
    g.a_matrix = as.batch_stride[last], g.b_matrix = bs.batch_stride[last],
    g.c_matrix = c_batch[last];
  const Index calls = last < 0 ? 1 : batch.size() / std::max<Index>(g.count, 1);
  if (g.m == 0 || g.n == 0 || batch.size() == 0) return;
  const int walked = adds_up || last < 0 ? batch.rank : last;
  for (Index k = 0; k < calls; ++k) {
    Index rest = k, ao = 0, bo = 0, co = 0;
    for (int i = walked - 1; i >= 0; --i) {
      const Index p = rest % batch.extent[i];
      rest /= batch.extent[i];
      ao += p * as.batch_stride[i], bo += p * bs.batch_stride[i], co += p * c_batch[i];
    }
    g.a = at(am.tensor, ao), g.b = at(bm.tensor, bo), g.c = at(c, co);
    g.add = add;
    if (g.k == 0 && !add)
      tenon::detail::check_device(
          t.clear(d.index, g.c, static_cast<std::size_t>(g.count * g.m * g.n * g.element_bytes)));
    else if (g.k) tenon::detail::check_device(t.gemm(d.index, g));
  }
}

}  // namespace detail

/// z = op(a) op(b). As product_forward.
inline void device_product_forward(ProductCall& c) {
  using namespace detail;
  ++counters().products;
  const AnyTensor both[2] = {*c.a, *c.b};
  common_device("matmul", both, 2);
  const Extents batch = batch_of(*c.z);
  Index rows, strides[max_rank] = {};
  if (fold_rows(*c.a, *c.b, c.transpose_a, rows)) {  // one product instead of a batch
    const Record &a = *c.a->get(), &z = *c.z->get();
    Index sa[max_rank] = {a.strides[a.rank - 2], a.strides[a.rank - 1]},
          sz[max_rank] = {z.extents[z.rank - 1], 1};
    AnyTensor left = c.a->view(Extents{2, {rows, a.extents[a.rank - 1]}}, sa, 0),
              to = c.z->view(Extents{2, {rows, z.extents[z.rank - 1]}}, sz, 0);
    return device_multiply("matmul", left, false, *c.b, c.transpose_b, to, false, Extents{},
                           strides);
  }
  const Record& z = *c.z->get();
  for (int i = 0; i < batch.rank; ++i) strides[i] = z.strides[i];
  device_multiply("matmul", *c.a, c.transpose_a, *c.b, c.transpose_b, *c.z, false, batch, strides);
}

/// da and db from dz. As product_backward.
inline void device_product_backward(ProductCall& c) {
  using namespace detail;
  const Extents batch = batch_of(*c.z);
  counters().products += (c.da != nullptr) + (c.db != nullptr);
  AnyTensor a = *c.a, b = *c.b, dz = *c.z;
  Extents left = batch;
  Index rows;
  AnyTensor da = c.da ? *c.da : AnyTensor{};
  if (fold_rows(*c.a, *c.b, c.transpose_a, rows) && batch.rank > 0) {
    const Record &r = *c.a->get(), &z = *c.z->get();
    Index sa[max_rank] = {r.strides[r.rank - 2], r.strides[r.rank - 1]},
          sz[max_rank] = {z.extents[z.rank - 1], 1}, sd[max_rank] = {r.extents[r.rank - 1], 1};
    a = c.a->view(Extents{2, {rows, r.extents[r.rank - 1]}}, sa, 0);
    dz = c.z->view(Extents{2, {rows, z.extents[z.rank - 1]}}, sz, 0);
    if (c.da) da = c.da->view(Extents{2, {rows, r.extents[r.rank - 1]}}, sd, 0);
    left = Extents{};
  }
  auto into = [&](AnyTensor& to, bool add, bool transposed, const AnyTensor& l, bool tl,
                  const AnyTensor& r, bool tr) {
    Index strides[max_rank] = {};
    const Batched own = batched(to, false, left.rank);
    bool sums = false;
    for (int i = 0; i < left.rank; ++i) {
      strides[i] = own.batch_stride[i];
      sums |= strides[i] == 0 && left.extent[i] > 1;
    }
    if (sums && !add) {
      const Device d = to.device();
      tenon::detail::check_device(tenon::detail::device_table(d).clear(
          d.index, to.get()->data, static_cast<std::size_t>(to.size()) * size_of(to.dtype())));
    }
    // The gradient of a transposed operand is written in the operand's own order.
    if (transposed) device_multiply("matmul", r, !tr, l, !tl, to, add || sums, left, strides);
    else device_multiply("matmul", l, tl, r, tr, to, add || sums, left, strides);
  };
  if (c.db) into(*c.db, c.add_b, c.transpose_b, a, !c.transpose_a, dz, false);
  if (c.da) into(da, c.add_a, c.transpose_a, dz, false, b, !c.transpose_b);
}

}  // namespace tenon::kernel
