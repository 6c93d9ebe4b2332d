// SPDX-License-Identifier: Apache-2.0
// Shape: extents known at compile time live in the type, those known at run time cost one number
// each.
#pragma once
#include <tenon/core/config.hpp>

#include <cstddef>
#include <type_traits>

namespace tenon::inline TENON_ISA {

/// Extents by value with a run-time rank of at most max_rank: what erased code passes around.
struct Extents {
  int rank = 0;
  Index extent[max_rank] = {};

  constexpr Index operator[](int axis) const { return extent[axis]; }
  constexpr Index size() const {
    Index n = 1;
    for (int i = 0; i < rank; ++i) n *= extent[i];
    return n;
  }
  constexpr bool operator==(const Extents& other) const {
    if (rank != other.rank) return false;
    for (int i = 0; i < rank; ++i)
      if (extent[i] != other.extent[i]) return false;
    return true;
  }
};

namespace detail {
template <int Count>
struct Stored {
  Index extent[Count]{};
};
template <>
struct Stored<0> {};
}  // namespace detail

/// Extents of a tensor, outermost axis first; each is a number >= 0 or `dyn`.
/// Shape<64, 784> is empty; Shape<dyn, 784>{32} stores the 32.
template <Index... Es>
class Shape {
  static_assert(((Es >= dyn) && ...), "tenon: an extent of Shape must be >= 0 or tenon::dyn");
  static_assert(sizeof...(Es) <= max_rank, "tenon: a Shape has at most 8 axes");
  static constexpr int stored_count = ((Es == dyn ? 1 : 0) + ... + 0);
  [[no_unique_address]] detail::Stored<stored_count> stored_{};

 public:
  static constexpr int rank = static_cast<int>(sizeof...(Es));
  static constexpr bool is_static = stored_count == 0;
  /// The extents as the type knows them, `dyn` where it does not (one more element, so rank 0
  /// compiles).
  static constexpr Index known[sizeof...(Es) + 1] = {Es..., 0};

  constexpr Shape() = default;
  /// The run-time extents, in axis order.
  template <class... Is>
    requires(sizeof...(Is) == stored_count && stored_count > 0)
  constexpr explicit Shape(Is... extents) : stored_{{static_cast<Index>(extents)...}} {}
  /// From extents that are known to fit.
  constexpr explicit Shape(const Extents& all) : Shape(of(all.extent)) {}
  static constexpr Shape of(const Index* all) {
    Shape s;
    if constexpr (!is_static) {
      int slot = 0;
      for (int i = 0; i < rank; ++i)
        if (known[i] == dyn) s.stored_.extent[slot++] = all[i];
    }
    return s;
  }

  constexpr Index operator[](int axis) const {
    if constexpr (!is_static) {
      if (known[axis] == dyn) {
        int slot = 0;
        for (int i = 0; i < axis; ++i) slot += known[i] == dyn;
        return stored_.extent[slot];
      }
    }
    return known[axis];
  }
  constexpr Extents extents() const {
    Extents e;
    e.rank = rank;
    for (int i = 0; i < rank; ++i) e.extent[i] = (*this)[i];
    return e;
  }
  constexpr Index size() const { return extents().size(); }
};

namespace detail {
template <class S>
inline constexpr bool is_shape = false;
template <Index... Es>
inline constexpr bool is_shape<Shape<Es...>> = true;
}  // namespace detail

/// An axis as a compile-time argument; negative counts from the end: sum(x, axis<-1>).
template <int... Axes>
struct AxisTag {};
template <int... Axes>
inline constexpr AxisTag<Axes...> axis{};

/// Reductions with this argument keep the reduced axes with extent 1.
struct KeepDims {};
inline constexpr KeepDims keepdims{};

}  // namespace tenon
