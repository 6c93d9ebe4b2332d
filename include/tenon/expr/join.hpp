// SPDX-License-Identifier: Apache-2.0
// Joining at run time: parts give their leaves and numbers to the expression that is built. What
// does not depend on types lives in plain functions, since every operator of a statement joins.
#pragma once
#include <tenon/expr/parts.hpp>

namespace tenon::inline TENON_ISA::detail {

/// Op on parts that cannot fuse, computed at once under the current context
/// (kernel/materialise.hpp).
AnyTensor operate_now(const OpInfo& op, const Part* part, int count, Dtype dtype);

/// An operation as joins see it.
struct Operation {
  const OpInfo* info;
  const char* name;
};
template <class Op, class C>
inline constexpr Operation operation_of = {op_pointer(expr::OpTag<Op, C>{}), Op::name};

// The parts one after the other: for tensors whose rank is not that of their type, and to say what
// does not broadcast.
TENON_COLD inline void join_extents_in_turn(ExpressionHead& r, const Part* part, int count,
                                            const char* name) {
  Extents all = part[0].extents(name), known = part[0].type().known;
  for (int i = 1; i < count; ++i) {
    const ExpressionType& t = part[i].type();
    all = broadcast_checked(name, all, known.extent, part[i].extents(name), t.known.extent);
    known = broadcast(known, t.known).extents;
  }
  r.set_extents(all.extent);
}
/// The extents of an element-wise result; what is `dyn` is checked now.
inline void join_extents(ExpressionHead& r, const Part* part, int count, const char* name) {
  Extents all = r.type->known;
  unsigned settled = 0;  // axes, counted from the end
  for (int i = 0; i < count; ++i) {
    const Extents &known = part[i].type().known, own = part[i].extents(name);
    bool fits = own.rank == known.rank;
    for (int k = 0, axis = own.rank - 1; fits && k < own.rank; ++k, --axis) {
      if (known.extent[k] == 1) continue;
      Index& e = all.extent[all.rank - 1 - axis];
      fits = !(settled >> axis & 1) || e == own.extent[k];
      e = own.extent[k], settled |= 1u << axis;
    }
    if (!fits) [[unlikely]]
      return join_extents_in_turn(r, part, count, name);
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
                                           const Operation& op) {
  const Context now = r.context = Context::current();
  std::memset(r.handle(), 0, static_cast<std::size_t>(r.type->handles) * sizeof(Record*));
  r.moved = false;
  bool fits = true, known = true;
  for (int i = 0; i < count; ++i) {
    fits = fits && !(part[i].kind == PartKind::expression && late(*part[i].head, now));
    known = known && part[i].type().is_static;
  }
  if (!known) join_extents(r, part, count, op.name);
  if (fits) [[likely]]
    return absorb(r, part, count);
  AnyTensor value = operate_now(*op.info, part, count, r.type->element);
  reinterpret_cast<AnyTensor&>(r.value).swap(value);
  r.context = closed, r.flags = 0;
}

/// Whether parts join in the short way: all is known about the extents, which are static, or those
/// of all parts that have axes are of the result's type.
template <class Tr, class S, class... Ps>
inline constexpr bool is_short = !Tr::facts.product && Tr::handles + Tr::scalars <= short_join &&
                                 ((S::is_static && (Ps::shape_type::is_static && ...)) ||
                                  ((std::is_same_v<typename Ps::shape_type, S> ||
                                    std::is_same_v<typename Ps::shape_type, Shape<>>)&&...));

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
  if constexpr (std::is_same_v<P, Q> && std::is_base_of_v<ExpressionPart, P>) return !p.is(q);
  else return true;
}
template <class P, class... Ps>
TENON_INLINE bool all_differ(const P& p, const Ps&... rest) {
  if constexpr (sizeof...(Ps) == 0) return true;
  else return (differ(p, rest) && ...) && all_differ(rest...);
}
template <class P, class... Ps>
TENON_INLINE void move_parts(Record** handle, double* scalar, const P& p, const Ps&... rest) {
  p.move_to(handle, scalar);
  if constexpr (sizeof...(Ps) > 0) move_parts(handle + P::handles, scalar + P::scalars, rest...);
}
/// The long way of join: any parts.
template <class... Ps>
__attribute__((noinline)) void join_long(ExpressionHead& r, const Operation& op, Ps... p) {
  const Part part[] = {p.part()...};
  join(r, part, static_cast<int>(sizeof...(Ps)), op);
}
template <class P>
TENON_INLINE auto without_type(const P& p) {
  if constexpr (std::is_base_of_v<ExpressionPart, P>) return ExpressionPart(p);
  else return p;
}
/// The short way of join: all parts fuse, none holds a product, and those that have axes have the
/// result's.
template <class S, class... Ps>
__attribute__((noinline)) void join_short(ExpressionHead& r, const Operation& op, Ps... p) {
  constexpr int handles = (Ps::handles + ...), scalars = (Ps::scalars + ...);
  const Context now = Context::current();
  bool fits = (p.joins(now) && ...) && all_differ(p...);
  if constexpr (!S::is_static) {
    if (fits) {
      const Index* e = first_extents<S>(p...);
      Index* to = reinterpret_cast<Index*>(r.handle() + handles + scalars);
      fits = (same_extents<S>(e, p) && ...);
      for (int i = 0; i < S::rank; ++i) to[i] = e[i];
    }
  }
  if (!fits) [[unlikely]]
    return join_long(r, op, without_type(p)...);
  r.context = now;
  r.flags = (p.template alike<S>() & ...);
  r.moved = false;
  move_parts(r.handle(), reinterpret_cast<double*>(r.handle() + handles), p...);
}

}  // namespace tenon::detail
