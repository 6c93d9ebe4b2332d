// SPDX-License-Identifier: Apache-2.0
// What expressions call upward, found by their arguments: run a statement, or compute one operation
// at once.
#pragma once
#include <tenon/expr/fuse.hpp>
#include <tenon/expr/reduce.hpp>
#include <tenon/kernel/epilogue.hpp>
#include <tenon/kernel/evaluate.hpp>

namespace tenon::inline TENON_ISA {

namespace detail {
inline GroupCall call_of(const expr::CallFacts& f) {
  GroupCall c;
  c.from_end = f.axes, c.keepdims = f.keepdims, c.total = static_cast<Total>(f.total);
  c.dropped_leaves = f.dropped_leaves;
  c.transpose_a = f.flags & transposed_a, c.transpose_b = f.flags & transposed_b;
  return c;
}
template <bool Product>
struct ProductsIf {
  using type = NoProducts;
};
template <>
struct ProductsIf<true> {
  using type = kernel::Products;
};
}  // namespace detail

namespace expr {

template <class G, class C, bool Product>
constexpr const StatementInfo& statement_info(GroupTag<G, C, Product>) {
  return tenon::detail::InfoOf<G, C, typename tenon::detail::ProductsIf<Product>::type>::info;
}
inline __attribute__((noinline)) AnyTensor run_fused(const StatementInfo& info,
                                                     const FuseCall& call,
                                                     const AnyTensor* const* argument,
                                                     const double* number, const CallFacts& facts,
                                                     Dtype dtype) {
  const Record* borrowed[max_leaves];
  double scalar[256];
  prepare_call(call, argument, number, borrowed, scalar);
  const auto* leaf = reinterpret_cast<const AnyTensor*>(borrowed);
  const Context context = Context::current();
  if (info.elementwise) return kernel::evaluate_plain(info, leaf, scalar, dtype, context);
  return kernel::evaluate(info, leaf, call.leaves, scalar, tenon::detail::call_of(facts), dtype,
                          context);
}

// Leaves of the same extents, which their kinds say are dense.
template <class G, class C, int... I>
TENON_INLINE AnyTensor run_alike(AnyTensor* leaf, const double* scalar, Context context,
                                 std::integer_sequence<int, I...>) {
  constexpr const StatementInfo& info = statement_info(GroupTag<G, C, false>{});
  RecordKind wanted;
  wanted.dtype = dtype_of<C>, wanted.dense = true;
  const std::uint64_t kind = leaf[0].get()->bits();
  const std::uint64_t differ =
      ((kind ^ wanted.bits()) & RecordKind::all_but_rank) | (... | (leaf[I].get()->bits() ^ kind));
  if (differ) return kernel::evaluate_plain(info, leaf, scalar, dtype_of<C>, context);
  const void* const data[] = {leaf[I].get()->data...};
  return kernel::evaluate_alike(info, leaf, data, scalar, context);
}

template <class G, class C, bool Product>
AnyTensor run_statement(GroupTag<G, C, Product>, AnyTensor* operand, int operands,
                        const double* scalar, const CallFacts& facts, Dtype dtype,
                        Context context) {
  constexpr const StatementInfo& info = statement_info(GroupTag<G, C, Product>{});
  if constexpr (info.elementwise) {
    if (facts.flags & tenon::detail::leaves_alike && dtype == dtype_of<C>) [[likely]]
      return run_alike<G, C>(operand, scalar, context,
                             std::make_integer_sequence<int, G::leaves>{});
    return kernel::evaluate_plain(info, operand, scalar, dtype, context);
  } else
    return kernel::evaluate(info, operand, operands, scalar, tenon::detail::call_of(facts), dtype,
                            context);
}

}  // namespace expr

namespace detail {

// The sum of all elements over n.
TENON_COLD inline AnyTensor sum_all(const BasicOps& ops, Dtype compute, const AnyTensor& x, Index n,
                                    Context context) {
  GroupCall how;
  how.from_end = static_cast<std::uint8_t>((1u << x.rank()) - 1);
  AnyTensor in[2] = {x, {}};
  in[0] = kernel::evaluate(*ops.sum->single, in, 1, nullptr, how, compute, context);
  if (n == 1) return in[0];
  in[1] = kernel::inverse(compute, n);
  return kernel::evaluate(*ops.multiply->single, in, 2, nullptr, GroupCall{}, compute, context);
}

// The number of elements that the leaves of an expression make together.
TENON_COLD inline Index whole_size(ExpressionHead& e) {
  const ExpressionType& p = *e.type;
  Extents all;
  for (int i = 0, used = p.facts.product ? 1 : 0; i < p.words; ++i) {
    if (p.word[i] == expr::leaf_word) all = broadcast(all, e.leaf()[used].extents()).extents;
    used += expr::is_leaf(p.word[i]) ? 1 : 0;
  }
  return all.size();
}
TENON_COLD inline AnyTensor total_of(ExpressionHead& e, const AnyTensor& rows) {
  const ExpressionType& p = *e.type;
  const Total t = static_cast<Total>(p.facts.total);
  const Index n = t == Total::mean_rows ? rows.size() : t == Total::mean_all ? whole_size(e) : 1;
  return sum_all(*p.constants.basics, p.compute, rows, n, e.context);
}
/// The value of an expression, operation by operation.
TENON_COLD inline AnyTensor slow_value(ExpressionHead& e) {
  const ExpressionType& p = *e.type;
  if (e.value) return reinterpret_cast<AnyTensor&>(e.value);
  if (e.moved) fail_moved();
  const AnyTensor* leaf = e.leaf();
  const double* scalar = e.scalar();
  const Context context = e.context;
  AnyTensor stack[66];  // operands of an operation stand side by side, its result on the first
  int top = 0, used = p.facts.product ? 1 : 0;
  for (int i = 0; i < p.words; ++i) {
    const expr::Word w = p.word[i];
    const StatementInfo* run = nullptr;
    GroupCall how;
    int count = 0;
    if (w == expr::product_word) {
      run = p.constants.product, count = 3;
      stack[top + 1] = leaf[p.leaves], stack[top + 2] = leaf[p.leaves + 1];
      how.transpose_a = e.flags & transposed_a, how.transpose_b = e.flags & transposed_b;
    } else if (expr::is_leaf(w)) {
      stack[top++] = leaf[used++];
    } else if (w == expr::scalar_word) {
      stack[top++] = kernel::filled(p.compute, Extents{}, *scalar++);
    } else {
      const OpInfo& op = *p.op[i];
      run = op.single, count = static_cast<int>(w >> 16 & 3), top -= count;
      if (op.reduction) how.from_end = p.facts.axes, how.keepdims = (w & expr::keep_bit) != 0;
      if (op.arity > count) {  // logsumexp: its shift first
        stack[top + count++] =
            kernel::evaluate(*p.peak->single, stack + top, 1, nullptr, how, p.compute, context);
        if (!how.keepdims) how.dropped_leaves = 2;
      }
    }
    if (!run) continue;
    stack[top] = kernel::evaluate(*run, stack + top, count, nullptr, how, p.compute, context);
    for (int k = 1; k < count; ++k) stack[top + k].reset();
    ++top;
  }
  AnyTensor y = std::move(stack[0]);
  if (p.constants.total) y = p.constants.total(e, y);
  return p.constants.cast ? p.constants.cast(y, p.element, context) : y;
}

TENON_COLD inline AnyTensor operate_now(const OpInfo& op, const Part* part, int count,
                                        Dtype dtype) {
  AnyTensor in[3];
  for (int i = 0; i < count; ++i) {
    const Part& p = part[i];
    if (p.kind == PartKind::expression) in[i] = slow_value(*p.head);
    else if (p.kind == PartKind::number)
      in[i] = kernel::filled(p.type().compute, Extents{}, p.number);
    else in[i] = AnyTensor::own(AnyTensor::retained(p.leaf));
  }
  return kernel::evaluate(*op.single, in, count, nullptr, GroupCall{}, dtype, Context::current());
}
TENON_COLD inline AnyTensor reduce_now(const ExpressionType& type, const AnyTensor& x,
                                       const OpInfo& op, const OpInfo* peak, unsigned from_end,
                                       bool keep, Dtype dtype) {
  GroupCall how;
  how.from_end = static_cast<std::uint8_t>(from_end), how.keepdims = keep;
  AnyTensor in[2] = {x, {}};
  if (op.arity > 1) {
    in[1] = kernel::evaluate(*peak->single, in, 1, nullptr, how, type.compute, Context::current());
    how.dropped_leaves = keep ? 0 : 2;
  }
  return kernel::evaluate(*op.single, in, op.arity, nullptr, how, dtype, Context::current());
}
TENON_COLD inline AnyTensor total_now(const ExpressionType& type, const AnyTensor& x, bool mean,
                                      Dtype dtype) {
  const Context context = Context::current();
  return kernel::cast(
      sum_all(*type.constants.basics, type.compute, x, mean ? x.size() : 1, context), dtype,
      context);
}

}  // namespace detail

namespace expr {
template <class Op, class C>
constexpr const OpInfo* op_pointer(OpTag<Op, C>) {
  return &tenon::detail::OpOf<Op, C>::info;
}
template <class C, bool Product, bool Total, bool Casts>
constexpr tenon::detail::KernelConstants kernel_constants(ConstantsTag<C, Product, Total, Casts>) {
  tenon::detail::KernelConstants k{&tenon::detail::Basics<C>::table, nullptr, nullptr, nullptr};
  if constexpr (Product)
    k.product = &tenon::detail::InfoOf<Group<1, 0, 0>, C, kernel::Products, true>::info;
  if constexpr (Total) k.total = tenon::detail::total_of;
  if constexpr (Casts) k.cast = kernel::cast;
  return k;
}
}  // namespace expr

}  // namespace tenon
