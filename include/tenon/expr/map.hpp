// SPDX-License-Identifier: Apache-2.0
// map<Op>: an element-wise operation on tensors, expressions and numbers, as an expression.
#pragma once
#include <tenon/expr/symbol.hpp>

namespace tenon::inline TENON_ISA {

template <class X>
concept Number = std::is_arithmetic_v<std::remove_cvref_t<X>>;

namespace detail {

template <class T>
using ScalarTree = expr::Tree<compute_t<T>, expr::Facts{}, Shape<>, expr::scalar_word>;

/// A number among the operands takes the tensors' element type.
template <class T, class X>
decltype(auto) part_of(X&& x) {
  if constexpr (Number<X>) {
    Expression<ScalarTree<T>, T, Shape<>> e(Shape<>{}, Context::current());
    e.scalars()[0] = static_cast<double>(x);
    return e;
  } else {
    return part(std::forward<X>(x));
  }
}

template <class... Xs>
struct ElementOf;
template <class X, class... Xs>
struct ElementOf<X, Xs...> : ElementOf<Xs...> {};
template <class X, class... Xs>
  requires(!Number<X> && (!expr::detail::follows<element_of<X>> || sizeof...(Xs) == 0))
struct ElementOf<X, Xs...> {
  using type = element_of<X>;
};
template <class X, class... Xs>
  requires(!Number<X> && expr::detail::follows<element_of<X>> && sizeof...(Xs) > 0)
struct ElementOf<X, Xs...> {
  template <class... Ys>
  static auto pick() {
    if constexpr ((Number<Ys> && ...)) return Type<element_of<X>>{};
    else return Type<typename ElementOf<Ys...>::type>{};
  }
  using type = typename decltype(pick<Xs...>())::type;
};

/// Moves handles, scalars and flags of parts into a result, one after the other.
template <class R>
struct Absorb {
  R& r;
  int leaf = R::tree::facts.product ? 1 : 0, scalar = 0;  // a product is leaf 0
  template <class P>
  void operator()(P& p) {
    using Tr = typename P::tree;
    constexpr int own = Tr::facts.product ? 1 : 0;
    if constexpr (Tr::leaves > own) move_handles(r.leaves() + leaf, p.leaves() + own, Tr::leaves - own);
    leaf += Tr::leaves - own;
    if constexpr (Tr::facts.product) {
      move_handles(r.leaves() + R::tree::leaves, p.leaves() + Tr::leaves, 2);
      r.set_flags(p.flags());
    }
    for (int i = 0; i < Tr::scalars; ++i) r.scalars()[scalar++] = p.scalars()[i];
  }
};

template <class Op, class C, class... Ps>
constexpr void check_operands() {
  if constexpr (Op::domain == op::Domain::floating && !std::is_floating_point_v<C>)
    static_assert(sizeof(dtype_is_not_supported<Op, C>) > 0, "tenon: the operation needs f32 or f64");
  constexpr bool same[] = {(std::is_same_v<typename Ps::tree::compute, C> ||
                            expr::detail::follows<typename Ps::element>)...};
  constexpr int bad = [&] {
    for (int i = 0; i < static_cast<int>(sizeof...(Ps)); ++i)
      if (!same[i]) return i;
    return -1;
  }();
  if constexpr (bad >= 0)
    static_assert(sizeof(dtypes_differ<Op, Type<typename Ps::element>...>) < 0,
                  "tenon: element types of the operands differ");
}

template <class Op, class S, class... Ss>
struct BroadcastAll {
  using type = S;
};
template <class Op, class A, class B, class... Ss>
struct BroadcastAll<Op, A, B, Ss...> {
  using type = typename BroadcastAll<Op, typename BroadcastType<Op, A, B>::type, Ss...>::type;
};

template <class Op, class S, class P, class... Ps>
S join_shapes(const P& first, const Ps&... rest) {
  if constexpr (S::is_static && (P::shape_type::is_static && ... && Ps::shape_type::is_static)) {
    return S{};
  } else {
    // Each operand against the result: equal, or a static 1, or missing.
    struct Side {
      Extents extents;
      const Index* known;
    };
    const Side side[] = {{first.extents(), P::shape_type::known},
                         {rest.extents(), Ps::shape_type::known}...};
    Extents all = side[0].extents;
    Index known[max_rank + 1];
    for (int i = 0; i < all.rank; ++i) known[i] = side[0].known[i];
    for (std::size_t k = 1; k <= sizeof...(Ps); ++k) {
      all = broadcast_checked(Op::name, all, known, side[k].extents, side[k].known);
      for (int i = 0; i < all.rank; ++i) known[i] = all.extent[i] == 1 ? S::known[S::rank - all.rank + i] : 0;
    }
    return S(all);
  }
}

template <int I, class P, class... Ps>
struct Nth : Nth<I - 1, Ps...> {};
template <class P, class... Ps>
struct Nth<0, P, Ps...> {
  using type = P;
};
template <int I, class... Ps>
struct RowsOf {
  using type = typename Nth<I, Ps...>::type::tree::rows;
};
template <class... Ps>
struct RowsOf<-1, Ps...> {
  using type = Shape<>;
};

template <class P, bool Evaluate, expr::Lie Mark>
struct PartWords : expr::detail::WordsOf<typename P::tree, Mark> {};
template <class P, expr::Lie Mark>
struct PartWords<P, true, Mark> : expr::detail::WordsOf<expr::LeafTree<typename P::compute>, Mark> {};

template <class J, class Op, class Sequence, class... Ps>
struct JoinedWords;
template <class J, class Op, int... I, class... Ps>
struct JoinedWords<J, Op, std::integer_sequence<int, I...>, Ps...> {
  using type = typename expr::detail::Concat<
      typename PartWords<Ps, J::joint.evaluate[I], J::joint.mark[I]>::type...,
      expr::detail::WordList<expr::op_word<Op>()>>::type;
};

/// Everything about an operation on parts that is known at compile time.
template <class Op, class... Ps>
struct Mapped {
  static constexpr int count = static_cast<int>(sizeof...(Ps));
  using shape = typename BroadcastAll<Op, typename Ps::shape_type...>::type;
  using compute = typename expr::detail::CommonCompute<Ps...>::type;
  using element = std::conditional_t<Op::result == op::Result::boolean, bool, typename ElementOf<Ps...>::type>;
  static constexpr expr::PartFacts facts[] = {expr::detail::facts_of<Ps>()...};
  static constexpr expr::Joint joint = expr::decide(facts, count, known_extents<shape>());
  using words = typename JoinedWords<Mapped, Op, std::make_integer_sequence<int, count>, Ps...>::type;
  using tree =
      typename words::template tree<compute, joint.facts, typename RowsOf<joint.rows_from, Ps...>::type>;
  using type = Expression<tree, element, shape>;
};

template <bool Evaluate, class R, class P>
void absorb_one(Absorb<R>& a, P& p) {
  if constexpr (Evaluate) {
    auto leaf = as_leaf(std::move(p));
    a(leaf);
  } else {
    a(p);
  }
}
template <class M, class R, int... I, class... Ps>
void absorb_parts(R& r, std::integer_sequence<int, I...>, Ps&... p) {
  Absorb<R> a{r};
  (absorb_one<M::joint.evaluate[I]>(a, p), ...);
}

/// The context that parts share; leaves and numbers belong to any. False when they cannot fuse.
struct Sharing {
  Context context = Context::current();
  bool first = true, fits = true;
  void add(bool evaluated, bool leaf, Context c) {
    fits = fits && !evaluated && (leaf || first || c == context);
    if (leaf) return;
    context = c, first = false;
  }
};

/// The expression Op(p...). p are parts; those that cannot fuse are computed at once, operation by operation.
template <class Op, class... Ps>
auto combine(Ps&&... p) {
  using M = Mapped<Op, std::remove_cvref_t<Ps>...>;
  check_operands<Op, typename M::compute, std::remove_cvref_t<Ps>...>();
  using R = typename M::type;
  Sharing sharing;
  (sharing.add(p.evaluated(), std::remove_cvref_t<Ps>::tree::is_value, p.context()), ...);
  R r(join_shapes<Op, typename M::shape>(p...), sharing.context);
  if (sharing.fits) [[likely]]
    absorb_parts<M>(r, std::make_integer_sequence<int, M::count>{}, p...);
  else
    r.set_value(apply_now<Op, typename M::compute>(dtype_of<typename R::element>, p...));
  return r;
}

}  // namespace detail

/// Op element by element, operands broadcast. Errors: extents that do not broadcast (compile time where static,
/// else Error::shape), element types that differ, an operation that needs floating point.
template <class Op, class... Xs>
  requires((TensorExpr<Xs> || Number<Xs>) && ...)
constexpr auto map(Xs&&... x) {
  if constexpr ((std::is_same_v<std::remove_cvref_t<Xs>, expr::Symbol> || ...)) {
    return expr::map_symbols<Op>(x...);
  } else {
    using T = typename detail::ElementOf<std::remove_cvref_t<Xs>...>::type;
    return detail::combine<Op>(detail::part_of<T>(std::forward<Xs>(x))...);
  }
}

// clang-format off
template <class A, class B>
concept Operands = (TensorExpr<A> && (TensorExpr<B> || Number<B>)) || (Number<A> && TensorExpr<B>);

template <class A, class B> requires Operands<A, B>
constexpr auto operator+(A&& a, B&& b) { return map<op::Add>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator-(A&& a, B&& b) { return map<op::Subtract>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator*(A&& a, B&& b) { return map<op::Multiply>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator/(A&& a, B&& b) { return map<op::Divide>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator==(A&& a, B&& b) { return map<op::Equal>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator!=(A&& a, B&& b) { return map<op::NotEqual>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator<(A&& a, B&& b) { return map<op::Less>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator<=(A&& a, B&& b) { return map<op::LessEqual>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator>(A&& a, B&& b) { return map<op::Greater>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator>=(A&& a, B&& b) { return map<op::GreaterEqual>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator&(A&& a, B&& b) { return map<op::LogicalAnd>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator|(A&& a, B&& b) { return map<op::LogicalOr>(std::forward<A>(a), std::forward<B>(b)); }
template <class A, class B> requires Operands<A, B>
constexpr auto operator^(A&& a, B&& b) { return map<op::LogicalXor>(std::forward<A>(a), std::forward<B>(b)); }
template <TensorExpr A>
constexpr auto operator-(A&& a) { return map<op::Negative>(std::forward<A>(a)); }
template <TensorExpr A>
constexpr auto operator!(A&& a) { return map<op::LogicalNot>(std::forward<A>(a)); }
// clang-format on

}  // namespace tenon
