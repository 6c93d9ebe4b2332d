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
    Expression<ScalarTree<T>, T, Shape<>> e;
    *e.head().scalar() = static_cast<double>(x);
    return e;
  } else if constexpr (std::is_lvalue_reference_v<X> && is_tensor<std::remove_cvref_t<X>>) {
    return LeafPart<element_of<X>, shape_of<X>>(x.any());
  } else if constexpr (std::is_lvalue_reference_v<X> && is_expression<std::remove_cvref_t<X>>) {
    return LeafPart<element_of<X>, shape_of<X>>(x.value());
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

/// Op on parts that cannot fuse, computed at once under the current context
/// (kernel/materialise.hpp).
AnyTensor operate_now(const OpInfo& op, ExpressionHead* const* part, int count, Dtype dtype);

/// The extents of an element-wise result; what is `dyn` is checked now.
inline void join_extents(ExpressionHead& r, ExpressionHead* const* part, int count,
                         const char* name) {
  Extents all = part[0]->extents(), known = part[0]->type->known;
  for (int i = 1; i < count; ++i) {
    const ExpressionType& t = *part[i]->type;
    all = broadcast_checked(name, all, known.extent, part[i]->extents(), t.known.extent);
    known = broadcast(known, t.known).extents;
  }
  r.set_extents(all.extent);
}
/// How the extents of a result come about: they are all static, all parts that have axes are of the
/// result's type, or the parts broadcast.
enum class Alike { known, equal, no };
/// The extents of r from a part of its type, or of rank 0; false if a part before had others: then
/// join_extents finds the words.
inline bool take_extents(ExpressionHead& r, ExpressionHead& p, bool& taken) {
  const int rank = p.type->known.rank;
  Index *to = r.dynamic(), *from = p.dynamic();
  for (int k = 0; k < rank; ++k)
    if (!taken) to[k] = from[k];
    else if (to[k] != from[k]) return false;
  taken |= rank > 0;
  return true;
}
/// Whether a part cannot join a statement built now: it holds its value already, or belongs to
/// another context, built while paused or under another recorder. Leaves and numbers belong to any.
inline bool late(const ExpressionHead& p, Context now = Context::current()) {
  return p.value || p.moved || (!p.type->is_value && !(p.context == now));
}
/// Moves handles, scalars and flags of parts into r, one after the other. A product is leaf 0.
inline void absorb(ExpressionHead& r, ExpressionHead* const* part, int count) {
  Record** to = r.handle() + (r.type->facts.product ? 1 : 0);
  double* scalar = r.scalar();
  for (int i = 0; i < count; ++i) {
    ExpressionHead& p = *part[i];
    if (p.moved) [[unlikely]]  // std::move(e) + std::move(e)
      fail_moved();
    const ExpressionType& t = *p.type;
    Record** from = p.handle();
    int k = 0;
    if (t.facts.product) [[unlikely]] {
      r.handle()[r.type->leaves] = from[t.leaves],
      r.handle()[r.type->leaves + 1] = from[t.leaves + 1];
      r.flags = p.flags, k = 1;
    }
    if (p.borrowed) *to++ = AnyTensor::retained(*from);
    else
      for (; k < t.leaves; ++k) *to++ = from[k];
    for (k = 0; k < t.scalars; ++k) *scalar++ = p.scalar()[k];
    p.moved = true;
  }
}
/// Fills r, the expression of an operation on parts; those that cannot fuse are computed at once.
inline __attribute__((noinline)) void join(ExpressionHead& r, ExpressionHead* const* part,
                                           int count, Alike alike, const OpInfo& op,
                                           const char* name) {
  const Context now = r.context = Context::current();
  bool same = alike != Alike::no, taken = false, fits = true;
  for (int i = 0; i < count; ++i) {
    if (alike == Alike::equal) same = same && take_extents(r, *part[i], taken);
    fits = fits && !late(*part[i], now);
  }
  if (!same) [[unlikely]]
    join_extents(r, part, count, name);
  if (fits) [[likely]]
    return absorb(r, part, count);
  AnyTensor value = operate_now(op, part, count, r.type->element);
  reinterpret_cast<AnyTensor&>(r.value).swap(value);
}

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
      typename PartWords<Ps, J::joint.evaluate[I], J::joint.mark[I]>::type...,
      expr::detail::WordList<expr::op_word<Op>()>>::type;
};

/// Everything about an operation on parts that is known at compile time.
template <class Op, class... Ps>
struct Mapped {
  static constexpr int count = static_cast<int>(sizeof...(Ps));
  using shape = typename BroadcastAll<Op, typename Ps::shape_type...>::type;
  using compute = typename expr::detail::CommonCompute<Ps...>::type;
  using element =
      std::conditional_t<Op::result == op::Result::boolean, bool, typename ElementOf<Ps...>::type>;
  static constexpr expr::PartFacts facts[] = {expr::detail::facts_of<Ps>()...};
  static constexpr expr::Joint joint = expr::decide(facts, count, known_extents<shape>());
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
template <class S, class... Ps>
constexpr Alike alike() {
  if constexpr (S::is_static && (Ps::is_static && ...)) return Alike::known;
  else if constexpr (((std::is_same_v<Ps, S> || std::is_same_v<Ps, Shape<>>)&&...))
    return Alike::equal;
  else return Alike::no;
}
template <class Op, class C, class R, class... Ps>
void join_parts(R& r, Ps&&... p) {
  ExpressionHead* const part[] = {&p.head()...};
  constexpr Alike how =
      alike<typename R::shape_type, typename std::remove_cvref_t<Ps>::shape_type...>();
  join(r.head(), part, static_cast<int>(sizeof...(Ps)), how, *op_pointer(expr::OpTag<Op, C>{}),
       Op::name);
}
template <class Op, class M, class R, int... I, class... Ps>
void join_prepared(R& r, std::integer_sequence<int, I...>, Ps&... p) {
  join_parts<Op, typename M::compute>(r, prepared<M::joint.evaluate[I]>(p)...);
}

/// The expression Op(p...) of parts.
template <class Op, class... Ps>
auto combine(Ps&&... p) {
  using M = Mapped<Op, std::remove_cvref_t<Ps>...>;
  check_operands<Op, typename M::compute, std::remove_cvref_t<Ps>...>();
  typename M::type r;
  if constexpr (M::joint.evaluate[0] || M::joint.evaluate[1] || M::joint.evaluate[2])
    join_prepared<Op, M>(r, std::make_integer_sequence<int, M::count>{}, p...);
  else join_parts<Op, typename M::compute>(r, p...);
  return r;
}

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
