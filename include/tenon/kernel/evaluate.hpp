// SPDX-License-Identifier: Apache-2.0
// The one door: every value is made here, and the recorder of its context hears of it.
#pragma once
#include <tenon/kernel/op_info.hpp>
#include <tenon/kernel/product.hpp>
#include <tenon/kernel/run_group.hpp>

namespace tenon::inline TENON_ISA {

namespace detail {
inline std::atomic<bool>& kernels_on() {
  static constinit std::atomic<bool> on{true};
  return on;
}
}  // namespace detail

/// Whether groups run as fused kernels (the default) or operation by operation: the same values up to rounding,
/// slower; for tests and debugging.
inline void use_compiled_kernels(bool yes) { detail::kernels_on().store(yes); }

/// Tells the recorder of `context` of a statement that does not fuse. Nothing is told when nobody records or the
/// result has no gradient.
inline void record_function(const StatementInfo& info, Context context, std::initializer_list<AnyTensor> operands,
                            const Attributes& attributes, const AnyTensor& result) {
  Recorder* r = find_recorder(context);
  if (!r || !is_floating(result.dtype())) return;
  Statement s{&info, operands.begin(), static_cast<int>(operands.size()), nullptr, &attributes, &result};
  r->record(s);
}

namespace kernel {

/// The same elements in other extents; a view where the strides allow. Differentiable.
AnyTensor reshape(const AnyTensor& x, const Extents& e, Context context);
AnyTensor add(const AnyTensor& a, const AnyTensor& b, Context context);
/// A group, operation by operation.
AnyTensor interpret_forward(const StatementInfo& info, const AnyTensor* operand, const double* scalar,
                            const GroupCall& how, Dtype dtype);
void interpret_backward(BackwardCall& call, const GroupCall& how, Context context);

namespace detail {

TENON_COLD inline void check_index(const StatementInfo& info, const AnyTensor& label, Index n) {
  AnyTensor l = label.to(Dtype::i64).to_contiguous();
  const auto* p = static_cast<const std::int64_t*>(l.raw());
  for (Index i = 0; i < l.size(); ++i)
    if (p[i] < 0 || p[i] >= n)
      fail(Error::index, std::string(info.name) + ": label " + std::to_string(p[i]) + " at position " +
                             std::to_string(i) + " is out of range for " + std::to_string(n) + " classes");
}
inline void check_labels(const StatementInfo& info, const AnyTensor* operand, const GroupCall& how) {
  Extents e = group_extents(info, operand, how);
  Index n = 1;
  for (int i = 0; i < e.rank; ++i) n *= how.axes >> i & 1 ? e.extent[i] : 1;
  if (info.compute == Dtype::f32 && n > (Index{1} << 24))
    fail(Error::unsupported, std::string(info.name) + ": " + std::to_string(n) +
                                 " classes are more than f32 can number exactly (16777216); use f64");
  for (const StatementNode* node = info.nodes; node != info.nodes + info.node_count; ++node)
    if (node->op->reduction && node->op->arity == 2 && node->operand[1] < info.leaves)
      check_index(info, operand[node->operand[1]], n);
}

struct EpilogueRun {
  GroupRun group;
  Index run_rows;
  static void run(const void* context, Index row, Index rows, Index col, Index cols) {
    auto* self = static_cast<const EpilogueRun*>(context);
    const Index limit = tile / std::max<Index>(cols, 1) + 1;  // scratch of a tile where operands are gathered
    for (Index r = row; r < row + rows;) {
      Index count = std::min(row + rows - r, self->run_rows - r % self->run_rows);
      if (self->group.gathers) count = std::min(count, limit);
      GroupRun::Area a{r, count, col, cols, nullptr, 0};
      self->group.run_area(a, 0, 0);
      r += count;
    }
  }
};

inline AnyTensor forward_product(const StatementInfo& info, const AnyTensor* operand, const double* scalar,
                                 const GroupCall& how, Dtype dtype, bool keep, AnyTensor& kept) {
  AnyTensor a = operand[info.leaves].to(info.compute), b = operand[info.leaves + 1].to(info.compute);
  const Extents ae = a.extents(), be = b.extents();
  Extents e = ae;
  if (be.rank > ae.rank) e = be;
  for (int i = 1; i <= e.rank - 2; ++i) {
    Index left = i <= ae.rank - 2 ? ae.extent[ae.rank - 2 - i] : 1,
          right = i <= be.rank - 2 ? be.extent[be.rank - 2 - i] : 1;
    e.extent[e.rank - 2 - i] = left == 1 ? right : left;
  }
  e.extent[e.rank - 2] = ae.extent[ae.rank - (how.transpose_a ? 1 : 2)];
  e.extent[e.rank - 1] = be.extent[be.rank - (how.transpose_b ? 2 : 1)];
  AnyTensor z = AnyTensor::empty(info.compute, e);
  ProductCall call{&info, &a, &b, how.transpose_a, how.transpose_b, &z};
  if (info.node_count == 0) {
    info.product_forward(call);
    return z.to(dtype);
  }
  AnyTensor leaf[max_leaves];
  leaf[0] = z;
  for (int i = 1; i < info.leaves; ++i) leaf[i] = operand[i];
  EpilogueRun run;
  GroupRun& g = run.group;
  g.info = &info, g.scalar = scalar;
  for (int i = 0; i < info.leaves; ++i) g.leaf[i] = add_operand(g.space, e, 0, leaf[i], nullptr);
  // The result overwrites the product where nobody needs it afterwards.
  const bool in_place = !(keep && info.keeps_product) && dtype == info.compute;
  AnyTensor result = in_place ? z : AnyTensor::empty(dtype, e);
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
  return result;
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
    if (!c.gradient[i].defined()) c.gradient[i] = AnyTensor::empty(info.compute, like.extents()), add = false;
    out = &c.gradient[i];
  };
  target(ia, a, p.da, p.add_a), target(ib, b, p.db, p.add_b);
  info.product_backward(p);
}

// Whether run_forward can generate a leaf's random numbers in its own order; else they are made first.
inline bool generates_in_order(const Extents& e, std::uint32_t axes, const AnyTensor& leaf) {
  if (!(leaf.extents() == e)) return false;
  bool seen = false;
  for (int i = 0; i < e.rank; ++i) {
    bool along = axes >> i & 1;
    if (seen && !along) return false;
    seen |= along;
  }
  return true;
}

}  // namespace detail

/// Evaluates a group. operand: its leaves, then the two matrices of its product, if any (leaf 0 is then empty).
/// Errors: shape, index (labels), dtype, uninitialised.
inline AnyTensor evaluate(const StatementInfo& info, const AnyTensor* operand, int operands,
                          const double* scalar, GroupCall how, Dtype dtype, Context context) {
  using namespace detail;
  for (int i = 0; i < operands; ++i)
    if (!(info.product && i == 0)) operand[i].record(info.name);
  Recorder* recorder = find_recorder(context);
  if (recorder && !is_floating(dtype)) recorder = nullptr;
  if (how.from_end) {
    const int rank = group_rank(info, operand, how);
    for (int k = 0; k < rank; ++k) how.axes |= (how.from_end >> k & 1u) << (rank - 1 - k);
  }
  if (how.total >= Total::mean_rows) {
    const Extents e = group_extents(info, operand, how);
    Index n = e.size();
    if (how.total == Total::mean_rows)
      for (int i = 0; i < e.rank; ++i) n /= how.axes >> i & 1 ? std::max<Index>(e.extent[i], 1) : 1;
    how.scale = 1.0 / static_cast<double>(n);
  }
  if (info.checks_index) [[unlikely]] check_labels(info, operand, how);
  AnyTensor result, kept;
  if (!tenon::detail::kernels_on().load(std::memory_order_relaxed) && !(info.node_count == 1 && !info.product) &&
      info.node_count > 0) [[unlikely]]
    result = interpret_forward(info, operand, scalar, how, dtype);
  else if (info.product)
    result = forward_product(info, operand, scalar, how, dtype, recorder != nullptr, kept);
  else
    run_forward(info, operand, scalar, how, result, dtype, recorder && info.reductions, kept);
  if (recorder) {
    const Attributes a = how.pack();
    Statement s{&info, operand, operands, scalar, &a, &result, 1, kept};
    recorder->record(s);
  }
  return result;
}

/// Gradients of a recorded statement: by its compiled kernel, or operation by operation where an outer recorder
/// listens (context.serial), kernels are off or there is none.
inline void backward(BackwardCall& call, Context context) {
  const StatementInfo& info = *call.info;
  if (info.function_backward) return info.function_backward(call);
  const GroupCall how = GroupCall::unpack(*call.attributes);
  const bool compiled = info.backward != nullptr || (info.product && info.node_count == 0);
  if (context.serial || !compiled || !tenon::detail::kernels_on().load(std::memory_order_relaxed))
    return interpret_backward(call, how, context);
  if (info.product) detail::backward_product(info, call, how);
  else run_backward(info, call, how);
}

}  // namespace kernel
}  // namespace tenon

#include <tenon/kernel/any.hpp>
#include <tenon/kernel/interpret.hpp>
