// SPDX-License-Identifier: Apache-2.0
#include <tenon/shape/slice.hpp>

#include "support/catch.hpp"

#include <vector>
using namespace tenon;

// The definition in words, for an axis of n elements: walk from start by step until stop is reached
// or passed, taking what exists. Bounds are first moved as the language reference says for
// s[i:j:k].
static std::vector<Index> walked(const Slice& s, Index n) {
  std::vector<Index> taken;
  Index start = s.start, stop = s.stop;
  if (s.step > 0) {
    if (start == open) start = 0;
    else if (start < 0) start = start + n < 0 ? 0 : start + n;
    if (stop == open || stop > n) stop = n;
    else if (stop < 0) stop += n;
    for (Index i = start; i < stop; i += s.step) taken.push_back(i);
  } else {
    if (start == open || start >= n) start = n - 1;
    else if (start < 0) start += n;
    if (stop == open) stop = -1;
    else if (stop < 0) stop = stop + n < -1 ? -1 : stop + n;
    for (Index i = start; i > stop && i >= 0; i += s.step) taken.push_back(i);
  }
  return taken;
}

TEST_CASE("slice: every start, stop and step takes what walking takes", "[shape]") {
  for (Index n = 0; n <= 5; ++n)
    for (Index start = -8; start <= 8; ++start)
      for (Index stop = -8; stop <= 8; ++stop)
        for (Index step : {-7, -2, -1, 1, 2, 3, 9}) {
          const Slice s{start == -8 ? open : start, stop == -8 ? open : stop, step};
          const SliceRange r = slice_range(s, n);
          std::vector<Index> taken;
          for (Index i = 0; i < r.count; ++i) taken.push_back(r.first + i * r.step);
          CAPTURE(n, start, stop, step);
          CHECK(taken == walked(s, n));
        }
}

TEST_CASE("slice: steps at the ends of the range of Index do not overflow", "[shape]") {
  const Index most = std::numeric_limits<Index>::max(), least = std::numeric_limits<Index>::min();
  CHECK(slice_range({0, open, most}, 10).count == 1);
  CHECK(slice_range({open, open, least}, 10).count == 1);
  CHECK(slice_range({open, open, least}, 10).first == 9);
  CHECK(slice_range({-most, most, 1}, 10).count == 10);
}

TEST_CASE("slice: integers drop an axis, slices keep it, missing indices take the axis whole",
          "[shape]") {
  const Extents e{3, {4, 5, 6}};
  const Selection s = select_indices("f", e, 1, slice(0, 5, 2));
  CHECK(s.extents() == Extents{2, {3, 6}});
  CHECK(s.full_extents() == Extents{3, {1, 3, 6}});
  const Index strides[] = {30, 6, 1};
  CHECK(s.offset(strides) == 30);
  CHECK(select_indices("f", e).extents() == e);
  CHECK(select_indices("f", e, -1, every, -2).extents() == Extents{1, {5}});
}

TEST_CASE("slice: the type knows what a static slice leaves of a static extent", "[shape]") {
  using S = Shape<4, dyn, 6>;
  static_assert(std::is_same_v<detail::SelectedShape<S>, S>);
  static_assert(std::is_same_v<detail::SelectedShape<S, int>, Shape<dyn, 6>>);
  static_assert(std::is_same_v<detail::SelectedShape<S, All, All, long>, Shape<4, dyn>>);
  static_assert(std::is_same_v<detail::SelectedShape<S, Slice, All>, Shape<dyn, dyn, 6>>);
  using Even = decltype(slice<0, open, 2>());
  static_assert(std::is_same_v<detail::SelectedShape<S, Even, Even, Even>, Shape<2, dyn, 3>>);
  static_assert(std::is_same_v<detail::SelectedShape<S, int, int, int>, Shape<>>);
  CHECK(slice_range(Slice(Even{}), 5).count == 3);
}

TEST_CASE("slice: an index out of range names function, index, axis and extent", "[shape]") {
  const Extents e{2, {4, 5}};
  CHECK_THROWS_MATCHES(select_indices("f", e, 0, 5), Error,
                       Message("tenon::f: index 5 is out of range on axis 1 of extent 5"));
  CHECK_THROWS_WITH(select_indices("f", e, -5), ContainsSubstring("index -5"));
  CHECK_THROWS_WITH(select_indices("f", e, 0, 0, 0), ContainsSubstring("3 indices"));
  CHECK_THROWS_WITH(select_indices("f", e, slice(0, 2, 0)),
                    ContainsSubstring("step of a slice is 0"));
}
