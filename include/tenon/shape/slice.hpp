// SPDX-License-Identifier: Apache-2.0
// Slices and index lists: which elements x(1, slice(0, 8, 2), every) names, by NumPy's rules.
#pragma once
#include <tenon/shape/broadcast.hpp>

#include <limits>
#include <utility>

namespace tenon::inline TENON_ISA {

/// A bound of a slice that was left out.
inline constexpr Index open = std::numeric_limits<Index>::min();

/// start : stop : step, as in NumPy: negative bounds count from the end, bounds beyond the ends are
/// moved there, a negative step walks backwards.
struct Slice {
  Index start = open, stop = open, step = 1;
};
/// The same, known at compile time: what it leaves of a static extent is static.
template <Index Start, Index Stop, Index Step>
struct StaticSlice {
  operator Slice() const { return {Start, Stop, Step}; }
};
/// The whole axis.
struct All {
  operator Slice() const { return {}; }
};
inline constexpr All every{};

/// slice(2, 8), slice(8, open, -1): elements start, start + step, ... before stop.
constexpr Slice slice(Index start, Index stop, Index step = 1) { return {start, stop, step}; }
/// slice<2, 8>(): the same at compile time.
template <Index Start, Index Stop, Index Step = 1>
constexpr StaticSlice<Start, Stop, Step> slice() {
  static_assert(Step != 0, "tenon: the step of a slice must not be 0");
  return {};
}

/// The first position, the step and how many elements a slice takes of an axis. Source: NumPy
/// reference, Indexing.
struct SliceRange {
  Index first, step, count;
};
constexpr SliceRange slice_range(const Slice& s, Index extent) {
  const bool back = s.step < 0;
  auto bound = [&](Index b, Index missing) {
    if (b == open) return missing;
    if (b < 0) b += extent;
    if (b < 0) return back ? Index{-1} : Index{0};
    if (b >= extent) return back ? extent - 1 : extent;
    return b;
  };
  const Index first = bound(s.start, back ? extent - 1 : 0),
              last = bound(s.stop, back ? -1 : extent);
  SliceRange r{first, s.step, 0};
  // Unsigned, so that steps near the ends of the range do not overflow.
  const auto far = static_cast<std::uint64_t>(back ? first - last : last - first);
  const auto step =
      back ? 0 - static_cast<std::uint64_t>(s.step) : static_cast<std::uint64_t>(s.step);
  if (back ? first > last : last > first) r.count = static_cast<Index>((far - 1) / step + 1);
  if (r.count <= 1) r.step = 1;
  if (r.count == 0) r.first = 0;
  return r;
}

/// What an index list takes of a tensor: per axis the first position, the step and the count; axes
/// that an integer took are `dropped`.
struct Selection {
  int rank = 0;
  Index first[max_rank] = {}, step[max_rank] = {}, count[max_rank] = {};
  std::uint32_t dropped = 0;

  /// Everything of a tensor with these extents.
  static constexpr Selection everything(const Extents& e) {
    Selection s;
    s.rank = e.rank;
    for (int i = 0; i < e.rank; ++i) s.step[i] = 1, s.count[i] = e.extent[i];
    return s;
  }
  /// The extents of what is taken.
  constexpr Extents extents() const {
    Extents e;
    for (int i = 0; i < rank; ++i)
      if (!(dropped >> i & 1)) e.extent[e.rank++] = count[i];
    return e;
  }
  /// The extents with dropped axes as 1.
  constexpr Extents full_extents() const {
    Extents e;
    e.rank = rank;
    for (int i = 0; i < rank; ++i) e.extent[i] = count[i];
    return e;
  }
  /// The first element and the strides, given those of the tensor.
  constexpr Index offset(const Index* strides) const {
    Index o = 0;
    for (int i = 0; i < rank; ++i) o += count[i] ? first[i] * strides[i] : 0;
    return o;
  }

  /// Takes position i of an axis; negative counts from the end. Errors: Error::index.
  void take(const char* name, int axis, Index i) {
    const Index extent = count[axis], k = i < 0 ? i + extent : i;
    if (k < 0 || k >= extent) [[unlikely]]
      fail(Error::index,
           {name, ": index ", i, " is out of range on axis ", axis, " of extent ", extent});
    first[axis] = k, count[axis] = 1;
    dropped |= 1u << axis;
  }
  /// Takes a slice of an axis. Errors: a step of 0 -> Error::value.
  void take(const char* name, int axis, const Slice& s) {
    if (s.step == 0) [[unlikely]]
      fail(Error::value, {name, ": the step of a slice is 0 on axis ", axis});
    const SliceRange r = slice_range(s, count[axis]);
    first[axis] = r.first, step[axis] = r.step, count[axis] = r.count;
  }
};

namespace detail {

template <class I>
inline constexpr bool is_position = std::is_integral_v<I> && !std::is_same_v<I, bool>;

// The extent that an index leaves: -2 drops the axis.
template <class I>
struct IndexExtent {
  static_assert(is_position<I> || std::is_same_v<I, Slice>,
                "tenon: an index is an integer, a slice or `every`");
  static constexpr Index left(Index) { return is_position<I> ? -2 : dyn; }
};
template <>
struct IndexExtent<All> {
  static constexpr Index left(Index extent) { return extent; }
};
template <Index Start, Index Stop, Index Step>
struct IndexExtent<StaticSlice<Start, Stop, Step>> {
  static constexpr Index left(Index extent) {
    return extent == dyn ? dyn : slice_range({Start, Stop, Step}, extent).count;
  }
};

template <class S, class... Is>
struct SelectedExtents {
  static constexpr Extents extents = [] {
    constexpr int count = static_cast<int>(sizeof...(Is));
    Extents e;
    int axis = 0;
    [[maybe_unused]] auto add = [&](Index left) {
      if (left != -2) e.extent[e.rank++] = left;
      ++axis;
    };
    (add(IndexExtent<Is>::left(S::known[axis])), ...);
    for (int i = count; i < S::rank; ++i) e.extent[e.rank++] = S::known[i];
    return e;
  }();
};

template <class Holder, class Sequence>
struct ShapeOfExtents;
template <class Holder, int... I>
struct ShapeOfExtents<Holder, std::integer_sequence<int, I...>> {
  using type = Shape<Holder::extents.extent[I]...>;
};
template <class Holder>
using ShapeOfHolder =
    typename ShapeOfExtents<Holder, std::make_integer_sequence<int, Holder::extents.rank>>::type;
/// The Shape of what indices of these types leave of S.
template <class S, class... Is>
using SelectedShape = ShapeOfHolder<SelectedExtents<S, Is...>>;

}  // namespace detail

/// The selection of an index list; axes without an index are taken whole. Errors: Error::index,
/// Error::value.
template <class... Is>
Selection select_indices(const char* name, const Extents& e, const Is&... index) {
  Selection s = Selection::everything(e);
  if (static_cast<int>(sizeof...(Is)) > e.rank) [[unlikely]]
    fail(Error::index, {name, ": ", sizeof...(Is), " indices for a tensor of rank ", e.rank});
  [[maybe_unused]] int axis = 0;
  [[maybe_unused]] auto one = [&](const auto& i) {
    using I = std::remove_cvref_t<decltype(i)>;
    if constexpr (detail::is_position<I>) s.take(name, axis++, static_cast<Index>(i));
    else if constexpr (std::is_same_v<I, All>) ++axis;
    else s.take(name, axis++, static_cast<Slice>(i));
  };
  (one(index), ...);
  return s;
}

}  // namespace tenon
