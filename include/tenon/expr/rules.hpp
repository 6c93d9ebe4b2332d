// SPDX-License-Identifier: Apache-2.0
// Compile-time shape rules: broadcasting and reduction of Shape types, and the words of their
// errors.
#pragma once
#include <tenon/expr/tree.hpp>

namespace tenon::inline TENON_ISA {

/// Compile errors name one of these, undefined on purpose: the compiler's first line then shows the
/// operation, the axis of the result and both extents.
template <class Operation, class Axis, Index Left, Index Right>
struct extents_do_not_broadcast;
template <class Operation, class Axis, Index Left, Index Right>
struct extents_differ;
template <class Operation, class Axis, int Rank>
struct axis_is_out_of_range;
template <class Operation, class... Types>
struct dtypes_differ;
template <class Operation, class T>
struct dtype_is_not_supported;
template <class Operation, int Left, int Right>
struct ranks_do_not_fit;

namespace detail {

template <class S>
constexpr Extents known_extents() {
  Extents e;
  e.rank = S::rank;
  for (int i = 0; i < S::rank; ++i) e.extent[i] = S::known[i];
  return e;
}

template <class Holder, class Sequence>
struct ShapeFrom;
template <class Holder, int... I>
struct ShapeFrom<Holder, std::integer_sequence<int, I...>> {
  using type = Shape<Holder::extents.extent[I]...>;
};
template <class Holder>
using ShapeOf =
    typename ShapeFrom<Holder, std::make_integer_sequence<int, Holder::extents.rank>>::type;

template <class Op, class A, class B>
struct BroadcastShape {
  static constexpr Broadcast result = broadcast(known_extents<A>(), known_extents<B>());
  static constexpr Extents extents = result.extents;
  static constexpr bool check() {
    if constexpr (!result.mismatch.ok())
      return sizeof(extents_do_not_broadcast<Op, AxisTag<result.mismatch.axis>,
                                             result.mismatch.left, result.mismatch.right>) > 0;
    return true;
  }
  static_assert(check(), "tenon: operands do not broadcast");
};
template <class Op, class A, class B>
struct BroadcastType {
  using type = ShapeOf<BroadcastShape<Op, A, B>>;
};
template <class Op, class A>
struct BroadcastType<Op, A, A> {
  using type = A;
};
template <class Op, class A>
  requires(A::rank > 0)
struct BroadcastType<Op, A, Shape<>> {
  using type = A;
};
template <class Op, class A>
  requires(A::rank > 0)
struct BroadcastType<Op, Shape<>, A> {
  using type = A;
};

/// Reduced axes as bits counted from the end; no axes means all.
template <class Op, int Rank, int... Axes>
constexpr std::uint8_t axes_from_end() {
  if constexpr (sizeof...(Axes) == 0) {
    return static_cast<std::uint8_t>((1 << Rank) - 1);
  } else {
    constexpr int axes[] = {Axes...};
    constexpr int bad = [] {
      for (int k = 0; k < static_cast<int>(sizeof...(Axes)); ++k)
        if (axes[k] < -Rank || axes[k] >= Rank) return k;
      return -1;
    }();
    if constexpr (bad >= 0) {
      static_assert(sizeof(axis_is_out_of_range<Op, AxisTag<axes[bad]>, Rank>) > 0);
      return 0;
    } else {
      int mask = 0;
      for (int a : axes) mask |= 1 << (Rank - 1 - (a < 0 ? a + Rank : a));
      return static_cast<std::uint8_t>(mask);
    }
  }
}

template <class S, unsigned FromEnd, bool Keep>
struct ReducedShape {
  static constexpr Extents extents = [] {
    Extents e;
    for (int i = 0; i < S::rank; ++i) {
      bool gone = FromEnd >> (S::rank - 1 - i) & 1;
      if (gone && !Keep) continue;
      e.extent[e.rank++] = gone ? 1 : S::known[i];
    }
    return e;
  }();
};
template <class S, unsigned FromEnd>
struct RowExtents {
  static constexpr Extents extents = [] {
    Extents e;
    for (int i = 0; i < S::rank; ++i)
      if (FromEnd >> (S::rank - 1 - i) & 1) e.extent[e.rank++] = S::known[i];
    return e;
  }();
};

/// The run-time side of broadcasting typed shapes: what is `dyn` in either must be equal unless the
/// other is a static 1. Returns the extents of the result.
inline Extents broadcast_checked(const char* name, const Extents& a, const Index* known_a,
                                 const Extents& b, const Index* known_b) {
  Extents out;
  out.rank = a.rank > b.rank ? a.rank : b.rank;
  for (int i = 0; i < out.rank; ++i) {
    const int ia = i - (out.rank - a.rank), ib = i - (out.rank - b.rank);
    const bool one_a = ia < 0 || known_a[ia] == 1, one_b = ib < 0 || known_b[ib] == 1;
    const Index ea = ia < 0 ? 1 : a.extent[ia], eb = ib < 0 ? 1 : b.extent[ib];
    out.extent[i] = one_a ? eb : ea;
    if (!one_a && !one_b && ea != eb) [[unlikely]]
      fail_broadcast(name, a, b, {i, ea, eb});
  }
  return out;
}

}  // namespace detail
}  // namespace tenon
