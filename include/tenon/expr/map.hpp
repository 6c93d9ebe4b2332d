// SPDX-License-Identifier: Apache-2.0
// map<Op>: an element-wise operation on tensors, expressions and numbers, as an expression.
#pragma once
#include <tenon/expr/join.hpp>

namespace tenon::inline TENON_ISA {

namespace detail {

template <class Op, class C, class... Ps>
constexpr void check_operands() {
  if constexpr (Op::domain == op::Domain::floating && !std::is_floating_point_v<C>)
    static_assert(sizeof(dtype_is_not_supported<Op, C>) > 0,
                  "tenon: the operation needs f32 or f64");
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
struct PartWords<P, true, Mark> : expr::detail::WordsOf<expr::LeafTree<typename P::compute>, Mark> {
};

template <class J, class Op, class Sequence, class... Ps>
struct JoinedWords;
template <class J, class Op, int... I, class... Ps>
struct JoinedWords<J, Op, std::integer_sequence<int, I...>, Ps...> {
  using type = typename expr::detail::Concat<
      expr::op_word<Op>(),
      typename PartWords<Ps, J::joint.evaluate[I], J::joint.mark[I]>::type...>::type;
};

/// How parts join, without asking where all are plain: no reductions, no product, and not too many.
template <bool Plain, class S, class... Ps>
struct JointOf {
  static constexpr expr::Joint joint{};
};
template <class S, class... Ps>
struct JointOf<false, S, Ps...> {
  static constexpr expr::PartFacts facts[] = {expr::detail::facts_of<Ps>()...};
  static constexpr expr::Joint joint =
      expr::decide(facts, static_cast<int>(sizeof...(Ps)), known_extents<S>());
};

/// Everything about an operation on parts that is known at compile time.
template <class Op, class... Ps>
struct Mapped {
  static constexpr int count = static_cast<int>(sizeof...(Ps));
  using shape = typename BroadcastAll<Op, typename Ps::shape_type...>::type;
  using compute = typename expr::detail::CommonCompute<Ps...>::type;
  using element =
      std::conditional_t<Op::result == op::Result::boolean, bool, typename ElementOf<Ps...>::type>;
  static constexpr bool plain = (Ps::tree::facts.simple() && ...) &&
                                (Ps::tree::leaves + ...) <= expr::leaf_limit &&
                                (Ps::tree::words + ...) <= expr::word_limit;
  static constexpr expr::Joint joint = JointOf<plain, shape, Ps...>::joint;
  static constexpr bool fused =
      plain || !(joint.evaluate[0] || joint.evaluate[1] || joint.evaluate[2]);
  static constexpr bool fits =
      (Op::domain != op::Domain::floating ||
       std::is_floating_point_v<compute>)&&(std::is_same_v<typename Ps::compute, compute> && ...);
  using words =
      typename JoinedWords<Mapped, Op, std::make_integer_sequence<int, count>, Ps...>::type;
  using tree = typename words::template tree<compute, joint.facts,
                                             typename RowsOf<joint.rows_from, Ps...>::type>;
  using type = Expression<tree, element, shape>;
};

template <bool Evaluate, class P>
decltype(auto) prepared(P& p) {
  if constexpr (Evaluate) return as_leaf(std::move(p));
  else return static_cast<P&>(p);
}
/// Fills r with Op of these parts, or of what becomes one by itself.
template <class Op, class M, class... Ps, class... Xs>
TENON_INLINE void join_parts(typename M::type& r, Types<Ps...>, Xs&&... x) {
  constexpr const Operation& op = operation_of<Op, typename M::compute>;
  if constexpr (is_short<typename M::tree, typename M::shape, Ps...>)
    join_short<typename M::shape>(r.head(), op,
                                  static_cast<typename PassedPart<Ps, true>::type>(x)...);
  else join_long(r.head(), op, static_cast<typename PassedPart<Ps, false>::type>(x)...);
}
template <class Op, class M, int... I, class... Ps>
void join_prepared(typename M::type& r, std::integer_sequence<int, I...>, Ps&... p) {
  join_parts<Op, M>(r, Types<std::remove_cvref_t<decltype(prepared<M::joint.evaluate[I]>(p))>...>{},
                    prepared<M::joint.evaluate[I]>(p)...);
}

/// The expression Op of parts Ps, or of what becomes them by itself. Its type is written down:
/// clang 16 makes a function whose type it deduces move its result. Every operator of every
/// statement comes here, and few functions lie between.
template <class Op, class M, class... Ps, class... Xs>
typename M::type combine(Types<Ps...>, Xs&... x) {
  if constexpr (!M::fits) check_operands<Op, typename M::compute, Ps...>();
  typename M::type r{Joining{}};
  if constexpr (M::fused) join_parts<Op, M>(r, Types<Ps...>{}, x...);
  else join_prepared<Op, M>(r, std::make_integer_sequence<int, M::count>{}, x...);
  return r;
}
template <class Op, class... Ps>
typename Mapped<Op, std::remove_cvref_t<Ps>...>::type combine_parts(Ps&&... p) {
  return combine<Op, Mapped<Op, std::remove_cvref_t<Ps>...>>(Types<std::remove_cvref_t<Ps>...>{},
                                                             p...);
}

/// Operands that are direct parts and all fuse.
template <class Op, class T, class... Xs>
struct DirectMapped {
  static constexpr bool fused = false;
};
template <class Op, class T, class... Xs>
  requires(DirectPart<T, Xs>::direct&&...)
struct DirectMapped<Op, T, Xs...> {
  using parts = Types<typename DirectPart<T, Xs>::type...>;
  using mapped = Mapped<Op, typename DirectPart<T, Xs>::type...>;
  static constexpr bool fused = mapped::fused;
};
}  // namespace detail

/// Op element by element, operands broadcast. Errors: extents that do not broadcast (compile time
/// where static, else Error::shape), element types that differ, an operation that needs floating
/// point.
template <class Op, class... Xs>
  requires((TensorExpr<Xs> || Number<Xs>)&&...)
constexpr auto map(Xs&&... x) {
  if constexpr ((std::is_same_v<std::remove_cvref_t<Xs>, expr::Symbol> || ...)) {
    return expr::map_symbols<Op>(x...);
  } else {
    using T = typename detail::ElementOf<std::remove_cvref_t<Xs>...>::type;
    using Direct = detail::DirectMapped<Op, T, Xs...>;
    if constexpr (Direct::fused)
      return detail::combine<Op, typename Direct::mapped>(typename Direct::parts{}, x...);
    else return detail::combine_parts<Op>(detail::part_of<T>(std::forward<Xs>(x))...);
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
