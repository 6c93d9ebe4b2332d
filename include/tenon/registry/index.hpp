// SPDX-License-Identifier: Apache-2.0
// Looking up, scattering and masking by name. Indices are i64; negative ones count from the end.
#pragma once
#include <tenon/registry/call.hpp>
#include <tenon/registry/gather.hpp>

namespace tenon::inline TENON_ISA::registry {

namespace detail {

/// Indices as i64, contiguous, each in [0, n). Errors: dtype, index.
inline AnyTensor checked_indices(const char* name, const AnyTensor& index, Index n) {
  if (is_floating(index.dtype()) || index.dtype() == Dtype::boolean)
    fail(Error::dtype, {name, ": indices must be integers, not ", name_of(index.dtype())});
  AnyTensor own = AnyTensor::empty(Dtype::i64, index.extents());
  const AnyTensor from = index.to(Dtype::i64).to_contiguous();
  const auto* p = static_cast<const std::int64_t*>(from.raw());
  auto* q = static_cast<std::int64_t*>(own.raw_writable());
  for (Index i = 0, count = own.size(); i < count; ++i) {
    q[i] = p[i] < 0 ? p[i] + n : p[i];
    if (q[i] < 0 || q[i] >= n)
      fail(Error::index,
           {name, ": index ", p[i], " at position ", i, " is out of range for extent ", n});
  }
  return own;
}
inline const std::int64_t* values(const AnyTensor& i) {
  return static_cast<const std::int64_t*>(i.raw());
}

/// Slices of x along an axis, at the indices: their axes take the place of that axis.
inline Value take_slices(const char* name, const Value& x, int axis, const AnyTensor& indices) {
  const Extents e = x.extents(), ie = indices.extents();
  const AnyTensor index = checked_indices(name, indices, e.extent[axis]);
  if (e.rank + ie.rank - 1 > max_rank) fail(Error::shape, {name, ": the result has too many axes"});
  Extents to;
  for (int i = 0; i < axis; ++i) to.extent[to.rank++] = e.extent[i];
  for (int i = 0; i < ie.rank; ++i) to.extent[to.rank++] = ie.extent[i];
  for (int i = axis + 1; i < e.rank; ++i) to.extent[to.rank++] = e.extent[i];
  const std::int64_t* p = values(index);
  return take_at(x.t, position_map(to, [&](const Index* at) {
                   Index own[max_rank];
                   std::copy_n(at, axis, own);
                   own[axis] = p[position(ie, at + axis)];
                   std::copy_n(at + axis + ie.rank, e.rank - axis - 1, own + axis + 1);
                   return position(e, own);
                 }));
}
inline Results take(const Arguments& a) {
  a.takes(2);
  return {take_slices(a.name(), a[0], a.axis("axis", a[0].rank(), 0), a[1])};
}
inline Results embedding(const Arguments& a) {
  a.takes(2);
  if (a[1].rank() == 0) a.wrong("the table has no rows", Error::shape);
  return {take_slices(a.name(), a[1], 0, a[0])};
}
/// Positions in extents e of y[..., index[at], ...]: one for every index.
inline AnyTensor along_map(const Arguments& a, const Extents& e, int axis,
                           const AnyTensor& indices) {
  const Extents ie = indices.extents();
  const AnyTensor index = checked_indices(a.name(), indices, e.extent[axis]);
  bool fits = ie.rank == e.rank;
  for (int i = 0; fits && i < e.rank; ++i) fits = i == axis || ie.extent[i] <= e.extent[i];
  if (!fits)
    a.wrong("indices " + to_string(ie) + " do not fit " + to_string(e) + " beside axis " +
                std::to_string(axis),
            Error::shape);
  const std::int64_t* p = values(index);
  return position_map(ie, [&](const Index* at) {
    Index own[max_rank];
    std::copy_n(at, e.rank, own);
    own[axis] = *p++;
    return position(e, own);
  });
}
inline Results gather(const Arguments& a) {
  a.takes(2);
  const int axis = a.axis("axis", a[0].rank());
  return {take_at(a[0], along_map(a, a[0].extents(), axis, a[1]))};
}
inline Results pick(const Arguments& a) {
  a.takes(2);
  const Value x(a[0]);
  const int axis = a.axis("axis", x.rank(), -1);
  const AnyTensor index = unsqueeze(Value(a[1]), axis).t;
  const Value y = take_at(x.t, along_map(a, x.extents(), axis, index));
  return {reshape(y, kernel::detail::reduced_extents(y.extents(), 1u << axis, false))};
}
inline void same_extents(const Arguments& a, const AnyTensor& x, const Extents& e) {
  if (!(x.extents() == e))
    a.wrong("what is added has extents " + to_string(x.extents()) + ", the indices " + to_string(e),
            Error::shape);
}
inline Results scatter_add(const Arguments& a) {
  a.takes(3);
  const int axis = a.axis("axis", a[0].rank());
  const AnyTensor map = along_map(a, a[0].extents(), axis, a[1]);
  same_extents(a, a[2], map.extents());
  return {Value(a[0]) + Value(add_at(a[2], map, a[0].extents()))};
}
/// Later writes win.
inline Results scatter(const Arguments& a) {
  a.takes(3);
  const int axis = a.axis("axis", a[0].rank());
  const Extents e = a[0].extents();
  const AnyTensor map = along_map(a, e, axis, a[1]);
  same_extents(a, a[2], map.extents());
  AnyTensor from = AnyTensor::empty(Dtype::i64, e), keep = filled(Dtype::boolean, e, 1);
  auto* f = static_cast<std::int64_t*>(from.raw_writable());
  auto* k = static_cast<bool*>(keep.raw_writable());
  std::fill_n(f, e.size(), std::int64_t{-1});
  for (Index i = 0, n = map.size(); i < n; ++i) f[values(map)[i]] = i, k[values(map)[i]] = false;
  return {where(keep, a[0], Value(take_at(a[2], from)))};
}
inline Results index_add(const Arguments& a) {
  a.takes(3);
  const Extents e = a[0].extents(), se = a[2].extents();
  const int axis = a.axis("axis", e.rank);
  const AnyTensor index = checked_indices(a.name(), a[1], e.extent[axis]);
  Extents wanted = e;
  wanted.extent[axis] = index.size();
  same_extents(a, a[2], wanted);
  const AnyTensor map = position_map(se, [&](const Index* at) {
    Index own[max_rank];
    std::copy_n(at, e.rank, own);
    own[axis] = values(index)[at[axis]];
    return position(e, own);
  });
  return {Value(a[0]) + Value(add_at(a[2], map, e))};
}
inline Results masked_fill(const Arguments& a) {
  a.takes(2);
  return {where(a[1], a.number("value"), Value(a[0]))};
}
/// Where a mask is true: row-major positions.
inline AnyTensor true_positions(const AnyTensor& mask) {
  const AnyTensor m =
      Value::apply<op::NotEqual>(mask, number_tensor(mask.dtype(), 0)).t.to_contiguous();
  const auto* b = static_cast<const bool*>(m.raw());
  Index count = 0;
  for (Index i = 0, n = m.size(); i < n; ++i) count += b[i];
  AnyTensor map = AnyTensor::empty(Dtype::i64, Extents{1, {count}});
  auto* p = static_cast<std::int64_t*>(map.raw_writable());
  for (Index i = 0, n = m.size(); i < n; ++i)
    if (b[i]) *p++ = i;
  return map;
}
inline Results masked_select(const Arguments& a) {
  a.takes(2);
  if (!(a[0].extents() == a[1].extents()))
    a.wrong("the mask " + to_string(a[1].extents()) + " does not have the extents " +
                to_string(a[0].extents()),
            Error::shape);
  return {take_at(a[0], true_positions(a[1]))};
}
inline Results nonzero(const Arguments& a) {
  a.takes(1);
  const AnyTensor map = true_positions(a[0]);
  const Extents e = a[0].extents();
  AnyTensor y = AnyTensor::empty(Dtype::i64, Extents{2, {map.size(), e.rank}});
  auto* p = static_cast<std::int64_t*>(y.raw_writable());
  for (Index i = 0; i < map.size(); ++i) {
    Index rest = values(map)[i];
    for (int k = e.rank - 1; k >= 0; rest /= e.extent[k--]) p[i * e.rank + k] = rest % e.extent[k];
  }
  return {y};
}
/// 1 at the index, 0 elsewhere, in f64 unless dtype says f32 or i64.
inline Results one_hot(const Arguments& a) {
  a.takes(1);
  const Index n = a.integer("classes");
  const AnyTensor index = checked_indices(a.name(), a[0], n);
  const std::string dtype = a.text("dtype", "f64");
  if (dtype != "f32" && dtype != "f64" && dtype != "i64")
    a.wrong("dtype must be f32, f64 or i64, not " + dtype);
  Extents e = a[0].extents();
  if (e.rank == max_rank) a.wrong("the result has too many axes", Error::shape);
  e.extent[e.rank++] = n;
  AnyTensor y = filled(Dtype::f64, e, 0);
  auto* p = static_cast<double*>(y.raw_writable());
  for (Index i = 0; i < index.size(); ++i) p[i * n + values(index)[i]] = 1;
  return {y.to(dtype == "f32" ? Dtype::f32 : dtype == "f64" ? Dtype::f64 : Dtype::i64)};
}
/// Positions in e, one for each row of indices [n, rank of e].
inline AnyTensor row_map(const Arguments& a, const Extents& e, const AnyTensor& rows) {
  if (rows.rank() != 2 || rows.extent(1) != e.rank)
    a.wrong("indices " + to_string(rows.extents()) + " must be [n, " + std::to_string(e.rank) + "]",
            Error::shape);
  AnyTensor map = AnyTensor::empty(Dtype::i64, Extents{1, {rows.extent(0)}});
  auto* p = static_cast<std::int64_t*>(map.raw_writable());
  std::fill_n(p, map.size(), std::int64_t{0});
  for (int k = 0; k < e.rank; ++k) {
    const AnyTensor column =
        checked_indices(a.name(), slice(Value(rows.to(Dtype::i64)), 1, k, 1).t, e.extent[k]);
    for (Index i = 0; i < map.size(); ++i) p[i] = p[i] * e.extent[k] + values(column)[i];
  }
  return map;
}
inline Results gather_nd(const Arguments& a) {
  a.takes(2);
  return {take_at(a[0], row_map(a, a[0].extents(), a[1]))};
}
inline Results index_put(const Arguments& a) {
  a.takes(3);
  if (!a.flag("accumulate", false))
    a.wrong("only accumulate = true is offered", Error::unsupported);
  const AnyTensor map = row_map(a, a[0].extents(), a[1]);
  same_extents(a, a[2], map.extents());
  return {Value(a[0]) + Value(add_at(a[2], map, a[0].extents()))};
}

inline constexpr Operation index_table[] = {{"take", take},
                                            {"index_select", take},
                                            {"embedding", embedding},
                                            {"gather", gather},
                                            {"take_along_axis", gather},
                                            {"pick", pick},
                                            {"scatter_add", scatter_add},
                                            {"scatter", scatter},
                                            {"index_add", index_add},
                                            {"masked_fill", masked_fill},
                                            {"masked_select", masked_select},
                                            {"nonzero", nonzero},
                                            {"one_hot", one_hot},
                                            {"gather_nd", gather_nd},
                                            {"index_put", index_put}};

}  // namespace detail

template <class>
std::span<const Operation> index_operations() {
  return detail::index_table;
}

}  // namespace tenon::inline TENON_ISA::registry
