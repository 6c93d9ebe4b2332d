// SPDX-License-Identifier: Apache-2.0
// What depends on the order of the elements of a row: extremes with their index, sorting, order
// statistics.
#pragma once
#include <tenon/registry/arguments.hpp>
#include <tenon/registry/device.hpp>
#include <tenon/registry/gather.hpp>

#include <algorithm>
#include <numeric>

namespace tenon::inline TENON_ISA::registry::detail {

using Results = std::vector<AnyTensor>;
/// Wide enough for every f64 and every i64, exactly.
using Key = long double;

/// Chooses elements of each row along an axis. choose(row, chosen): writes `count` indices into the
/// row.
/// Result: indices (i64) with extent `count` along the axis.
template <class F>
AnyTensor choose_indices(const Value& x, int axis, Index count, F&& choose) {
  const Extents e = x.extents();
  const AnyTensor dense = x.t.to_contiguous();
  Extents to = e;
  to.extent[axis] = count;
  AnyTensor result = AnyTensor::empty(Dtype::i64, to);
  auto* out = static_cast<std::int64_t*>(result.raw_writable());
  Index inner = 1, outer = 1;
  for (int i = 0; i < e.rank; ++i) (i < axis ? outer : inner) *= i == axis ? 1 : e.extent[i];
  const Index n = e.extent[axis];
  const bool integers = !is_floating(x.dtype());
  const AnyTensor wide = dense.to(integers ? Dtype::i64 : Dtype::f64);
  const auto* whole = static_cast<const std::int64_t*>(wide.raw());
  const auto* real = static_cast<const double*>(wide.raw());
  std::vector<Key> row(static_cast<std::size_t>(n));
  std::vector<Index> chosen(static_cast<std::size_t>(count));
  for (Index o = 0; o < outer; ++o)
    for (Index k = 0; k < inner; ++k) {
      for (Index i = 0; i < n; ++i) {
        const Index at = (o * n + i) * inner + k;
        row[static_cast<std::size_t>(i)] =
            integers ? static_cast<Key>(whole[at]) : static_cast<Key>(real[at]);
      }
      choose(row, chosen);
      for (Index i = 0; i < count; ++i)
        out[(o * count + i) * inner + k] = chosen[static_cast<std::size_t>(i)];
    }
  return result;
}
/// The elements at these indices along an axis; negative indices give 0.
inline Value take_indices(const Value& x, int axis, const AnyTensor& index) {
  const Extents e = x.extents();
  const std::int64_t* p = positions_of(index);
  return take_at(x.t, position_map(index.extents(), [&](const Index* at) {
                   Index own[max_rank];
                   std::copy_n(at, e.rank, own);
                   own[axis] = *p++;
                   return position(e, own);
                 }));
}
inline AnyTensor drop(const Value& x, int axis, bool keep) {
  return keep ? x.t : reshape(x, kernel::detail::reduced_extents(x.extents(), 1u << axis, false)).t;
}

/// Ascending, NaN last.
inline bool below(Key a, Key b) { return a < b || (b != b && a == a); }
inline std::vector<Index> sorted_indices(const std::vector<Key>& row, bool descending) {
  std::vector<Index> order(row.size());
  std::iota(order.begin(), order.end(), Index{0});
  auto at = [&](Index i) { return row[static_cast<std::size_t>(i)]; };
  if (descending)
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return below(at(b), at(a)); });
  else
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return below(at(a), at(b)); });
  return order;
}
/// The first largest or smallest element; NaN wins.
template <bool Largest>
Index extreme_of(const std::vector<Key>& row, Index count) {
  Index best = 0;
  for (Index i = 1; i < count; ++i) {
    const Key x = row[static_cast<std::size_t>(i)], b = row[static_cast<std::size_t>(best)];
    if (b != b) break;
    if (x != x || (Largest ? x > b : x < b)) best = i;
  }
  return best;
}
inline void not_empty(const Arguments& a, int axis) {
  if (a[0].extent(axis) == 0)
    a.wrong("axis " + std::to_string(axis) + " of " + to_string(a[0].extents()) + " is empty",
            Error::shape);
}

/// Values and indices, or indices alone. argmax and argmin without an axis count in row-major
/// order.
template <bool Largest, bool Values>
Results extreme(const Arguments& a) {
  a.takes(1);
  Value x(a[0]);
  const bool flat = !Values && !a.has("axis");
  if (flat) x = reshape(constant(x), Extents{1, {x.t.size()}});
  const int axis = flat ? 0 : a.axis("axis", x.rank());
  const bool keep = a.flag("keepdim", false);
  if (x.t.extent(axis) == 0)
    a.wrong("axis " + std::to_string(axis) + " of " + to_string(x.extents()) + " is empty",
            Error::shape);
  const AnyTensor index =
      choose_indices(x, axis, 1, [](const std::vector<Key>& row, std::vector<Index>& chosen) {
        chosen[0] = extreme_of<Largest>(row, static_cast<Index>(row.size()));
      });
  if (!Values) return {drop(index, axis, keep)};
  return {drop(take_indices(x, axis, index), axis, keep), drop(index, axis, keep)};
}
template <bool Largest>
Results running(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank());
  const AnyTensor index = choose_indices(
      x, axis, x.t.extent(axis), [](const std::vector<Key>& row, std::vector<Index>& chosen) {
        Index best = 0;
        for (std::size_t i = 0; i < row.size(); ++i) {
          const Key v = row[i], b = row[static_cast<std::size_t>(best)];
          if (v != v || (b == b && (Largest ? v >= b : v <= b))) best = static_cast<Index>(i);
          chosen[i] = best;
        }
      });
  return {take_indices(x, axis, index).t, index};
}
/// The first `count` of the sorted row.
inline AnyTensor sorted(const Value& x, int axis, Index first, Index count, bool descending) {
  return choose_indices(x, axis, count,
                        [=](const std::vector<Key>& row, std::vector<Index>& chosen) {
                          const std::vector<Index> order = sorted_indices(row, descending);
                          std::copy_n(order.begin() + first, count, chosen.begin());
                        });
}
/// The first `count` of each sorted row: values and indices, or indices alone.
template <bool Values>
Results first_sorted(const Value& x, int axis, Index count, bool descending) {
  if (x.t.get()->place) [[unlikely]]
    return sorted_on_device(x, axis, count, descending, Values);
  const AnyTensor index = sorted(x, axis, 0, count, descending);
  if (!Values) return {index};
  return {take_indices(x, axis, index).t, index};
}
/// Stable.
template <bool Values>
Results sort(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank(), -1);
  a.flag("stable", true);
  return first_sorted<Values>(x, axis, x.t.extent(axis), a.flag("descending", false));
}
inline Results topk(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank(), -1);
  const Index k = a.integer("k");
  if (k < 0 || k > x.t.extent(axis))
    a.wrong("k = " + std::to_string(k) + " is out of range for axis " + std::to_string(axis) +
                " of " + to_string(x.extents()),
            Error::index);
  return first_sorted<true>(x, axis, k, a.flag("largest", true));
}
inline Results order_statistic(const Arguments& a, const Value& x, int axis, Index k) {
  const AnyTensor index = sorted(x, axis, k, 1, false);
  const bool keep = a.flag("keepdim", false);
  return {drop(take_indices(x, axis, index), axis, keep), drop(index, axis, keep)};
}
/// The k-th smallest, from 1.
inline Results kthvalue(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank(), -1);
  const Index k = a.integer("k");
  if (k < 1 || k > x.t.extent(axis))
    a.wrong("k = " + std::to_string(k) + " is out of range for axis " + std::to_string(axis) +
                " of " + to_string(x.extents()),
            Error::index);
  return order_statistic(a, x, axis, k - 1);
}
/// The lower of the two middle values.
inline Results median(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank(), -1);
  not_empty(a, axis);
  return order_statistic(a, x, axis, (x.t.extent(axis) - 1) / 2);
}
/// The value below which a share q lies, interpolated between neighbours.
inline Results quantile(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank(), -1);
  const double q = a.number("q"), place = q * static_cast<double>(x.t.extent(axis) - 1);
  not_empty(a, axis);
  if (!(q >= 0 && q <= 1)) a.wrong("q = " + std::to_string(q) + " is not in [0, 1]");
  if (const std::string how = a.text("interpolation", "linear"); how != "linear")
    a.wrong("interpolation \"" + how + "\" is not known; it is linear");
  const auto low = static_cast<Index>(place);
  const Index high = std::min(low + 1, x.t.extent(axis) - 1);
  const Value left = take_indices(x, axis, sorted(x, axis, low, 1, false)),
              right = take_indices(x, axis, sorted(x, axis, high, 1, false));
  return {drop(left + (right - left) * (place - static_cast<double>(low)), axis,
               a.flag("keepdim", false))};
}

}  // namespace tenon::inline TENON_ISA::registry::detail
