// SPDX-License-Identifier: Apache-2.0
// Typed shape functions: permute, swapaxes, flip, reshape, squeeze, unsqueeze, broadcast_to,
// concatenate, stack, split. What is static is checked and computed at compile time. The work is
// done by rearrange.hpp.
#pragma once
#include <tenon/expr/contract.hpp>
#include <tenon/function/rearrange.hpp>

#include <array>

namespace tenon::inline TENON_ISA {

/// A tensor, an expression or a view: what has a value, as opposed to a placeholder inside `fuse`.
template <class X>
concept TensorValue = TensorExpr<X> && !std::is_same_v<std::remove_cvref_t<X>, expr::Symbol>;

/// Compile errors, undefined on purpose; see expr/rules.hpp.
template <class Operation, class Axes, int Rank>
struct axes_are_not_a_permutation;
template <class Operation, class From, class To>
struct element_counts_differ;
template <class Operation, class Axis, Index Extent, Index Pieces>
struct extent_is_not_divisible;

namespace op {
/// Names for messages.
struct Permute {
  static constexpr const char* name = "permute";
};
struct Flip {
  static constexpr const char* name = "flip";
};
struct Reshape {
  static constexpr const char* name = "reshape";
};
struct Squeeze {
  static constexpr const char* name = "squeeze";
};
struct Unsqueeze {
  static constexpr const char* name = "unsqueeze";
};
struct BroadcastTo {
  static constexpr const char* name = "broadcast_to";
};
struct Concatenate {
  static constexpr const char* name = "concatenate";
};
struct Stack {
  static constexpr const char* name = "stack";
};
struct Split {
  static constexpr const char* name = "split";
};
}  // namespace op

namespace detail {

/// The axis counted from the front.
template <class Op, int Axis, int Rank>
constexpr int axis_of() {
  if constexpr (Axis < -Rank || Axis >= Rank)
    static_assert(sizeof(axis_is_out_of_range<Op, AxisTag<Axis>, Rank>) > 0,
                  "tenon: axis is out of range");
  return Axis < 0 ? Axis + Rank : Axis;
}

template <int... Axes>
constexpr bool is_permutation(int rank) {
  const int axes[] = {Axes..., 0};
  constexpr int count = static_cast<int>(sizeof...(Axes));
  int seen = 0;
  for (int i = 0; i < count; ++i) {
    const int a = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (a >= 0 && a < rank) seen |= 1 << a;
  }
  return count == rank && seen == (1 << rank) - 1;
}
template <class S, int... Axes>
struct PermutedShape {
  static constexpr int rank = S::rank;
  static constexpr bool fits = is_permutation<Axes...>(rank);
  static constexpr bool check() {
    if constexpr (!fits)
      return sizeof(axes_are_not_a_permutation<op::Permute, AxisTag<Axes...>, rank>) > 0;
    return true;
  }
  static_assert(check(), "tenon: permute: the axes are not a permutation of all axes");
  static constexpr Extents extents = [] {
    Extents e;
    e.rank = rank;
    const int axes[] = {Axes..., 0};
    for (int i = 0; i < rank && fits; ++i)
      e.extent[i] = S::known[axes[i] < 0 ? axes[i] + rank : axes[i]];
    return e;
  }();
};

/// S with the extent of one axis replaced; Left == -2 takes the axis out.
template <class S, int Axis, Index Left>
struct ReplacedShape {
  static constexpr Extents extents = [] {
    Extents e;
    for (int i = 0; i < S::rank; ++i)
      if (i != Axis) e.extent[e.rank++] = S::known[i];
      else if (Left != -2) e.extent[e.rank++] = Left;
    return e;
  }();
};
template <class S, int Axis, Index Extent>
struct InsertedShape {
  static constexpr Extents extents = [] {
    Extents e;
    for (int i = 0; i <= S::rank; ++i) {
      if (i == Axis) e.extent[e.rank++] = Extent;
      if (i < S::rank) e.extent[e.rank++] = S::known[i];
    }
    return e;
  }();
};

/// Whether From can become To: equal numbers of elements where both are static, a whole number for
/// one dyn.
template <class From, class To>
constexpr bool counts_fit() {
  if constexpr (From::is_static) {
    Index from = 1, to = 1;
    int open_axes = 0;
    for (int i = 0; i < From::rank; ++i) from *= From::known[i];
    for (int i = 0; i < To::rank; ++i)
      if (To::known[i] == dyn) ++open_axes;
      else to *= To::known[i];
    if (open_axes == 0) return from == to;
    return to == 0 ? from == 0 : from % to == 0;
  }
  return true;
}

template <class To, class... Is>
Extents target_extents(Is... extents) {
  constexpr int open_axes = [] {
    int n = 0;
    for (int i = 0; i < To::rank; ++i) n += To::known[i] == dyn;
    return n;
  }();
  constexpr int given = static_cast<int>(sizeof...(Is));
  static_assert(given == open_axes || (given == 0 && open_axes == 1),
                "tenon: give one number for each dyn extent (one of them may be -1), or none if "
                "there is one");
  const Index number[] = {static_cast<Index>(extents)..., -1};
  Extents e;
  e.rank = To::rank;
  for (int i = 0, k = 0; i < To::rank; ++i)
    e.extent[i] = To::known[i] == dyn ? number[k++] : To::known[i];
  return e;
}

template <class X>
Tensor<element_of<X>, shape_of<X>> same_shape(AnyTensor t) {
  return Tensor<element_of<X>, shape_of<X>>(std::move(t));
}

/// The Shape of concatenated tensors: static where any is.
template <int Axis, class Op, class S, class... Ss>
struct JoinedShape {
  static constexpr bool ranks = ((Ss::rank == S::rank) && ...);
  static constexpr Extents extents = [] {
    Extents e = known_extents<S>();
    if constexpr (ranks) {
      (
          [&] {
            for (int i = 0; i < S::rank; ++i) {
              const Index n = Ss::known[i];
              if (i == Axis) e.extent[i] = e.extent[i] == dyn || n == dyn ? dyn : e.extent[i] + n;
              else if (e.extent[i] == dyn) e.extent[i] = n;
            }
          }(),
          ...);
    }
    return e;
  }();
  template <class R>
  static constexpr bool check() {
    if constexpr (R::rank != S::rank) {
      return sizeof(ranks_do_not_fit<Op, S::rank, R::rank>) > 0;
    } else {
      constexpr int bad = [] {
        for (int i = 0; i < S::rank; ++i)
          if (i != Axis && extents.extent[i] != R::known[i] && R::known[i] != dyn) return i;
        return -1;
      }();
      if constexpr (bad >= 0)
        return sizeof(extents_differ<Op, AxisTag<bad>, extents.extent[bad], R::known[bad]>) > 0;
      return true;
    }
  }
  static_assert((check<S>() && ... && check<Ss>()), "tenon: extents differ");
};

}  // namespace detail

/// The axes in another order, a view: axis i of y is axis Axes[i] of x.   permute(x, axis<0, 2, 1>)
template <TensorValue X, int... Axes>
auto permute(X&& x, AxisTag<Axes...>) {
  using S = detail::ShapeOf<detail::PermutedShape<shape_of<X>, Axes...>>;
  const int axes[] = {Axes..., 0};
  return Tensor<element_of<X>, S>(permute(expr::argument_value(std::forward<X>(x)),
                                          std::span<const int>(axes, sizeof...(Axes))));
}
/// Two axes exchanged, a view.
template <TensorValue X, int A, int B>
auto swapaxes(X&& x, AxisTag<A, B>) {
  using S = shape_of<X>;
  constexpr int a = detail::axis_of<op::Permute, A, S::rank>(),
                b = detail::axis_of<op::Permute, B, S::rank>();
  using R = detail::ReplacedShape<S, a, S::known[b]>;
  using Y = detail::ReplacedShape<detail::ShapeOf<R>, b, S::known[a]>;
  return Tensor<element_of<X>, detail::ShapeOf<Y>>(
      swapaxes(expr::argument_value(std::forward<X>(x)), a, b));
}
/// The axis backwards, a view.
template <TensorValue X, int A>
auto flip(X&& x, AxisTag<A>) {
  constexpr int a = detail::axis_of<op::Flip, A, shape_of<X>::rank>();
  return detail::same_shape<X>(flip(expr::argument_value(std::forward<X>(x)), a));
}

/// The same elements in other extents: reshape<Shape<dyn, 6>>(x, n) or reshape<Shape<dyn, 6>>(x).
/// The numbers stand for the dyn extents; one may be -1, found from the others. A view where x is
/// contiguous.
/// Errors: numbers of elements that differ (compile time where static, else Error::shape).
template <class To, TensorValue X, class... Is>
  requires(detail::is_shape<To> && (std::is_integral_v<Is> && ...))
auto reshape(X&& x, Is... extents) {
  if constexpr (!detail::counts_fit<shape_of<X>, To>())
    static_assert(sizeof(element_counts_differ<op::Reshape, shape_of<X>, To>) > 0,
                  "tenon: reshape: the numbers of elements differ");
  const Extents e = detail::target_extents<To>(extents...);
  return Tensor<element_of<X>, To>(reshape(expr::argument_value(std::forward<X>(x)), e));
}
/// reshape(x, Shape<2, dyn>{n})
template <TensorValue X, class To>
  requires detail::is_shape<To>
auto reshape(X&& x, To shape) {
  if constexpr (!detail::counts_fit<shape_of<X>, To>())
    static_assert(sizeof(element_counts_differ<op::Reshape, shape_of<X>, To>) > 0,
                  "tenon: reshape: the numbers of elements differ");
  return Tensor<element_of<X>, To>(
      reshape(expr::argument_value(std::forward<X>(x)), shape.extents()));
}

/// Without an axis of extent 1, a view.
template <TensorValue X, int A>
auto squeeze(X&& x, AxisTag<A>) {
  using S = shape_of<X>;
  constexpr int a = detail::axis_of<op::Squeeze, A, S::rank>();
  if constexpr (S::known[a] != 1 && S::known[a] != dyn)
    static_assert(sizeof(extents_differ<op::Squeeze, AxisTag<a>, S::known[a], 1>) > 0,
                  "tenon: squeeze: extent not 1");
  return Tensor<element_of<X>, detail::ShapeOf<detail::ReplacedShape<S, a, -2>>>(
      squeeze(expr::argument_value(std::forward<X>(x)), a));
}
/// With a new axis of extent 1, a view; the axis counts in the result.
template <TensorValue X, int A>
auto unsqueeze(X&& x, AxisTag<A>) {
  using S = shape_of<X>;
  constexpr int a = detail::axis_of<op::Unsqueeze, A, S::rank + 1>();
  return Tensor<element_of<X>, detail::ShapeOf<detail::InsertedShape<S, a, 1>>>(
      unsqueeze(expr::argument_value(std::forward<X>(x)), a));
}

/// x repeated along static extents of 1 and along new leading axes: a view with strides 0. A dyn
/// extent that is 1 at run time does not stretch.   broadcast_to<Shape<dyn, 3>>(x, n) or
/// broadcast_to(x, Shape<4, 3>{})
template <TensorValue X, class To>
  requires detail::is_shape<To>
auto broadcast_to(X&& x, To shape) {
  using S = shape_of<X>;
  if constexpr (S::rank > To::rank)
    static_assert(sizeof(ranks_do_not_fit<op::BroadcastTo, S::rank, To::rank>) > 0,
                  "tenon: broadcast_to: too few axes");
  constexpr int bad = [] {
    for (int i = 0; i < S::rank; ++i) {
      const Index from = S::known[i], to = To::known[To::rank - S::rank + i];
      if (from != 1 && from != dyn && to != dyn && from != to) return i;
    }
    return -1;
  }();
  if constexpr (bad >= 0)
    static_assert(
        sizeof(extents_do_not_broadcast<op::BroadcastTo, AxisTag<To::rank - S::rank + bad>,
                                        S::known[bad], To::known[To::rank - S::rank + bad]>) > 0,
        "tenon: broadcast_to: extents do not broadcast");
  const AnyTensor value = expr::argument_value(std::forward<X>(x));
  const Extents from = value.extents(), to = shape.extents();
  for (int i = 0; i < S::rank; ++i) {
    const int k = To::rank - S::rank + i;
    if (S::known[i] != 1 && from.extent[i] != to.extent[k]) [[unlikely]]
      fail_broadcast("broadcast_to", from, to, {k, from.extent[i], to.extent[k]});
  }
  return Tensor<element_of<X>, To>(broadcast_to(value, to));
}
template <class To, TensorValue X, class... Is>
  requires(detail::is_shape<To> && (std::is_integral_v<Is> && ...))
auto broadcast_to(X&& x, Is... extents) { return broadcast_to(std::forward<X>(x), To(extents...)); }

/// Tensors behind each other along an axis: concatenate(axis<0>, a, b, c).
/// Errors: other extents that differ (compile time where static, else Error::shape).
template <int A, TensorValue X, TensorValue... Xs>
auto concatenate(AxisTag<A>, X&& x, Xs&&... xs) {
  constexpr int a = detail::axis_of<op::Concatenate, A, shape_of<X>::rank>();
  if constexpr (!(std::is_same_v<element_of<X>, element_of<Xs>> && ...))
    static_assert(
        sizeof(dtypes_differ<op::Concatenate, element_of<X>, Type<void(element_of<Xs>...)>>) > 0,
        "tenon: concatenate: element types differ");
  using S = detail::ShapeOf<detail::JoinedShape<a, op::Concatenate, shape_of<X>, shape_of<Xs>...>>;
  const AnyTensor in[] = {expr::argument_value(std::forward<X>(x)),
                          expr::argument_value(std::forward<Xs>(xs))...};
  return Tensor<element_of<X>, S>(concatenate(std::span<const AnyTensor>(in), a));
}
/// Any number of tensors of one type.
template <int A, class T, class S>
auto concatenate(AxisTag<A>, const std::vector<Tensor<T, S>>& x) {
  constexpr int a = detail::axis_of<op::Concatenate, A, S::rank>();
  std::vector<AnyTensor> in(x.begin(), x.end());
  return Tensor<T, detail::ShapeOf<detail::ReplacedShape<S, a, dyn>>>(
      concatenate(std::span<const AnyTensor>(in), a));
}
/// Tensors side by side along a new axis, which counts in the result: stack(axis<0>, a, b).
template <int A, TensorValue X, TensorValue... Xs>
auto stack(AxisTag<A>, X&& x, Xs&&... xs) {
  constexpr int a = detail::axis_of<op::Stack, A, shape_of<X>::rank + 1>();
  if constexpr (!(std::is_same_v<element_of<X>, element_of<Xs>> && ...))
    static_assert(
        sizeof(dtypes_differ<op::Stack, element_of<X>, Type<void(element_of<Xs>...)>>) > 0,
        "tenon: stack: element types differ");
  using J = detail::ShapeOf<detail::JoinedShape<-1, op::Stack, shape_of<X>, shape_of<Xs>...>>;
  using S = detail::ShapeOf<detail::InsertedShape<J, a, static_cast<Index>(1 + sizeof...(Xs))>>;
  const AnyTensor in[] = {expr::argument_value(std::forward<X>(x)),
                          expr::argument_value(std::forward<Xs>(xs))...};
  return Tensor<element_of<X>, S>(stack(std::span<const AnyTensor>(in), a));
}
template <int A, class T, class S>
auto stack(AxisTag<A>, const std::vector<Tensor<T, S>>& x) {
  constexpr int a = detail::axis_of<op::Stack, A, S::rank + 1>();
  std::vector<AnyTensor> in(x.begin(), x.end());
  return Tensor<T, detail::ShapeOf<detail::InsertedShape<S, a, dyn>>>(
      stack(std::span<const AnyTensor>(in), a));
}

/// Equal pieces along an axis, as views: auto [a, b] = split<2>(x, axis<-1>).
/// Errors: the extent is not a multiple of the number of pieces (compile time where static, else
/// Error::shape).
template <int Pieces, TensorValue X, int A>
auto split(X&& x, AxisTag<A>) {
  using S = shape_of<X>;
  static_assert(Pieces > 0, "tenon: split<pieces>: at least one piece");
  constexpr int a = detail::axis_of<op::Split, A, S::rank>();
  constexpr Index n = S::known[a];
  if constexpr (n != dyn && n % Pieces != 0)
    static_assert(sizeof(extent_is_not_divisible<op::Split, AxisTag<a>, n, Pieces>) > 0,
                  "tenon: split: the extent is not a multiple of the number of pieces");
  using Y = Tensor<element_of<X>,
                   detail::ShapeOf<detail::ReplacedShape<S, a, (n == dyn ? dyn : n / Pieces)>>>;
  const AnyTensor value = expr::argument_value(std::forward<X>(x));
  const Index extent = value.record("split").extents[a];
  if (extent % Pieces != 0) [[unlikely]]
    fail(Error::shape, {"split: extent ", extent, " on axis ", a, " of ", value.extents(),
                        " does not divide into ", Pieces, " pieces"});
  std::array<Y, static_cast<std::size_t>(Pieces)> out;
  Selection s = Selection::everything(value.extents());
  s.count[a] = extent / Pieces;
  for (Y& y : out) {
    y = Y(select(value, s));
    s.first[a] += s.count[a];
  }
  return out;
}

}  // namespace tenon
