// SPDX-License-Identifier: Apache-2.0
// What expressions call upward, found by their arguments: run a statement, or compute one operation at once.
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
  c.transpose_a = f.transposed & 1, c.transpose_b = f.transposed & 2;
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
AnyTensor run_statement(GroupTag<G, C, Product>, const AnyTensor* operand, int operands, const double* scalar,
                        const CallFacts& facts, Dtype dtype, Context context) {
  return kernel::evaluate(tenon::detail::InfoOf<G, C, typename tenon::detail::ProductsIf<Product>::type>::info,
                          operand, operands, scalar, tenon::detail::call_of(facts), dtype, context);
}

}  // namespace expr

namespace detail {

/// A postfix list as data, for expressions that cannot fuse after all.
struct Postfix {
  const expr::Word* word;
  const OpInfo* const* op;
  const OpInfo* peak;
  int count, leaves;
  expr::Facts facts;
  const StatementInfo* product;
  const BasicOps* basics;
  Dtype compute;
};

inline AnyTensor number_tensor(Dtype dtype, double x) {
  AnyTensor t = AnyTensor::empty(dtype, Extents{});
  convert(Dtype::f64, &x, 1, dtype, t.raw_writable(), 1, 1);
  return t;
}
inline AnyTensor sum_all(const BasicOps& ops, Dtype compute, const AnyTensor& x, double scale, Context context) {
  GroupCall how;
  how.from_end = static_cast<std::uint8_t>((1u << x.rank()) - 1);
  AnyTensor in[2] = {x, {}};
  in[0] = kernel::evaluate(*ops.sum->single, in, 1, nullptr, how, compute, context);
  if (scale == 1) return in[0];
  in[1] = number_tensor(compute, scale);
  return kernel::evaluate(*ops.multiply->single, in, 2, nullptr, GroupCall{}, compute, context);
}

TENON_COLD inline AnyTensor run_postfix(const Postfix& p, const AnyTensor* leaf, const double* scalar,
                                        unsigned transposed, Dtype dtype, Context context) {
  AnyTensor stack[64];
  int top = 0, used = p.product ? 1 : 0;
  Extents all;
  for (int i = 0; i < p.count; ++i) {
    const expr::Word w = p.word[i];
    if (w == expr::product_word) {
      const AnyTensor in[3] = {AnyTensor{}, leaf[p.leaves], leaf[p.leaves + 1]};
      GroupCall how;
      how.transpose_a = transposed & 1, how.transpose_b = transposed & 2;
      stack[top++] = kernel::evaluate(*p.product, in, 3, nullptr, how, p.compute, context);
    } else if (expr::is_leaf(w)) {
      if (w == expr::leaf_word) all = broadcast(all, leaf[used].extents()).extents;
      stack[top++] = leaf[used++];
    } else if (w == expr::scalar_word) {
      stack[top++] = number_tensor(p.compute, *scalar++);
    } else {
      const OpInfo& op = *p.op[i];
      GroupCall how;
      if (op.reduction) how.from_end = p.facts.axes, how.keepdims = (w & expr::keep_bit) != 0;
      const int arity = static_cast<int>(w >> 16 & 3);
      top -= arity;
      AnyTensor in[3];
      for (int s = 0; s < arity; ++s) in[s] = stack[top + s];
      if (op.arity > arity)  // logsumexp: its shift first
        in[1] = kernel::evaluate(*p.peak->single, in, 1, nullptr, how, p.compute, context);
      if (op.arity > arity && !how.keepdims) how.dropped_leaves = 2;
      stack[top++] = kernel::evaluate(*op.single, in, op.arity, nullptr, how, p.compute, context);
    }
  }
  AnyTensor y = stack[0];
  if (p.facts.total) {
    const Total t = static_cast<Total>(p.facts.total);
    const Index n = t == Total::mean_rows ? y.size() : t == Total::mean_all ? all.size() : 1;
    y = sum_all(*p.basics, p.compute, y, 1 / static_cast<double>(n), context);
  }
  return y.to(dtype);
}

template <class Tr>
struct PostfixOf;
template <class C, expr::Facts F, class R, expr::Word... W>
struct PostfixOf<expr::Tree<C, F, R, W...>> {
  template <expr::Word Code>
  static constexpr const OpInfo* op() {
    if constexpr (expr::is_leaf(Code) || Code == expr::scalar_word) return nullptr;
    else return &OpOf<expr::OpAt<static_cast<int>(Code & 255)>, C>::info;
  }
  static constexpr bool shifts = (((W & 255) == expr::reduction_number<op::LogSumExp>) || ...);
  static constexpr const OpInfo* peak() {
    if constexpr (shifts) return &OpOf<op::Peak, C>::info;
    else return nullptr;
  }
  static constexpr const StatementInfo* product() {
    if constexpr (F.product) return &InfoOf<expr::Group<1, 0, 0>, C, kernel::Products, true>::info;
    else return nullptr;
  }
  static constexpr expr::Word words[] = {W...};
  static constexpr const OpInfo* ops[] = {op<W>()...};
  static constexpr Postfix value = {words, ops, peak(), static_cast<int>(sizeof...(W)),
                                    expr::Tree<C, F, R, W...>::leaves, F, product(), &Basics<C>::table,
                                    dtype_of<C>};
};

/// The value of a part, operation by operation.
template <class P>
AnyTensor slow_value(P& p) {
  using Tr = typename P::tree;
  if (p.evaluated()) return p.held();
  if constexpr (Tr::words == 1 && Tr::scalars == 1)
    return number_tensor(dtype_of<typename Tr::compute>, p.scalars()[0]);
  else if constexpr (Tr::words == 1 && !Tr::facts.product)
    return p.leaves()[0];
  else
    return run_postfix(PostfixOf<Tr>::value, p.leaves(), p.scalars(), p.flags(), dtype_of<typename P::element>,
                       p.context());
}

}  // namespace detail

/// Op on parts that cannot fuse, computed at once under the current context.
template <class Op, class C, class... Ps>
TENON_COLD AnyTensor apply_now(Dtype dtype, Ps&... p) {
  const AnyTensor in[] = {detail::slow_value(p)...};
  return kernel::evaluate(*op_info<Op, C>.single, in, static_cast<int>(sizeof...(Ps)), nullptr, GroupCall{}, dtype,
                          Context::current());
}
/// A reduction of a value, computed at once.
template <class R, class C>
TENON_COLD AnyTensor reduce_now(const AnyTensor& x, unsigned from_end, bool keep, Dtype dtype) {
  GroupCall how;
  how.from_end = static_cast<std::uint8_t>(from_end & ((1u << x.rank()) - 1)), how.keepdims = keep;
  AnyTensor in[2] = {x, {}};
  if constexpr (std::is_same_v<R, op::LogSumExp>) {
    in[1] = kernel::evaluate(*op_info<op::Peak, C>.single, in, 1, nullptr, how, dtype_of<C>, Context::current());
    how.dropped_leaves = keep ? 0 : 2;
  }
  return kernel::evaluate(*op_info<R, C>.single, in, R::arity, nullptr, how, dtype, Context::current());
}
template <class C>
TENON_COLD AnyTensor scale_now(const AnyTensor& x, double factor) {
  const AnyTensor in[2] = {x, detail::number_tensor(dtype_of<C>, factor)};
  return kernel::evaluate(*op_info<op::Multiply, C>.single, in, 2, nullptr, GroupCall{}, dtype_of<C>,
                          Context::current());
}

}  // namespace tenon
