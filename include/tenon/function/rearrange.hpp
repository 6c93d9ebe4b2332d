// SPDX-License-Identifier: Apache-2.0
// Views and their gradients on run-time rank: select, permute, reshape, squeeze, broadcast_to,
// concatenate. Views share memory with their operand and have an id of their own.
#pragma once
#include <tenon/kernel/materialise.hpp>
#include <tenon/shape/slice.hpp>

#include <vector>

namespace tenon::inline TENON_ISA {

/// The elements that a selection names, as a view. Differentiable: the gradient is zero elsewhere.
inline AnyTensor select(const AnyTensor& x, const Selection& s);
/// The axes in another order, as a view: axis i of the result is axis axes[i] of x. Differentiable.
/// Errors: not a permutation of all axes -> Error::index.
inline AnyTensor permute(const AnyTensor& x, std::span<const int> axes);
/// Zeros of extents e but for the selection, which is x.
inline AnyTensor place(const AnyTensor& x, const Extents& e, const Selection& s);

namespace detail {

inline Attributes attributes_of(const Selection& s) {
  Attributes a;
  a.push(s.rank), a.push(s.dropped);
  for (int i = 0; i < s.rank; ++i) a.push(s.first[i]), a.push(s.step[i]);
  return a;
}
// `taken`: the extents of what was selected.
inline Selection selection_of(const Attributes& a, const Extents& taken) {
  Selection s;
  s.rank = static_cast<int>(a.integer[0]), s.dropped = static_cast<std::uint32_t>(a.integer[1]);
  for (int i = 0, k = 0; i < s.rank; ++i) {
    s.first[i] = a.integer[2 + 2 * i], s.step[i] = a.integer[3 + 2 * i];
    s.count[i] = s.dropped >> i & 1 ? 1 : taken.extent[k++];
  }
  return s;
}

/// gradient[i] = g, or += g.
inline void settle_gradient(BackwardCall& call, int i, AnyTensor g) {
  AnyTensor& to = call.gradient[i];
  to = call.accumulate >> i & 1 ? kernel::add(to, g, Context::current()) : std::move(g);
}
constexpr StatementInfo function_info(const char* name, void (*backward)(BackwardCall&),
                                      kernel::detail::Again* again, std::uint32_t reads = 0) {
  StatementInfo s;
  s.name = name, s.function_backward = backward, s.function_forward = again, s.reads = reads;
  return s;
}
using kernel::detail::check_again;
/// The selection of a graph's node, of extents `whole`. Errors: Error::trace for one outside.
inline Selection selection_again(const char* name, const Attributes& a, const Extents& whole,
                                 const Extents& taken) {
  check_again(name,
              a.integers == 2 + 2 * whole.rank && a.integer[0] == whole.rank && a.integer[1] >= 0 &&
                  a.integer[1] >> whole.rank == 0 &&
                  whole.rank - __builtin_popcountll(static_cast<std::uint64_t>(a.integer[1])) ==
                      taken.rank);
  const Selection s = selection_of(a, taken);
  for (int i = 0; i < s.rank; ++i) {
    const Index n = whole.extent[i], first = s.first[i], step = s.step[i], more = s.count[i] - 1;
    if (more == -1) continue;  // nothing is read
    const bool starts = more >= 0 && first >= 0 && first < n;
    check_again(name, starts && (more == 0 || (step > 0 && more <= (n - 1 - first) / step) ||
                                 (step < 0 && step >= -n && more <= first / -step)));
  }
  return s;
}

inline AnyTensor select_view(const AnyTensor& x, const Selection& s) {
  Index strides[max_rank] = {};
  int rank = 0;
  AnyTensor base = x.get()->generated ? x.to_contiguous() : x;
  for (int i = 0; i < s.rank; ++i)
    if (!(s.dropped >> i & 1)) strides[rank++] = base.stride(i) * s.step[i];
  return base.view(s.extents(), strides, s.offset(base.get()->strides));
}
/// Copies x, of the selection's extents, into memory that may be written.
inline void write_selection(AnyTensor& target, const Selection& s, const AnyTensor& x) {
  Index to[max_rank], from[max_rank];
  int k = 0;
  for (int i = 0; i < s.rank; ++i) {
    to[i] = target.stride(i) * s.step[i];
    from[i] = s.dropped >> i & 1 ? 0 : x.stride(k++);
  }
  char* p = static_cast<char*>(target.get()->data) +
            s.offset(target.get()->strides) * static_cast<Index>(size_of(target.dtype()));
  if (target.get()->place) [[unlikely]] {
    const AnyTensor there = x.to(target.device());
    for (int i = k = 0; i < s.rank; ++i) from[i] = s.dropped >> i & 1 ? 0 : there.stride(k++);
    return copy_strided_on(target.device(), s.full_extents(), x.dtype(), there.get()->data, from,
                           target.dtype(), p, to);
  }
  copy_strided(s.full_extents(), x.dtype(), x.raw(), from, target.dtype(), p, to);
}

inline void select_backward(BackwardCall& call) {
  const Extents e = call.operand[0].extents();
  const Selection s = selection_of(*call.attributes, call.dy.extents());
  AnyTensor& g = call.gradient[0];
  // A loop over rows adds each row where it belongs instead of adding whole tensors of zeros.
  if (call.accumulate & 1 && !Context::current().serial && g.contiguous() &&
      g.dtype() == call.dy.dtype()) {
    return write_selection(g, s, kernel::detail::added(select_view(g, s), call.dy));
  }
  settle_gradient(call, 0, place(call.dy, e, s));
}
inline AnyTensor select_again(const AnyTensor* x, const Attributes& a, const Extents& e) {
  return select_view(x[0], selection_again("slice", a, x[0].extents(), e));
}
inline constexpr StatementInfo select_info = function_info("slice", select_backward, select_again);

inline AnyTensor placed(const AnyTensor& x, const Extents& e, const Selection& s) {
  AnyTensor y = zeros_beside(x, x.dtype(), e);
  write_selection(y, s, x.get()->generated ? x.to_contiguous() : x);
  return y;
}
inline void place_backward(BackwardCall& call) {
  settle_gradient(call, 0,
                  select(call.dy, selection_of(*call.attributes, call.operand[0].extents())));
}
inline AnyTensor place_again(const AnyTensor* x, const Attributes& a, const Extents& e) {
  return placed(x[0], e, selection_again("place", a, e, x[0].extents()));
}
inline constexpr StatementInfo place_info = function_info("place", place_backward, place_again);

inline void permute_backward(BackwardCall& call) {
  int back[max_rank] = {};
  const int rank = call.attributes->integers;
  for (int i = 0; i < rank; ++i) back[call.attributes->integer[i]] = i;
  settle_gradient(call, 0,
                  permute(call.dy, std::span<const int>(back, static_cast<std::size_t>(rank))));
}
inline AnyTensor permute_view(const AnyTensor& x, const Index* axes) {
  AnyTensor base = x.get()->generated ? x.to_contiguous() : x;
  Extents e;
  e.rank = x.rank();
  Index strides[max_rank] = {};
  for (int i = 0; i < e.rank; ++i)
    e.extent[i] = base.get()->extents[axes[i]], strides[i] = base.stride(static_cast<int>(axes[i]));
  return base.view(e, strides, 0);
}
inline AnyTensor permute_again(const AnyTensor* x, const Attributes& a, const Extents&) {
  Index seen = 0;
  for (int i = 0; i < a.integers; ++i)
    if (a.integer[i] >= 0 && a.integer[i] < a.integers) seen |= Index{1} << a.integer[i];
  check_again("permute", a.integers == x[0].extents().rank && seen + 1 == Index{1} << a.integers);
  return permute_view(x[0], a.integer);
}
inline constexpr StatementInfo permute_info =
    function_info("permute", permute_backward, permute_again);

inline void unsqueeze_backward(BackwardCall& call) {
  settle_gradient(call, 0, kernel::reshape(call.dy, call.operand[0].extents(), Context::current()));
}
inline AnyTensor unsqueeze_view(const AnyTensor& x, int at) {
  AnyTensor base = x.get()->generated ? x.to_contiguous() : x;
  const Record& r = *base.get();
  Extents e;
  e.rank = r.rank + 1;
  Index strides[max_rank] = {};
  for (int i = 0, k = 0; i < e.rank; ++i) {
    e.extent[i] = i == at ? 1 : r.extents[k];
    strides[i] = i == at ? 1 : r.strides[k++];
  }
  return base.view(e, strides, 0);
}
inline AnyTensor unsqueeze_again(const AnyTensor* x, const Attributes& a, const Extents&) {
  const int rank = x[0].extents().rank;
  check_again("unsqueeze", rank < max_rank && a.integer[0] >= 0 && a.integer[0] <= rank);
  return unsqueeze_view(x[0], static_cast<int>(a.integer[0]));
}
inline constexpr StatementInfo unsqueeze_info =
    function_info("unsqueeze", unsqueeze_backward, unsqueeze_again);

/// g summed over the axes along which extents e were stretched. Recorded.
inline AnyTensor sum_to(AnyTensor g, const Extents& e) {
  const Extents from = g.extents();
  if (from == e) return g;
  if (g.get()->place && !ambient().recorder && !ambient().tracer) [[unlikely]]
    return kernel::device_calls().sum_to(g, e);
  const int extra = from.rank - e.rank;
  const BasicOps& ops = g.dtype() == Dtype::f64 ? Basics<double>::table : Basics<float>::table;
  std::uint32_t leading = (1u << extra) - 1, stretched = 0;
  for (int i = extra; i < from.rank; ++i)
    if (e.extent[i - extra] == 1 && from.extent[i] != 1) stretched |= 1u << (i - extra);
  auto sum = [&](std::uint32_t axes, bool keepdims) {
    if (!axes) return;
    GroupCall how;
    how.axes = axes, how.keepdims = keepdims;
    g = kernel::evaluate(*ops.sum->single, &g, 1, nullptr, how, g.dtype(), Context::current());
  };
  sum(leading, false), sum(stretched, true);
  return g;
}
inline void broadcast_backward(BackwardCall& call) {
  settle_gradient(call, 0, sum_to(call.dy, call.operand[0].extents()));
}
inline AnyTensor broadcast_view(const AnyTensor& x, const Extents& e) {
  AnyTensor base = x.record("broadcast_to").generated ? x.to_contiguous() : x;
  const Record& r = *base.get();
  Index strides[max_rank] = {};
  const int extra = e.rank - r.rank;
  if (extra < 0) [[unlikely]]
    fail(Error::shape, {"broadcast_to: ", r.shape(), " has more axes than ", e});
  for (int i = 0; i < e.rank; ++i) {
    const Index from = i < extra ? 1 : r.extents[i - extra];
    if (from != e.extent[i] && from != 1) [[unlikely]]
      fail_broadcast("broadcast_to", r.shape(), e, {i, from, e.extent[i]});
    strides[i] = from == e.extent[i] && i >= extra ? r.strides[i - extra] : 0;
  }
  return base.view(e, strides, 0);
}
inline AnyTensor broadcast_again(const AnyTensor* x, const Attributes&, const Extents& e) {
  return broadcast_view(x[0], e);
}
inline constexpr StatementInfo broadcast_info =
    function_info("broadcast_to", broadcast_backward, broadcast_again);

inline void concatenate_backward(BackwardCall& call) {
  const int axis = static_cast<int>(call.attributes->integer[0]);
  Selection s = Selection::everything(call.dy.extents());
  for (int i = 0; i < call.operands; ++i) {
    s.count[axis] = call.operand[i].extent(axis);
    if (call.wanted >> i & 1) settle_gradient(call, i, select(call.dy, s));
    s.first[axis] += s.count[axis];
  }
}
// Attributes: the axis, the number of operands.
inline AnyTensor joined(std::span<const AnyTensor> x, int along, const Extents& e) {
  AnyTensor y = AnyTensor::empty(x[0].dtype(), e, x[0].device());
  Selection s = Selection::everything(e);
  for (const AnyTensor& t : x) {
    s.count[along] = t.get()->extents[along];
    write_selection(y, s, t.get()->generated ? t.to_contiguous() : t);
    s.first[along] += s.count[along];
  }
  return y;
}
inline AnyTensor concatenate_again(const AnyTensor* x, const Attributes& a, const Extents& e) {
  const Index along = a.integer[0], count = a.integer[1];
  check_again("concatenate", count > 0 && count <= max_leaves && along >= 0 && along < e.rank);
  Index sum = 0;
  for (Index i = 0; i < count; ++i) {
    Extents own = x[i].extents();
    check_again("concatenate", own.rank == e.rank && x[i].dtype() == x[0].dtype());
    sum += own.extent[along], own.extent[along] = e.extent[along];
    check_again("concatenate", own == e);
  }
  check_again("concatenate", sum == e.extent[along]);
  return joined({x, static_cast<std::size_t>(count)}, static_cast<int>(along), e);
}
inline constexpr StatementInfo concatenate_info =
    function_info("concatenate", concatenate_backward, concatenate_again);

}  // namespace detail

inline AnyTensor select(const AnyTensor& x, const Selection& s) {
  x.record("slice");
  AnyTensor y = detail::select_view(x, s);
  record_function(detail::select_info, Context::current(), {x}, detail::attributes_of(s), y);
  return y;
}
/// What the views of tensor/view.hpp are read with.
inline AnyTensor select_now(const AnyTensor& x, const Selection& s) { return select(x, s); }

inline AnyTensor place(const AnyTensor& x, const Extents& e, const Selection& s) {
  x.record("place");
  AnyTensor y = detail::placed(x, e, s);
  record_function(detail::place_info, Context::current(), {x}, detail::attributes_of(s), y);
  return y;
}

/// Position i of an axis, which vanishes; negative counts from the end. A view. Errors:
/// Error::index.
inline AnyTensor select(const AnyTensor& x, int axis, Index i) {
  Selection s = Selection::everything(x.record("slice").shape());
  s.take("slice", normalize_axis("slice", axis, s.rank), i);
  return select(x, s);
}
/// start : stop : step of an axis, by NumPy's rules. A view. Errors: Error::index, step 0 ->
/// Error::value.
inline AnyTensor slice(const AnyTensor& x, int axis, const Slice& range) {
  Selection s = Selection::everything(x.record("slice").shape());
  s.take("slice", normalize_axis("slice", axis, s.rank), range);
  return select(x, s);
}
/// The axis backwards. A view.
inline AnyTensor flip(const AnyTensor& x, int axis) {
  return slice(x, axis, Slice{open, open, -1});
}

inline AnyTensor permute(const AnyTensor& x, std::span<const int> axes) {
  const int rank = x.record("permute").rank;
  if (static_cast<int>(axes.size()) != rank) [[unlikely]]
    fail(Error::index, {"permute: ", axes.size(), " axes for a tensor of rank ", rank});
  std::uint32_t seen = 0;
  Attributes a;
  for (int i = 0; i < rank; ++i) {
    const int from = normalize_axis("permute", axes[static_cast<std::size_t>(i)], rank);
    if (seen >> from & 1) [[unlikely]]
      fail(Error::index, {"permute: axis ", from, " is named twice"});
    seen |= 1u << from;
    a.push(from);
  }
  AnyTensor y = detail::permute_view(x, a.integer);
  record_function(detail::permute_info, Context::current(), {x}, a, y);
  return y;
}
/// Two axes exchanged. A view.
inline AnyTensor swapaxes(const AnyTensor& x, int axis_a, int axis_b) {
  const int rank = x.record("swapaxes").rank;
  int order[max_rank];
  for (int i = 0; i < rank; ++i) order[i] = i;
  std::swap(order[normalize_axis("swapaxes", axis_a, rank)],
            order[normalize_axis("swapaxes", axis_b, rank)]);
  return permute(x, std::span<const int>(order, static_cast<std::size_t>(rank)));
}
/// The last two axes exchanged. A view.   x: [..., m, n]   y: [..., n, m]   Errors: rank < 2 ->
/// Error::index.
inline AnyTensor transpose_now(const AnyTensor& x) { return swapaxes(x, -1, -2); }

/// The same elements in other extents, one of which may be -1; a view where the elements are
/// contiguous. Errors: the numbers of elements differ -> Error::shape.
inline AnyTensor reshape(const AnyTensor& x, Extents e) {
  const Index n = x.record("reshape").size();
  Index known = 1;
  int missing = -1, holes = 0;
  for (int i = 0; i < e.rank; ++i) {
    if (e.extent[i] < 0) missing = i, ++holes, holes += e.extent[i] != -1;
    else known *= e.extent[i];
  }
  if (holes > 1) [[unlikely]]
    fail(Error::shape, {"reshape: ", e, " may have one extent -1 and none below"});
  if (missing >= 0) {
    if (known == 0 || n % known != 0) [[unlikely]]
      fail(Error::shape, {"reshape: ", x.extents(), " has ", n,
                          " elements, which no extent on axis ", missing, " of ", e, " gives"});
    e.extent[missing] = n / known;
  }
  return kernel::reshape(x, e, Context::current());
}

/// Without an axis of extent 1. A view. Errors: another extent -> Error::shape.
inline AnyTensor squeeze(const AnyTensor& x, int axis) {
  const Record& r = x.record("squeeze");
  const int gone = normalize_axis("squeeze", axis, r.rank);
  if (r.extents[gone] != 1) [[unlikely]]
    fail(Error::shape,
         {"squeeze: axis ", gone, " of ", x.extents(), " has extent ", r.extents[gone], ", not 1"});
  Selection s = Selection::everything(r.shape());
  s.take("squeeze", gone, Index{0});
  return select(x, s);
}
/// With an axis of extent 1 before position `axis` of the result; negative counts from its end. A
/// view.
inline AnyTensor unsqueeze(const AnyTensor& x, int axis) {
  const int rank = x.record("unsqueeze").rank;
  if (rank == max_rank) [[unlikely]]
    fail(Error::shape, {"unsqueeze: the tensor ", x.extents(), " has 8 axes already"});
  Attributes a;
  a.push(normalize_axis("unsqueeze", axis, rank + 1));
  AnyTensor y = detail::unsqueeze_view(x, static_cast<int>(a.integer[0]));
  record_function(detail::unsqueeze_info, Context::current(), {x}, a, y);
  return y;
}

/// x repeated along its axes of extent 1 and new leading ones, by NumPy's rules. A view with
/// strides 0. Errors: an extent that does not fit -> Error::shape.
inline AnyTensor broadcast_to(const AnyTensor& x, const Extents& e) {
  AnyTensor y = detail::broadcast_view(x, e);
  record_function(detail::broadcast_info, Context::current(), {x}, Attributes{}, y);
  return y;
}

/// Tensors of one dtype behind each other along an axis; their other extents are equal.
/// Differentiable. Errors: extents that differ -> Error::shape; element types that differ ->
/// Error::dtype.
inline AnyTensor concatenate(std::span<const AnyTensor> x, int axis) {
  if (x.empty()) fail(Error::value, {"concatenate: needs at least one tensor"});
  constexpr std::size_t together = max_leaves;
  if (x.size() > together) {
    std::vector<AnyTensor> part;
    for (std::size_t i = 0; i < x.size(); i += together)
      part.push_back(concatenate(x.subspan(i, std::min(together, x.size() - i)), axis));
    return concatenate(part, axis);
  }
  const Record& first = x[0].record("concatenate");
  Extents e = first.shape();
  const int along = normalize_axis("concatenate", axis, e.rank);
  e.extent[along] = 0;
  for (const AnyTensor& t : x) {
    const Record& r = t.record("concatenate");
    if (r.dtype != first.dtype) [[unlikely]]
      fail(Error::dtype, {"concatenate: element types differ: ", name_of(first.dtype), " and ",
                          name_of(r.dtype)});
    if (r.rank != e.rank) [[unlikely]]
      fail(Error::shape, {"concatenate: ranks differ: ", first.shape(), " and ", r.shape()});
    for (int i = 0; i < e.rank; ++i)
      if (i != along && r.extents[i] != e.extent[i]) [[unlikely]]
        fail(Error::shape, {"concatenate: extents differ on axis ", i, ": ", first.shape(), " and ",
                            r.shape(), " (", e.extent[i], " vs ", r.extents[i], ")"});
    e.extent[along] += r.extents[along];
  }
  AnyTensor y = detail::joined(x, along, e);
  Attributes a;
  a.push(along), a.push(static_cast<Index>(x.size()));
  record_function(detail::concatenate_info, Context::current(), x, a, y);
  return y;
}
/// Tensors of equal extents side by side along a new axis.
inline AnyTensor stack(std::span<const AnyTensor> x, int axis) {
  std::vector<AnyTensor> part;
  for (const AnyTensor& t : x) part.push_back(unsqueeze(t, axis));
  return concatenate(part, axis);
}
/// Pieces of the given extents along an axis, as views. Errors: they do not add up -> Error::shape.
inline std::vector<AnyTensor> split(const AnyTensor& x, std::span<const Index> sizes, int axis) {
  Selection s = Selection::everything(x.record("split").shape());
  const int along = normalize_axis("split", axis, s.rank);
  Index sum = 0;
  bool negative = false;
  for (Index n : sizes) sum += n, negative |= n < 0;
  if (sum != s.count[along] || negative) [[unlikely]]
    fail(Error::shape, {"split: the pieces do not make up axis ", along, " of ", x.extents(), " (",
                        sum, " vs ", s.count[along], ")"});
  std::vector<AnyTensor> out;
  for (Index n : sizes) {
    s.count[along] = n;
    out.push_back(select(x, s));
    s.first[along] += n;
  }
  return out;
}

}  // namespace tenon
