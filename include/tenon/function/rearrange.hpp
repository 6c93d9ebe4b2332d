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
                                      std::uint32_t reads = 0) {
  StatementInfo s;
  s.name = name, s.function_backward = backward, s.reads = reads;
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
    AnyTensor sum = kernel::add(select_view(g, s), call.dy, Context{});
    return write_selection(g, s, sum);
  }
  settle_gradient(call, 0, place(call.dy, e, s));
}
inline constexpr StatementInfo select_info = function_info("slice", select_backward);

inline void place_backward(BackwardCall& call) {
  settle_gradient(call, 0,
                  select(call.dy, selection_of(*call.attributes, call.operand[0].extents())));
}
inline constexpr StatementInfo place_info = function_info("place", place_backward);

inline void permute_backward(BackwardCall& call) {
  int back[max_rank] = {};
  const int rank = call.attributes->integers;
  for (int i = 0; i < rank; ++i) back[call.attributes->integer[i]] = i;
  settle_gradient(call, 0,
                  permute(call.dy, std::span<const int>(back, static_cast<std::size_t>(rank))));
}
inline constexpr StatementInfo permute_info = function_info("permute", permute_backward);

inline void squeeze_backward(BackwardCall& call) {
  settle_gradient(call, 0, kernel::reshape(call.dy, call.operand[0].extents(), Context::current()));
}
inline constexpr StatementInfo squeeze_info = function_info("squeeze", squeeze_backward);

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
inline constexpr StatementInfo broadcast_info = function_info("broadcast_to", broadcast_backward);

inline void concatenate_backward(BackwardCall& call) {
  const int axis = static_cast<int>(call.attributes->integer[0]);
  Selection s = Selection::everything(call.dy.extents());
  for (int i = 0; i < call.operands; ++i) {
    s.count[axis] = call.operand[i].extent(axis);
    if (call.wanted >> i & 1) settle_gradient(call, i, select(call.dy, s));
    s.first[axis] += s.count[axis];
  }
}
inline constexpr StatementInfo concatenate_info =
    function_info("concatenate", concatenate_backward);

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
  AnyTensor y = detail::zeros_beside(x, x.record("place").dtype, e);
  detail::write_selection(y, s, x.get()->generated ? x.to_contiguous() : x);
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
  Extents e;
  e.rank = rank;
  Index strides[max_rank] = {};
  std::uint32_t seen = 0;
  Attributes a;
  AnyTensor base = x.get()->generated ? x.to_contiguous() : x;
  for (int i = 0; i < rank; ++i) {
    const int from = normalize_axis("permute", axes[static_cast<std::size_t>(i)], rank);
    if (seen >> from & 1) [[unlikely]]
      fail(Error::index, {"permute: axis ", from, " is named twice"});
    seen |= 1u << from;
    e.extent[i] = base.get()->extents[from], strides[i] = base.stride(from);
    a.push(from);
  }
  AnyTensor y = base.view(e, strides, 0);
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
  AnyTensor base = x.record("unsqueeze").generated ? x.to_contiguous() : x;
  const Record& r = *base.get();
  if (r.rank == max_rank) [[unlikely]]
    fail(Error::shape, {"unsqueeze: the tensor ", x.extents(), " has 8 axes already"});
  const int at = normalize_axis("unsqueeze", axis, r.rank + 1);
  Extents e;
  e.rank = r.rank + 1;
  Index strides[max_rank] = {};
  for (int i = 0, k = 0; i < e.rank; ++i) {
    e.extent[i] = i == at ? 1 : r.extents[k];
    strides[i] = i == at ? 1 : r.strides[k++];
  }
  AnyTensor y = base.view(e, strides, 0);
  record_function(detail::squeeze_info, Context::current(), {x}, Attributes{}, y);
  return y;
}

/// x repeated along its axes of extent 1 and new leading ones, by NumPy's rules. A view with
/// strides 0. Errors: an extent that does not fit -> Error::shape.
inline AnyTensor broadcast_to(const AnyTensor& x, const Extents& e) {
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
  AnyTensor y = base.view(e, strides, 0);
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
  AnyTensor y = AnyTensor::empty(first.dtype, e, first.device());
  Selection s = Selection::everything(e);
  for (const AnyTensor& t : x) {
    s.count[along] = t.get()->extents[along];
    detail::write_selection(y, s, t.get()->generated ? t.to_contiguous() : t);
    s.first[along] += s.count[along];
  }
  Recorder* recorder = find_recorder(Context::current());
  if (recorder && is_floating(y.dtype())) {
    Attributes a;
    a.push(along);
    recorder->record(Statement{&detail::concatenate_info, x.data(), static_cast<int>(x.size()),
                               nullptr, &a, &y});
  }
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
