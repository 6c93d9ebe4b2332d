// SPDX-License-Identifier: Apache-2.0
// Operations that only move elements, by name.
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/registry/window.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

inline Extents extents_of(const Arguments& a, const std::vector<Index>& list) {
  if (list.size() > static_cast<std::size_t>(max_rank))
    a.wrong(std::to_string(list.size()) + " axes are more than " + std::to_string(max_rank),
            Error::shape);
  Extents e;
  for (Index n : list) e.extent[e.rank++] = n;
  return e;
}
/// shape: extents, one of them -1 for what is left over.
inline Results reshape_entry(const Arguments& a) {
  a.takes(1);
  Extents e = extents_of(a, a.list("shape"));
  int open = -1;
  Index known = 1;
  for (int i = 0; i < e.rank; ++i) {
    if (e.extent[i] == -1 && open < 0) open = i;
    else if (e.extent[i] < 0)
      a.wrong("shape " + to_string(e) + " has more than one open extent or a negative one",
              Error::shape);
    else if (__builtin_mul_overflow(known, e.extent[i], &known))
      a.wrong(to_string(e) + " has too many elements", Error::shape);
  }
  if (open >= 0) {
    if (known == 0 || a[0].size() % known)
      a.wrong(to_string(a[0].extents()) + " cannot be read as " + to_string(e), Error::shape);
    e.extent[open] = a[0].size() / known;
  }
  return {reshape(a[0], e)};
}
inline Results permute_entry(const Arguments& a) {
  a.takes(1);
  const std::vector<Index> axes = a.list("axes");
  int order[max_rank] = {};
  std::uint32_t seen = 0;
  if (static_cast<int>(axes.size()) != a[0].rank())
    a.wrong("axes names " + std::to_string(axes.size()) + " axes of a tensor of rank " +
                std::to_string(a[0].rank()),
            Error::index);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    order[i] = a.axis_of(axes[i], a[0].rank());
    if (seen >> order[i] & 1)
      a.wrong("axis " + std::to_string(axes[i]) + " is named twice", Error::index);
    seen |= 1u << order[i];
  }
  return {permute(a[0], order)};
}
inline Results transpose(const Arguments& a) {
  a.takes(1);
  const int r = a[0].rank();
  return {swap_axes(a[0], a.axis("axis0", r, -2), a.axis("axis1", r, -1))};
}
inline Results moveaxis(const Arguments& a) {
  a.takes(1);
  const int r = a[0].rank(), from = a.axis("source", r), to = a.axis("destination", r);
  int order[max_rank] = {}, k = 0;
  for (int i = 0; i < r; ++i) {
    if (k == from) ++k;
    order[i] = i == to ? from : k++;
  }
  return {permute(a[0], order)};
}
inline Results flip(const Arguments& a) {
  a.takes(1);
  Value x(a[0]);
  const std::uint32_t axes = a.axes("axis", x.rank());
  for (int i = 0; i < x.rank(); ++i)
    if (axes >> i & 1) x = slice(x, i, x.t.extent(i) - 1, x.t.extent(i), -1);
  return {x};
}
inline Results roll(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank());
  const Index n = x.t.extent(axis), shift = a.integer("shift");
  return {take_along(x, axis, n, [=](Index k) { return ((k - shift) % n + n) % n; })};
}
inline Results rot90(const Arguments& a) {
  a.takes(1);
  Value x(a[0]);
  std::vector<Index> axes = a.list("axes");
  if (axes.size() != 2) a.wrong("axes must name two axes", Error::index);
  const int p = a.axis_of(axes[0], x.rank()), q = a.axis_of(axes[1], x.rank());
  if (p == q) a.wrong("axes must differ", Error::index);
  for (Index k = (a.integer("k", 1) % 4 + 4) % 4; k > 0; --k)
    x = swap_axes(slice(x, q, x.t.extent(q) - 1, x.t.extent(q), -1), p, q);
  return {x};
}
inline Index repeats_of(const Arguments& a, Index n) {
  if (n < 0) a.wrong("a negative number of repetitions: " + std::to_string(n));
  return n;
}
inline Index times(const Arguments& a, Index n, Index r) {
  Index product;
  if (__builtin_mul_overflow(n, repeats_of(a, r), &product))
    a.wrong(std::to_string(r) + " times " + std::to_string(n) + " elements are too many",
            Error::memory);
  return product;
}
inline Results tile(const Arguments& a) {
  a.takes(1);
  std::vector<Index> reps = a.list("reps");
  Value x(a[0]);
  extents_of(a, reps);
  while (static_cast<int>(reps.size()) < x.rank()) reps.insert(reps.begin(), 1);
  while (x.rank() < static_cast<int>(reps.size())) x = unsqueeze(x, 0);
  for (int i = 0; i < x.rank(); ++i) {
    const Index n = x.t.extent(i), all = times(a, n, reps[static_cast<std::size_t>(i)]);
    if (all != n) x = take_along(x, i, all, [=](Index k) { return k % n; });
  }
  return {x};
}
inline Results repeat_interleave(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank());
  const Index r = repeats_of(a, a.integer("repeats"));
  return {take_along(x, axis, times(a, x.t.extent(axis), r), [=](Index k) { return k / r; })};
}
/// shape: -1 leaves an extent.
inline Results expand_entry(const Arguments& a) {
  a.takes(1);
  Extents e = extents_of(a, a.list("shape"));
  const Extents own = a[0].extents();
  const int extra = e.rank - own.rank;
  if (extra < 0)
    a.wrong("shape " + to_string(e) + " has fewer axes than " + to_string(own), Error::shape);
  for (int i = 0; i < e.rank; ++i) {
    if (e.extent[i] == -1 && i >= extra) e.extent[i] = own.extent[i - extra];
    if (e.extent[i] < 0) a.wrong("shape " + to_string(e) + " has a negative extent", Error::shape);
  }
  const Broadcast b = broadcast(own, e);
  if (!b.mismatch.ok() || !(b.extents == e))
    fail_broadcast(a.name(), own, e,
                   b.mismatch.ok() ? Mismatch{0, own.size(), e.size()} : b.mismatch);
  return {expand(a[0], e)};
}
inline Results concat_entry(const Arguments& a) {
  a.takes(1, std::max(a.size(), 1));
  return {concat(a.inputs(), a.axis("axis", a[0].rank(), 0))};
}
inline Results stack(const Arguments& a) {
  a.takes(1, std::max(a.size(), 1));
  const int axis = a.axis("axis", a[0].rank() + 1, 0);
  std::vector<AnyTensor> parts;
  for (const AnyTensor& t : a.inputs())
    parts.push_back(unsqueeze(Value(t), std::min(axis, t.rank())).t);
  return {concat(parts, axis)};
}
inline Results split_by(const Value& x, int axis, const std::vector<Index>& sizes) {
  Results parts;
  Index before = 0;
  for (Index n : sizes) {
    parts.push_back(slice(x, axis, before, n).t);
    before += n;
  }
  return parts;
}
inline Results split(const Arguments& a) {
  a.takes(1);
  const int axis = a.axis("axis", a[0].rank(), 0);
  const std::vector<Index> sizes = a.list("sizes");
  Index total = 0;
  for (Index n : sizes) total += repeats_of(a, n);
  if (total != a[0].extent(axis))
    a.wrong("sizes add up to " + std::to_string(total) + ", axis " + std::to_string(axis) +
                " has " + std::to_string(a[0].extent(axis)),
            Error::shape);
  return split_by(a[0], axis, sizes);
}
inline Results chunk(const Arguments& a) {
  a.takes(1);
  const int axis = a.axis("axis", a[0].rank(), 0);
  const Index n = a[0].extent(axis), chunks = a.integer("chunks");
  if (chunks < 1) a.wrong("chunks must be 1 or more");
  const Index each = std::max<Index>((n + chunks - 1) / chunks, 1);
  std::vector<Index> sizes;
  for (Index at = 0; at < n; at += each) sizes.push_back(std::min(each, n - at));
  return split_by(a[0], axis, sizes);
}
/// Two axes become one, at the end.
inline Results diagonal(const Arguments& a) {
  a.takes(1);
  const Extents e = a[0].extents();
  const int p = a.axis("axis1", e.rank, 0), q = a.axis("axis2", e.rank, 1);
  if (p == q) a.wrong("the two axes must differ", Error::index);
  const Index offset = a.integer("offset", 0), skip_p = std::max<Index>(-offset, 0),
              skip_q = std::max<Index>(offset, 0);
  Extents to = kernel::detail::reduced_extents(e, 1u << p | 1u << q, false);
  to.extent[to.rank++] = std::max<Index>(0, std::min(e.extent[p] - skip_p, e.extent[q] - skip_q));
  return {take_at(a[0], position_map(to, [&](const Index* at) {
                    Index own[max_rank];
                    for (int i = 0, k = 0; i < e.rank; ++i)
                      own[i] = i == p   ? at[to.rank - 1] + skip_p
                               : i == q ? at[to.rank - 1] + skip_q
                                        : at[k++];
                    return position(e, own);
                  }))};
}
/// The last axis on a diagonal of a matrix of zeros.
inline Results diag(const Arguments& a) {
  a.takes(1);
  const Extents e = a[0].extents();
  if (e.rank == 0) a.wrong("a number has no diagonal", Error::shape);
  const Index offset = a.integer("offset", 0), below = std::max<Index>(-offset, 0),
              right = std::max<Index>(offset, 0);
  Extents to = e;
  to.extent[e.rank - 1] = e.extent[e.rank - 1] + std::abs(offset);
  to.extent[to.rank++] = to.extent[e.rank - 1];
  return {take_at(a[0], position_map(to, [&](const Index* at) -> Index {
                    const Index r = at[to.rank - 2] - below, c = at[to.rank - 1] - right;
                    if (r != c || r < 0 || r >= e.extent[e.rank - 1]) return -1;
                    Index own[max_rank];
                    std::copy_n(at, e.rank, own);
                    own[e.rank - 1] = r;
                    return position(e, own);
                  }))};
}
template <bool Lower>
Results triangle(const Arguments& a) {
  a.takes(1);
  const Extents e = a[0].extents();
  if (e.rank < 2) a.wrong("needs two axes, not " + to_string(e), Error::shape);
  const Index k = a.integer("k", 0);
  return {take_at(a[0], position_map(e, [&](const Index* at) {
                    const Index d = at[e.rank - 1] - at[e.rank - 2];
                    return (Lower ? d <= k : d >= k) ? position(e, at) : -1;
                  }))};
}
/// pad: elements before and after, for each axis in turn. mode: constant, reflect, replicate,
/// circular.
inline Results pad(const Arguments& a) {
  a.takes(1);
  Value x(a[0]);
  const std::vector<Index> by = a.list("pad");
  const std::string mode = a.text("mode", "constant");
  const double value = a.number("value", 0);
  if (by.size() != 2 * static_cast<std::size_t>(x.rank()))
    a.wrong("pad must have two numbers for each of " + std::to_string(x.rank()) + " axes");
  if (mode != "constant" && mode != "reflect" && mode != "replicate" && mode != "circular")
    a.wrong("mode \"" + mode + "\" is not known");
  Value inside = filled(x.dtype(), x.extents(), 1);
  for (int i = 0; i < x.rank(); ++i) {
    const Index before = by[2 * static_cast<std::size_t>(i)],
                after = by[2 * static_cast<std::size_t>(i) + 1], n = x.t.extent(i);
    if (before == 0 && after == 0) continue;
    if (before < 0 || after < 0) a.wrong("negative padding");
    if (mode != "constant" && (n == 0 || (mode == "reflect" && std::max(before, after) >= n)))
      a.wrong("axis " + std::to_string(i) + " of " + to_string(x.extents()) + " is too short for " +
                  mode,
              Error::shape);
    auto from = [=](Index k) -> Index {
      k -= before;
      if (k >= 0 && k < n) return k;
      if (mode == "reflect") return k < 0 ? -k : 2 * n - 2 - k;
      if (mode == "replicate") return k < 0 ? 0 : n - 1;
      if (mode == "circular") return (k % n + n) % n;
      return -1;
    };
    x = take_along(x, i, before + n + after, from);
    if (value != 0) inside = take_along(inside, i, before + n + after, from);
  }
  if (value != 0 && mode == "constant") x = where(inside, x, value);
  return {x};
}
/// x[start:stop:step] along one axis, as NumPy reads it.
inline Results slice_entry(const Arguments& a) {
  a.takes(1);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank(), 0);
  const Index n = x.t.extent(axis), step = a.integer("step", 1);
  if (step == 0) a.wrong("step must not be 0");
  auto clip = [&](Index k) {
    if (k < 0) k += n;
    return step > 0 ? std::clamp<Index>(k, 0, n) : std::clamp<Index>(k, -1, n - 1);
  };
  const Index start = a.has("start") ? clip(a.integer("start")) : step > 0 ? 0 : n - 1;
  const Index stop = a.has("stop") ? clip(a.integer("stop")) : step > 0 ? n : -1;
  const Index count =
      step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
  return {slice(x, axis, start, std::max<Index>(count, 0), step)};
}
inline Results squeeze(const Arguments& a) {
  a.takes(1);
  const Extents e = a[0].extents();
  std::uint32_t axes = 0;
  if (a.has("axis")) axes = a.axes("axis", e.rank);
  for (int i = 0; i < e.rank; ++i) {
    if (!a.has("axis") && e.extent[i] == 1) axes |= 1u << i;
    if (axes >> i & 1 && e.extent[i] != 1)
      a.wrong("axis " + std::to_string(i) + " of " + to_string(e) + " has extent " +
                  std::to_string(e.extent[i]),
              Error::shape);
  }
  return {reshape(a[0], kernel::detail::reduced_extents(e, axes, false))};
}
inline Results unsqueeze_entry(const Arguments& a) {
  a.takes(1);
  return {unsqueeze(a[0], a.axis("axis", a[0].rank() + 1))};
}
inline Results meshgrid(const Arguments& a) {
  a.takes(2);
  if (a.text("indexing", "ij") != "ij") a.wrong("indexing must be \"ij\"");
  if (a[0].rank() != 1 || a[1].rank() != 1) a.wrong("takes two vectors", Error::shape);
  const Extents e{2, {a[0].size(), a[1].size()}};
  return {expand(unsqueeze(a[0], 1), e), expand(a[1], e)};
}

inline constexpr Operation shape_table[] = {{"reshape", reshape_entry},
                                            {"permute", permute_entry},
                                            {"transpose", transpose},
                                            {"moveaxis", moveaxis},
                                            {"flip", flip},
                                            {"roll", roll},
                                            {"rot90", rot90},
                                            {"tile", tile},
                                            {"repeat_interleave", repeat_interleave},
                                            {"expand", expand_entry},
                                            {"concat", concat_entry},
                                            {"stack", stack},
                                            {"split", split},
                                            {"chunk", chunk},
                                            {"diagonal", diagonal},
                                            {"diag", diag},
                                            {"tril", triangle<true>},
                                            {"triu", triangle<false>},
                                            {"pad", pad},
                                            {"slice", slice_entry},
                                            {"squeeze", squeeze},
                                            {"unsqueeze", unsqueeze_entry},
                                            {"pixel_shuffle", pixels<false>},
                                            {"pixel_unshuffle", pixels<true>},
                                            {"unfold", unfold},
                                            {"fold", fold},
                                            {"meshgrid", meshgrid}};

}  // namespace detail

template <class>
std::span<const Operation> shape_operations() {
  return detail::shape_table;
}

}  // namespace tenon::inline TENON_ISA::registry
