// SPDX-License-Identifier: Apache-2.0
// Elements by their positions: two linear operations, each the other's derivative, from which
// everything that moves
// elements is made; and the permutation of axes, a view.
#pragma once
#include <tenon/registry/value.hpp>

#include <cstring>

namespace tenon::inline TENON_ISA::registry {

/// y[i] = x[map[i]], positions counted in row-major order; a negative position gives 0. map: i64,
/// of y's extents.
AnyTensor take_at(const AnyTensor& x, const AnyTensor& map);
/// y = 0 of extents e, then y[map[i]] += x[i]; negative positions are left out.
AnyTensor add_at(const AnyTensor& x, const AnyTensor& map, const Extents& e);
/// y's axis i is x's axis order[i]: a view.
AnyTensor permute(const AnyTensor& x, const int* order);

namespace detail {

inline void give(BackwardCall& call, const AnyTensor& g) {
  call.gradient[0] = call.accumulate & 1 ? kernel::add(call.gradient[0], g, Context::current()) : g;
}
inline void take_at_backward(BackwardCall& call) {
  give(call, add_at(call.dy, call.operand[1], call.operand[0].extents()));
}
inline void add_at_backward(BackwardCall& call) { give(call, take_at(call.dy, call.operand[1])); }
inline void permute_backward(BackwardCall& call) {
  int inverse[max_rank] = {};
  for (int i = 0; i < call.attributes->integers; ++i) inverse[call.attributes->integer[i]] = i;
  give(call, permute(call.dy, inverse));
}
constexpr StatementInfo linear_info(const char* name, std::uint32_t reads,
                                    void (*backward)(BackwardCall&)) {
  StatementInfo s;
  s.name = name, s.reads = reads, s.function_backward = backward;
  return s;
}
inline constexpr StatementInfo take_at_info = linear_info("take_at", 2, take_at_backward);
inline constexpr StatementInfo add_at_info = linear_info("add_at", 2, add_at_backward);
inline constexpr StatementInfo permute_info = linear_info("permute", 0, permute_backward);

inline const std::int64_t* positions_of(const AnyTensor& map) {
  return static_cast<const std::int64_t*>(map.raw());
}

template <class T>
void add_elements(const AnyTensor& x, const AnyTensor& map, AnyTensor& y) {
  const T* from = static_cast<const T*>(x.raw());
  T* to = static_cast<T*>(y.raw_writable());
  const std::int64_t* at = positions_of(map);
  using W = scalar::Wrapping<T>;  // integers wrap
  for (Index i = 0, n = x.size(); i < n; ++i)
    if (at[i] >= 0) to[at[i]] = static_cast<T>(static_cast<W>(to[at[i]]) + static_cast<W>(from[i]));
}

}  // namespace detail

inline AnyTensor take_at(const AnyTensor& x, const AnyTensor& map) {
  const AnyTensor from = x.to_contiguous();
  AnyTensor y = AnyTensor::empty(x.dtype(), map.extents());
  const std::size_t bytes = size_of(x.dtype());
  const std::int64_t* at = detail::positions_of(map);
  const char* s = static_cast<const char*>(from.raw());
  char* t = static_cast<char*>(y.raw_writable());
  for (Index i = 0, n = y.size(); i < n; ++i, t += bytes)
    if (at[i] < 0) std::memset(t, 0, bytes);
    else std::memcpy(t, s + static_cast<std::size_t>(at[i]) * bytes, bytes);
  record_function(detail::take_at_info, Context::current(), {x, map}, Attributes{}, y);
  return y;
}

inline AnyTensor add_at(const AnyTensor& x, const AnyTensor& map, const Extents& e) {
  const Dtype d = compute_type(x.dtype());
  AnyTensor y = filled(d, e, 0);
  const AnyTensor from = x.to(d).to_contiguous();
  if (d == Dtype::f32) detail::add_elements<float>(from, map, y);
  else if (d == Dtype::f64) detail::add_elements<double>(from, map, y);
  else detail::add_elements<std::int64_t>(from, map, y);
  y = y.to(x.dtype());
  record_function(detail::add_at_info, Context::current(), {x, map}, Attributes{}, y);
  return y;
}

inline AnyTensor permute(const AnyTensor& x, const int* order) {
  const AnyTensor from = x.get()->generated ? x.to_contiguous() : x;
  Extents e = x.extents();
  Index strides[max_rank] = {};
  Attributes a;
  for (int i = 0; i < e.rank; ++i) {
    e.extent[i] = x.extent(order[i]), strides[i] = from.stride(order[i]);
    a.push(order[i]);
  }
  AnyTensor y = from.view(e, strides, 0);
  record_function(detail::permute_info, Context::current(), {x}, a, y);
  return y;
}
inline Value swap_axes(const Value& x, int a, int b) {
  int order[max_rank];
  for (int i = 0; i < max_rank; ++i) order[i] = i;
  std::swap(order[a], order[b]);
  return permute(x.t, order);
}

/// Steps from one index to the next in row-major order; false after the last.
inline bool next_index(const Extents& e, Index* at) {
  for (int i = e.rank - 1; i >= 0; --i) {
    if (++at[i] < e.extent[i]) return true;
    at[i] = 0;
  }
  return false;
}
/// The positions from(index) for each index of extents e.
template <class F>
AnyTensor position_map(const Extents& e, F&& from) {
  AnyTensor map = AnyTensor::empty(Dtype::i64, e);
  auto* p = static_cast<std::int64_t*>(map.raw_writable());
  Index at[max_rank] = {};
  if (e.size() > 0) do
      *p++ = from(static_cast<const Index*>(at));
    while (next_index(e, at));
  return map;
}
/// The position of an index, row-major.
inline Index position(const Extents& e, const Index* at) {
  Index p = 0;
  for (int i = 0; i < e.rank; ++i) p = p * e.extent[i] + at[i];
  return p;
}
/// y[..., k, ...] = x[..., from(k), ...] along one axis with n positions; from(k) < 0 gives 0.
template <class F>
Value take_along(const Value& x, int axis, Index n, F&& from) {
  const Extents source = x.extents();
  Extents e = source;
  e.extent[axis] = n;
  return take_at(x.t, position_map(e, [&](const Index* at) {
                   Index own[max_rank];
                   std::copy_n(at, e.rank, own);
                   own[axis] = from(at[axis]);
                   return own[axis] < 0 ? -1 : position(source, own);
                 }));
}
inline Value slice(const Value& x, int axis, Index first, Index n, Index step = 1) {
  return take_along(x, axis, n, [=](Index k) { return first + k * step; });
}
/// Spread over larger extents, as broadcasting would.
inline Value expand(const Value& x, const Extents& e) {
  const Extents own = x.extents();
  const int extra = e.rank - own.rank;
  return take_at(x.t, position_map(e, [&](const Index* at) {
                   Index p = 0;
                   for (int i = 0; i < own.rank; ++i)
                     p = p * own.extent[i] + (own.extent[i] == 1 ? 0 : at[i + extra]);
                   return p;
                 }));
}
namespace detail {
inline void concat_backward(BackwardCall& call) {
  const int axis = static_cast<int>(call.attributes->integer[0]);
  Index before = 0;
  for (int i = 0; i < call.operands; ++i) {
    const Index n = call.operand[i].extent(axis);
    if (call.wanted >> i & 1) {
      const AnyTensor g = slice(Value(call.dy), axis, before, n).t;
      call.gradient[i] =
          call.accumulate >> i & 1 ? kernel::add(call.gradient[i], g, Context::current()) : g;
    }
    before += n;
  }
}
inline constexpr StatementInfo concat_info = linear_info("concat", 0, concat_backward);

inline AnyTensor concat_some(std::span<const AnyTensor> parts, int axis, Extents e) {
  AnyTensor y = AnyTensor::empty(parts[0].dtype(), e);
  Index strides[max_rank], before = 0;
  contiguous_strides(e, strides);
  for (const AnyTensor& p : parts) {
    const AnyTensor x = p.get()->generated ? p.to_contiguous() : p;
    char* to = static_cast<char*>(y.raw_writable()) +
               before * strides[axis] * static_cast<Index>(size_of(y.dtype()));
    tenon::detail::copy_strided(x.extents(), x.dtype(), x.raw(), x.get()->strides, y.dtype(), to,
                                strides);
    before += x.extent(axis);
  }
  if (Recorder* r = find_recorder(Context::current()); r && is_floating(y.dtype())) {
    Attributes a;
    a.push(axis);
    r->record(
        Statement{&concat_info, parts.data(), static_cast<int>(parts.size()), nullptr, &a, &y});
  }
  return y;
}
}  // namespace detail

/// The tensors one after the other along an axis. Errors: dtype, shape.
inline Value concat(std::span<const AnyTensor> parts, int axis) {
  if (parts.size() > static_cast<std::size_t>(max_leaves)) {
    const AnyTensor halves[] = {concat(parts.first(parts.size() / 2), axis).t,
                                concat(parts.subspan(parts.size() / 2), axis).t};
    return concat(halves, axis);
  }
  Extents e = parts[0].extents();
  const Dtype d = parts[0].dtype();
  e.extent[axis] = 0;
  for (const AnyTensor& p : parts) {
    const Extents own = p.extents();
    if (p.dtype() != d)
      fail(Error::dtype, {"concat: tensors of dtype ", name_of(d), " and ", name_of(p.dtype())});
    for (int i = 0; i < std::max(e.rank, own.rank); ++i)
      if (own.rank != e.rank || (i != axis && own.extent[i] != e.extent[i]))
        fail(Error::shape,
             {"concat: extents differ beside axis ", axis, ": ", parts[0].extents(), " and ", own});
    e.extent[axis] += own.extent[axis];
  }
  return detail::concat_some(parts, axis, e);
}

}  // namespace tenon::inline TENON_ISA::registry
