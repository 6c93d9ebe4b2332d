// SPDX-License-Identifier: Apache-2.0
// Reductions over compile-time axes: sum, mean, max, min, logsumexp, and pick. NumPy's rules: no
// axis means all.
#pragma once
#include <tenon/expr/map.hpp>

namespace tenon::inline TENON_ISA {

namespace detail {

enum TotalCode : std::uint8_t { total_sum = 1, total_mean_rows = 2, total_mean_all = 3 };

template <class Tr, std::uint8_t Total>
struct WithTotal;
template <class C, expr::Facts F, class R, expr::Word... W, std::uint8_t Total>
struct WithTotal<expr::Tree<C, F, R, W...>, Total> {
  static constexpr expr::Facts facts = {F.axes, expr::Level::total, F.product, F.depth, Total};
  using type = expr::Tree<C, facts, R, W...>;
};

/// A reduction that cannot fuse, computed at once (kernel/materialise.hpp).
AnyTensor reduce_now(const ExpressionType& type, const AnyTensor& x, const OpInfo& op,
                     const OpInfo* peak, unsigned from_end, bool keep, Dtype dtype);
/// The sum of all elements times a factor, computed at once.
AnyTensor total_now(const ExpressionType& type, const AnyTensor& x, bool mean, Dtype dtype);

/// The expression with another tree over the same leaves.
template <class Tr, class T, class S, class P>
Expression<Tr, T, S> rebuilt(P& p, const Extents& e) {
  Expression<Tr, T, S> r;
  r.head().context = Context::current(), r.head().set_extents(e.extent);
  r.head().flags = p.head().flags & (transposed_a | transposed_b);
  p.move_to(r.head().handle(), r.head().scalar());
  return r;
}

// The tree of R over the axes (bits from the end) of part P.
template <class R, class P, unsigned FromEnd, bool Keep>
struct Reduced {
  using Old = typename P::tree;
  static constexpr expr::Facts f = Old::facts;
  static constexpr bool fuses = !f.product && f.level == expr::Level::full &&
                                (!f.axes || f.axes == FromEnd) && f.depth < 4 &&
                                Old::words < expr::word_limit;
  using tree_in = std::conditional_t<fuses, Old, expr::LeafTree<typename Old::compute>>;
  using rows = ShapeOf<RowExtents<typename P::shape_type, FromEnd>>;
  using shape = ShapeOf<ReducedShape<typename P::shape_type, FromEnd, Keep>>;
  static constexpr expr::Facts facts = {
      static_cast<std::uint8_t>(FromEnd), Keep ? expr::Level::row_kept : expr::Level::row_dropped,
      false, static_cast<std::uint8_t>(tree_in::facts.depth + 1), 0};
  static constexpr expr::Word op = expr::op_word<R>() | (Keep ? expr::keep_bit : 0);
  using words = typename expr::detail::Concat<
      op, typename expr::detail::WordsOf<tree_in, expr::Lie::along>::type>::type;
  using tree = typename words::template tree<typename Old::compute, facts, rows>;
};

inline Extents reduced_by(const Extents& e, unsigned from_end, bool keep) {
  Extents r;
  for (int i = 0; i < e.rank; ++i) {
    const bool gone = from_end >> (e.rank - 1 - i) & 1;
    if (!gone || keep) r.extent[r.rank++] = gone ? 1 : e.extent[i];
  }
  return r;
}

template <class R, unsigned FromEnd, bool Keep, class P>
auto reduce_part(P&& p) {
  using Q = std::remove_cvref_t<P>;
  using M = Reduced<R, Q, FromEnd, Keep>;
  using S = typename M::shape;
  using T = typename Q::element;
  const Extents e = reduced_by(p.extents(), FromEnd, Keep);
  if constexpr (!M::fuses) {
    auto leaf = as_leaf(std::move(p));
    return rebuilt<typename Reduced<R, decltype(leaf), FromEnd, Keep>::tree, T, S>(leaf, e);
  } else {
    if (!late(p.head())) [[likely]]
      return rebuilt<typename M::tree, T, S>(p, e);
    Expression<typename M::tree, T, S> r;
    r.head().context = Context::current(), r.head().set_extents(e.extent);
    const ExpressionType& type = *r.head().type;
    r.set_value(reduce_now(type, std::move(p).take(), *type.op[type.words - 1], type.peak, FromEnd,
                           Keep, dtype_of<T>));
    return r;
  }
}

/// Sum or mean of all elements: a reduction along the last axis, then over all rows; rows that are
/// there already are only added up.
template <class R, class P>
auto reduce_total(P&& p) {
  using Q = std::remove_cvref_t<P>;
  using Tr = typename Q::tree;
  using T = typename Q::element;
  constexpr bool mean = std::is_same_v<R, op::Mean>;
  constexpr bool rows = Tr::facts.axes && (Tr::facts.level == expr::Level::row_dropped ||
                                           Tr::facts.level == expr::Level::row_kept);
  if constexpr (Q::rank == 0) {
    return as_leaf(std::forward<P>(p));
  } else {
    using Inner = typename Reduced<op::Sum, Q, 1, false>::tree;
    constexpr std::uint8_t total = !mean ? total_sum : rows ? total_mean_rows : total_mean_all;
    if constexpr (rows) {
      using W = typename WithTotal<Tr, total>::type;
      if (!late(p.head())) [[likely]]
        return rebuilt<W, T, Shape<>>(p, Extents{});
      Expression<W, T, Shape<>> r;
      r.set_value(total_now(*r.head().type, std::move(p).take(), mean, dtype_of<T>));
      return r;
    } else if constexpr (Reduced<op::Sum, Q, 1, false>::fuses) {
      using W = typename WithTotal<Inner, total>::type;
      if (!late(p.head())) [[likely]]
        return rebuilt<W, T, Shape<>>(p, Extents{});
      Expression<W, T, Shape<>> r;
      r.set_value(total_now(*r.head().type, std::move(p).take(), mean, dtype_of<T>));
      return r;
    } else {
      return reduce_total<R>(as_leaf(std::move(p)));
    }
  }
}

/// The value as integers that a sum does not overflow.
template <class X>
Tensor<std::int64_t, shape_of<X>> as_i64(X&& x) {
  return Tensor<element_of<X>, shape_of<X>>(std::forward<X>(x)).any().to(Dtype::i64);
}

}  // namespace detail

/// R over the axes; a tensor of integers or truth values is reduced as i64 (mean and logsumexp need
/// floating point).
template <class R, int... Axes, TensorExpr X>
constexpr auto reduce(X&& x, AxisTag<Axes...>, auto... keep) {
  constexpr bool kept = sizeof...(keep) > 0;
  if constexpr (std::is_same_v<std::remove_cvref_t<X>, expr::Symbol>) {
    return expr::reduce_symbol<R, kept, Axes...>(x);
  } else {
    constexpr unsigned mask = detail::axes_from_end<R, shape_of<X>::rank, Axes...>();
    constexpr bool additive = std::is_same_v<R, op::Sum> || std::is_same_v<R, op::Mean>;
    constexpr bool all = mask == (1u << shape_of<X>::rank) - 1;
    using T = element_of<X>;
    constexpr bool floating = is_floating(dtype_of<T>);
    if constexpr (!floating && (std::is_same_v<R, op::Mean> || std::is_same_v<R, op::LogSumExp>))
      static_assert(sizeof(dtype_is_not_supported<R, T>) > 0,
                    "tenon: the reduction needs a floating-point tensor");
    if constexpr (!floating && !std::is_same_v<T, std::int64_t>)
      return reduce<R>(detail::as_i64(std::forward<X>(x)), AxisTag<Axes...>{}, keep...);
    else if constexpr (additive && all && !kept)
      return detail::reduce_total<R>(detail::part(std::forward<X>(x)));
    else return detail::reduce_part<R, mask, kept>(detail::part(std::forward<X>(x)));
  }
}

// clang-format off
/// Sum of the elements along the axes; all without axes.
template <TensorExpr X> constexpr auto sum(X&& x) { return reduce<op::Sum>(std::forward<X>(x), axis<>); }
template <TensorExpr X, int... A> constexpr auto sum(X&& x, AxisTag<A...> a) { return reduce<op::Sum>(std::forward<X>(x), a); }
template <TensorExpr X, int... A> constexpr auto sum(X&& x, AxisTag<A...> a, KeepDims k) { return reduce<op::Sum>(std::forward<X>(x), a, k); }
/// Mean of the elements along the axes.
template <TensorExpr X> constexpr auto mean(X&& x) { return reduce<op::Mean>(std::forward<X>(x), axis<>); }
template <TensorExpr X, int... A> constexpr auto mean(X&& x, AxisTag<A...> a) { return reduce<op::Mean>(std::forward<X>(x), a); }
template <TensorExpr X, int... A> constexpr auto mean(X&& x, AxisTag<A...> a, KeepDims k) { return reduce<op::Mean>(std::forward<X>(x), a, k); }
/// Largest element along the axes; equal ones share the gradient.
template <TensorExpr X> constexpr auto max(X&& x) { return reduce<op::Max>(std::forward<X>(x), axis<>); }
template <TensorExpr X, int... A> constexpr auto max(X&& x, AxisTag<A...> a) { return reduce<op::Max>(std::forward<X>(x), a); }
template <TensorExpr X, int... A> constexpr auto max(X&& x, AxisTag<A...> a, KeepDims k) { return reduce<op::Max>(std::forward<X>(x), a, k); }
/// Smallest element along the axes; equal ones share the gradient.
template <TensorExpr X> constexpr auto min(X&& x) { return reduce<op::Min>(std::forward<X>(x), axis<>); }
template <TensorExpr X, int... A> constexpr auto min(X&& x, AxisTag<A...> a) { return reduce<op::Min>(std::forward<X>(x), a); }
template <TensorExpr X, int... A> constexpr auto min(X&& x, AxisTag<A...> a, KeepDims k) { return reduce<op::Min>(std::forward<X>(x), a, k); }
/// log(sum(exp(x))) along the axes, without overflow.
template <TensorExpr X> constexpr auto logsumexp(X&& x) { return reduce<op::LogSumExp>(std::forward<X>(x), axis<>); }
template <TensorExpr X, int... A> constexpr auto logsumexp(X&& x, AxisTag<A...> a) { return reduce<op::LogSumExp>(std::forward<X>(x), a); }
template <TensorExpr X, int... A> constexpr auto logsumexp(X&& x, AxisTag<A...> a, KeepDims k) { return reduce<op::LogSumExp>(std::forward<X>(x), a, k); }
// clang-format on

/// The largest element of each row of the last axis as a shift for what follows, 0 where it is
/// infinite: no gradient flows through it.   x: [..., C]   y: [..., 1]   Only inside `fuse`.
constexpr expr::Symbol peak(expr::Symbol x) { return expr::reduce_symbol<op::Peak, true, -1>(x); }

/// x[..., label]: of each row of the last axis the element that label names.   x: [..., C]   label:
/// [...] integer.
/// Only inside `fuse` (cross_entropy uses it).   Errors: a label outside [0, C) -> Error::index.
constexpr expr::Symbol pick(expr::Symbol x, expr::Symbol label) {
  expr::Graph& g = x.graph();
  constexpr int number = expr::reduction_number<op::Pick>;
  if (x.rank() != label.rank() + 1)
    return expr::Symbol(&g, g.fail(expr::Fault::rank, number, 0, x.rank(), label.rank()));
  const Extents e = g.extents[x.node()], l = g.extents[label.node()];
  for (int i = 0; i < l.rank; ++i)
    g.same(number, i, e.extent[i], l.extent[i], expr::Fault::extents);
  return expr::Symbol(&g, g.reduce(number, x.node(), 1, false, label.node()));
}

}  // namespace tenon
