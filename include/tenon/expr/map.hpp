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

/// A number among the operands; it takes the tensors' element type.
template <class T>
class NumberPart {
 public:
  using tree = ScalarTree<T>;
  using element = T;
  using shape_type = Shape<>;
  using compute = typename tree::compute;

  explicit NumberPart(double x) : number_(x) {}
  bool joins(Context) const { return true; }
  template <class>
  static constexpr unsigned alike() {
    return leaves_alike;
  }
  void move_to(Record**, double* scalar) const { *scalar = number_; }
  Part part() const {
    return {{.number = number_}, &TypeOf<tree, T, Shape<>>::value, PartKind::number};
  }

 private:
  double number_;
};

template <class T, class X>
decltype(auto) part_of(X&& x) {
  if constexpr (Number<X>) {
    return NumberPart<T>(static_cast<double>(x));
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
AnyTensor operate_now(const OpInfo& op, const Part* part, int count, Dtype dtype);

/// The extents of an element-wise result; what is `dyn` is checked now.
inline void join_extents(ExpressionHead& r, const Part* part, int count, const char* name) {
  Extents all = part[0].extents(name), known = part[0].type().known;
  for (int i = 1; i < count; ++i) {
    const ExpressionType& t = part[i].type();
    all = broadcast_checked(name, all, known.extent, part[i].extents(name), t.known.extent);
    known = broadcast(known, t.known).extents;
  }
  r.set_extents(all.extent);
}
/// Whether a part cannot join a statement built now: it holds its value already, or belongs to
/// another context, built while paused or under another recorder. Leaves and numbers belong to any.
inline bool late(const ExpressionHead& p, Context now = Context::current()) {
  return p.context == closed || (!p.type->is_value && !(p.context == now));
}
/// Moves handles, scalars and flags of parts into r, one after the other. A product is leaf 0.
inline void absorb(ExpressionHead& r, const Part* part, int count) {
  Record** to = r.handle() + (r.type->facts.product ? 1 : 0);
  double* scalar = r.scalar();
  for (int i = 0; i < count; ++i) {
    const ExpressionType& t = part[i].type();
    if (part[i].kind == PartKind::leaf) {
      *to++ = AnyTensor::retained(part[i].leaf);
      continue;
    }
    if (part[i].kind == PartKind::number) {
      *scalar++ = part[i].number;
      continue;
    }
    ExpressionHead& p = *part[i].head;
    if (p.moved) [[unlikely]]  // std::move(e) + std::move(e)
      fail_moved();
    Record** from = p.handle();
    int k = 0;
    if (t.facts.product) [[unlikely]] {
      r.handle()[r.type->leaves] = from[t.leaves],
      r.handle()[r.type->leaves + 1] = from[t.leaves + 1];
      r.flags = p.flags, k = 1;
    }
    for (; k < t.leaves; ++k) *to++ = from[k];
    for (k = 0; k < t.scalars; ++k) *scalar++ = p.scalar()[k];
    p.set_moved();
  }
}
/// Fills r, the expression of an operation on parts, whatever they are; those that cannot fuse are
/// computed at once.
inline __attribute__((noinline)) void join(ExpressionHead& r, const Part* part, int count,
                                           const OpInfo& op, const char* name) {
  const Context now = r.context = Context::current();
  std::memset(r.handle(), 0, static_cast<std::size_t>(r.type->handles) * sizeof(Record*));
  r.moved = false;
  bool fits = true, known = true;
  for (int i = 0; i < count; ++i) {
    fits = fits && !(part[i].kind == PartKind::expression && late(*part[i].head, now));
    known = known && part[i].type().is_static;
  }
  if (!known) join_extents(r, part, count, name);
  if (fits) [[likely]]
    return absorb(r, part, count);
  AnyTensor value = operate_now(op, part, count, r.type->element);
  reinterpret_cast<AnyTensor&>(r.value).swap(value);
  r.context = closed, r.flags = 0;
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
template <class S, class P>
TENON_INLINE bool same_extents([[maybe_unused]] const Index* e, [[maybe_unused]] const P& p) {
  bool same = true;
  if constexpr (!std::is_same_v<typename P::shape_type, Shape<>>)
    for (int i = 0; i < S::rank; ++i) same = same && e[i] == p.dynamic()[i];
  return same;
}
template <class S, class P, class... Ps>
TENON_INLINE const Index* first_extents(const P& p, const Ps&... rest) {
  if constexpr (std::is_same_v<typename P::shape_type, S>) return p.dynamic();
  else return first_extents<S>(rest...);
}
// Whether no expression comes twice: std::move(e) + std::move(e).
template <class P, class Q>
TENON_INLINE bool differ([[maybe_unused]] const P& p, [[maybe_unused]] const Q& q) {
  if constexpr (std::is_same_v<P, Q> && is_expression<P>) return &p != &q;
  else return true;
}
template <class P, class... Ps>
TENON_INLINE bool all_differ(const P& p, const Ps&... rest) {
  if constexpr (sizeof...(Ps) == 0) return true;
  else return (differ(p, rest) && ...) && all_differ(rest...);
}
template <class P, class... Ps>
TENON_INLINE void move_parts(Record** handle, double* scalar, P& p, Ps&... rest) {
  p.move_to(handle, scalar);
  if constexpr (sizeof...(Ps) > 0)
    move_parts(handle + P::tree::handles, scalar + P::tree::scalars, rest...);
}
/// The short way of join: all parts fuse, none holds a product, and those that have axes have the
/// result's. False, and nothing is done, where it does not apply.
template <class R, class... Ps>
TENON_INLINE bool join_short(R& r, Ps&... p) {
  using S = typename R::shape_type;
  const Context now = Context::current();
  if (!(p.joins(now) && ...) || !all_differ(p...)) return false;
  if constexpr (!S::is_static) {
    const Index* e = first_extents<S>(p...);
    if (!(same_extents<S>(e, p) && ...)) return false;
    for (int i = 0; i < S::rank; ++i) r.head().dynamic()[i] = e[i];
  }
  r.head().context = now;
  r.head().flags = (p.template alike<S>() & ...);
  r.head().moved = false;
  move_parts(r.head().handle(), reinterpret_cast<double*>(r.head().handle() + R::tree::handles),
             p...);
  return true;
}
/// Whether all is known about the extents: they are static, or those of all parts that have axes
/// are of the result's type.
template <class S, class... Ps>
constexpr bool alike() {
  return (S::is_static && (Ps::is_static && ...)) ||
         ((std::is_same_v<Ps, S> || std::is_same_v<Ps, Shape<>>)&&...);
}
/// The short way is compiled into every operator: only small statements feel what it saves.
inline constexpr int short_join = 5;
template <class Op, class C, class R, class... Ps>
void join_parts(R& r, Ps&&... p) {
  if constexpr (!R::tree::facts.product && R::tree::handles + R::tree::scalars <= short_join &&
                alike<typename R::shape_type, typename std::remove_cvref_t<Ps>::shape_type...>())
    if (join_short(r, p...)) [[likely]]
      return;
  const Part part[] = {p.part()...};
  join(r.head(), part, static_cast<int>(sizeof...(Ps)), *op_pointer(expr::OpTag<Op, C>{}),
       Op::name);
}
template <class Op, class M, class R, int... I, class... Ps>
void join_prepared(R& r, std::integer_sequence<int, I...>, Ps&... p) {
  join_parts<Op, typename M::compute>(r, prepared<M::joint.evaluate[I]>(p)...);
}

/// The expression Op(p...) of parts. Its type is written down: clang 16 makes a function whose type
/// it deduces move its result.
template <class Op, class... Ps>
typename Mapped<Op, std::remove_cvref_t<Ps>...>::type combine(Ps&&... p) {
  using M = Mapped<Op, std::remove_cvref_t<Ps>...>;
  check_operands<Op, typename M::compute, std::remove_cvref_t<Ps>...>();
  typename M::type r{Joining{}};
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
