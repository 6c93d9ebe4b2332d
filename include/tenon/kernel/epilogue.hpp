// SPDX-License-Identifier: Apache-2.0
// A product with its epilogue as one statement: the epilogue runs on rectangles of the product
// while they are in cache, its backward once over all of it before the two products.
#pragma once
#include <tenon/kernel/product.hpp>

namespace tenon::inline TENON_ISA::kernel {
namespace detail {

struct EpilogueRun {
  GroupRun group;
  Index run_rows;
  static void run(const void* context, Index row, Index rows, Index col, Index cols) {
    auto* self = static_cast<const EpilogueRun*>(context);
    const Index limit =
        tile / std::max<Index>(cols, 1) + 1;  // scratch of a tile where operands are gathered
    for (Index r = row; r < row + rows;) {
      Index count = std::min(row + rows - r, self->run_rows - r % self->run_rows);
      if (self->group.gathers) count = std::min(count, limit);
      GroupRun::Area a{r, count, col, cols, nullptr, 0};
      self->group.run_area(a, 0, 0);
      r += count;
    }
  }
};

inline void forward_product(const StatementInfo& info, const AnyTensor* operand,
                            const double* scalar, const GroupCall& how, Dtype dtype, bool keep,
                            AnyTensor& result, AnyTensor& kept) {
  AnyTensor a = operand[info.leaves].to(info.compute),
            b = operand[info.leaves + 1].to(info.compute);
  const Extents ae = a.extents(), be = b.extents();
  const Index inner_a = ae.extent[ae.rank - (how.transpose_a ? 2 : 1)],
              inner_b = be.extent[be.rank - (how.transpose_b ? 1 : 2)];
  if (inner_a != inner_b) [[unlikely]]
    fail(Error::shape,
         {"matmul: inner extents differ: ", ae, " and ", be, " (", inner_a, " vs ", inner_b, ")"});
  Extents e = ae;
  if (be.rank > ae.rank) e = be;
  for (int i = 1; i <= e.rank - 2; ++i) {
    Index left = i <= ae.rank - 2 ? ae.extent[ae.rank - 2 - i] : 1,
          right = i <= be.rank - 2 ? be.extent[be.rank - 2 - i] : 1;
    if (left != right && left != 1 && right != 1) [[unlikely]]
      fail_broadcast("matmul", ae, be, {e.rank - 2 - i, left, right});
    e.extent[e.rank - 2 - i] = left == 1 ? right : left;
  }
  e.extent[e.rank - 2] = ae.extent[ae.rank - (how.transpose_a ? 1 : 2)];
  e.extent[e.rank - 1] = be.extent[be.rank - (how.transpose_b ? 2 : 1)];
  const bool alone = info.node_count == 0;
  // The result overwrites the product where nobody needs it afterwards.
  const bool in_place = (alone || !(keep && info.keeps_product)) && dtype == info.compute;
  const AnyTensor* there = on_device(operand + info.leaves, 2);
  AnyTensor z = in_place && result.defined() ? result
                : there                      ? AnyTensor::empty(info.compute, e, there->device())
                                             : AnyTensor::empty(info.compute, e);
  ProductCall call{&info, &a, &b, how.transpose_a, how.transpose_b, &z};
  if (alone) {
    (there ? device_calls().product_forward : info.product_forward)(call);
    result = z.to(dtype);
    return;
  }
  AnyTensor leaf[max_leaves];
  leaf[0] = z;
  for (int i = 1; i < info.leaves; ++i) leaf[i] = operand[i];
  if (there) [[unlikely]] {  // the product, then its epilogue over all of it
    GroupCall rows;
    AnyTensor none;
    rows.axes = 1u << (e.rank - 1), rows.keepdims = true;
    device_calls().product_forward(call);
    if (in_place) result = z;
    run_forward(info, leaf, scalar, rows, result, dtype, false, none);
    if (keep && info.keeps_product) kept = z;
    return;
  }
  EpilogueRun run;
  GroupRun& g = run.group;
  g.info = &info, g.scalar = scalar;
  for (int i = 0; i < info.leaves; ++i) g.leaf[i] = add_operand(g.space, e, 0, leaf[i], nullptr);
  if (in_place) result = z;
  else if (!result.defined()) result = AnyTensor::empty(dtype, e);
  g.out = add_operand(g.space, e, 0, result, static_cast<char*>(result.raw_writable()));
  g.space.arrange(e, 1u << (e.rank - 1));
  settle_direct(g);
  g.cols = g.space.n, g.item_rows = 1, g.items_along = 1;
  run.run_rows = std::max<Index>(g.space.run_rows(), 1);
  GemmEpilogue epilogue{EpilogueRun::run, &run};
  call.epilogue = &epilogue;
  ++counters().forward;
  info.product_forward(call);
  if (keep && info.keeps_product) kept = z;
}

inline void backward_product(const StatementInfo& info, BackwardCall& c, const GroupCall& how) {
  AnyTensor dz = c.dy;
  if (info.node_count) {
    AnyTensor leaf[max_leaves];
    leaf[0] = info.keeps_product ? *c.kept : AnyTensor::valueless(*c.result);
    for (int i = 1; i < info.leaves; ++i) leaf[i] = c.operand[i];
    BackwardCall inner = c;
    AnyTensor gradient[max_leaves], none;
    for (int i = 1; i < info.leaves; ++i) gradient[i] = std::move(c.gradient[i]);
    // dz takes the place of dy: a kernel reads an element before it writes it.
    if (c.reuse_dy && c.dy.dtype() == info.compute && c.dy.contiguous() &&
        c.dy.get()->place == leaf[0].get()->place)
      gradient[0] = c.dy;
    inner.operand = leaf, inner.kept = &none, inner.gradient = gradient;
    const std::uint32_t all = (1u << info.leaves) - 1;
    const bool product_wanted = c.wanted >> info.leaves & 3;
    inner.wanted = (c.wanted & all & ~1u) | (product_wanted ? 1u : 0u);
    inner.accumulate &= all & ~1u;
    GroupCall rows;  // the same order of rows as forward
    rows.axes = 1u << (c.result->rank() - 1);
    rows.keepdims = true;
    run_backward(info, inner, rows);
    dz = std::move(gradient[0]);
    for (int i = 1; i < info.leaves; ++i) c.gradient[i] = std::move(gradient[i]);
    if (!product_wanted) return;
  }
  dz = dz.to(info.compute).to_contiguous();
  const int ia = info.leaves, ib = info.leaves + 1;
  AnyTensor a = c.operand[ia], b = c.operand[ib];
  if (!a.get()->valueless) a = a.to(info.compute);
  if (!b.get()->valueless) b = b.to(info.compute);
  ProductCall p{&info, &a, &b, how.transpose_a, how.transpose_b, &dz};
  auto target = [&](int i, const AnyTensor& like, AnyTensor*& out, bool& add) {
    if (!(c.wanted >> i & 1)) return;
    add = c.accumulate >> i & 1;
    if (!c.gradient[i].defined())
      c.gradient[i] = AnyTensor::empty(info.compute, like.extents(), dz.device()), add = false;
    out = &c.gradient[i];
  };
  target(ia, a, p.da, p.add_a), target(ib, b, p.db, p.add_b);
  (dz.get()->place ? device_calls().product_backward : info.product_backward)(p);
}

}  // namespace detail

/// Passed to InfoOf by statements that hold a product; only files that multiply name it.
struct Products {
  template <class T>
  static void forward(ProductCall& c) {
    product_forward<T>(c);
  }
  template <class T>
  static void backward(ProductCall& c) {
    product_backward<T>(c);
  }
  static void run(const StatementInfo& info, const AnyTensor* operand, const double* scalar,
                  const GroupCall& how, Dtype dtype, bool keep, AnyTensor& result,
                  AnyTensor& kept) {
    detail::forward_product(info, operand, scalar, how, dtype, keep, result, kept);
  }
  static void run_backward(const StatementInfo& info, BackwardCall& call, const GroupCall& how) {
    detail::backward_product(info, call, how);
  }
};

}  // namespace tenon::kernel
