// SPDX-License-Identifier: Apache-2.0
// Reductions over compile-time axes: sum, mean, max, min, logsumexp, and pick. NumPy's rules: no axis means all.
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

template <class E, class T, class S, class Tr, class P>
Expression<Tr, T, S> rebuilt(P&& p, S shape) {
  Expression<Tr, T, S> r(shape, p.context());
  Absorb<Expression<Tr, T, S>> a{r};
  a(p);
  return r;
}

// The tree of R over the axes (bits from the end) of part P.
template <class R, class P, unsigned FromEnd, bool Keep>
struct Reduced {
  using Old = typename P::tree;
  static constexpr expr::Facts f = Old::facts;
  static constexpr bool fuses = !f.product && f.level == expr::Level::full && (!f.axes || f.axes == FromEnd) &&
                                f.depth < 4 && Old::words < expr::word_limit;
  using tree_in = std::conditional_t<fuses, Old, expr::LeafTree<typename Old::compute>>;
  using rows = ShapeOf<RowExtents<typename P::shape_type, FromEnd>>;
  using shape = ShapeOf<ReducedShape<typename P::shape_type, FromEnd, Keep>>;
  static constexpr expr::Facts facts = {static_cast<std::uint8_t>(FromEnd),
                                        Keep ? expr::Level::row_kept : expr::Level::row_dropped, false,
                                        static_cast<std::uint8_t>(tree_in::facts.depth + 1), 0};
  static constexpr expr::Word op = expr::op_word<R>() | (Keep ? expr::keep_bit : 0);
  using words = typename expr::detail::Concat<typename expr::detail::WordsOf<tree_in, expr::Lie::along>::type,
                                              expr::detail::WordList<op>>::type;
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
  S shape(reduced_by(p.extents(), FromEnd, Keep));
  Context context = p.context();
  if constexpr (M::fuses) {
    if (!p.evaluated()) [[likely]]
      return rebuilt<void, typename Q::element, S, typename M::tree>(p, shape);
  }
  auto leaf = as_leaf(std::move(p));
  using L = decltype(leaf);
  using MoreTree = typename Reduced<R, L, FromEnd, Keep>::tree;
  if constexpr (M::fuses && !std::is_same_v<MoreTree, typename M::tree>) {
    Expression<typename M::tree, typename Q::element, S> r(shape, context);
    r.set_value(reduce_now<R, typename Q::compute>(leaf.leaves()[0], FromEnd, Keep, dtype_of<typename Q::element>));
    return r;
  } else {
    return rebuilt<void, typename Q::element, S, MoreTree>(leaf, shape);
  }
}

/// Sum or mean of all elements: a reduction along the last axis, then over all rows; rows that are there already
/// are only added up.
template <class R, class P>
auto reduce_total(P&& p) {
  using Q = std::remove_cvref_t<P>;
  using Tr = typename Q::tree;
  constexpr bool mean = std::is_same_v<R, op::Mean>;
  constexpr bool rows = Tr::facts.axes && (Tr::facts.level == expr::Level::row_dropped ||
                                           Tr::facts.level == expr::Level::row_kept);
  if constexpr (Q::rank == 0) {
    return as_leaf(std::forward<P>(p));
  } else if constexpr (rows) {
    if (p.evaluated()) [[unlikely]] {
      using W = typename WithTotal<Tr, mean ? total_mean_rows : total_sum>::type;
      Expression<W, typename Q::element, Shape<>> r(Shape<>{}, p.context());
      r.set_value(reduce_now<R, typename Q::compute>(std::move(p).take(), ~0u, false, dtype_of<typename Q::element>));
      return r;
    }
    using W = typename WithTotal<Tr, mean ? total_mean_rows : total_sum>::type;
    return rebuilt<void, typename Q::element, Shape<>, W>(p, Shape<>{});
  } else {
    auto r = reduce_part<op::Sum, 1, false>(std::forward<P>(p));
    using E = decltype(r);
    using W = typename WithTotal<typename E::tree, mean ? total_mean_all : total_sum>::type;
    Expression<W, typename Q::element, Shape<>> t(Shape<>{}, r.context());
    if (r.evaluated()) [[unlikely]] {
      const double n = static_cast<double>(p.extents().size());
      AnyTensor sum = reduce_now<op::Sum, typename Q::compute>(std::move(r).take(), ~0u, false, dtype_of<typename Q::element>);
      t.set_value(mean ? scale_now<typename Q::compute>(sum, 1 / n) : sum);
      return t;
    }
    Absorb<decltype(t)> a{t};
    a(r);
    return t;
  }
}

/// The value as integers that a sum does not overflow.
template <class X>
Tensor<std::int64_t, shape_of<X>> as_i64(X&& x) {
  return Tensor<element_of<X>, shape_of<X>>(std::forward<X>(x)).any().to(Dtype::i64);
}

}  // namespace detail

/// R over the axes; a tensor of integers or truth values is reduced as i64 (mean and logsumexp need floating point).
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
      static_assert(sizeof(dtype_is_not_supported<R, T>) > 0, "tenon: the reduction needs a floating-point tensor");
    if constexpr (!floating && !std::is_same_v<T, std::int64_t>)
      return reduce<R>(detail::as_i64(std::forward<X>(x)), AxisTag<Axes...>{}, keep...);
    else if constexpr (additive && all && !kept)
      return detail::reduce_total<R>(detail::part(std::forward<X>(x)));
    else
      return detail::reduce_part<R, mask, kept>(detail::part(std::forward<X>(x)));
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

/// x[..., label]: of each row of the last axis the element that label names.   x: [..., C]   label: [...] integer.
/// Only inside `fuse` (cross_entropy uses it).   Errors: a label outside [0, C) -> Error::index.
constexpr expr::Symbol pick(expr::Symbol x, expr::Symbol label) {
  expr::Graph& g = x.graph();
  constexpr int number = expr::reduction_number<op::Pick>;
  if (x.rank() != label.rank() + 1)
    return expr::Symbol(&g, g.fail(expr::Fault::rank, number, 0, x.rank(), label.rank()));
  const Extents e = g.extents[x.node()], l = g.extents[label.node()];
  for (int i = 0; i < l.rank; ++i) g.same(number, i, e.extent[i], l.extent[i], expr::Fault::extents);
  return expr::Symbol(&g, g.reduce(number, x.node(), 1, false, label.node()));
}

}  // namespace tenon
