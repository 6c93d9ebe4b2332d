// SPDX-License-Identifier: Apache-2.0
// Rows by index, the position of the largest element, other dtypes and devices: take, argmax,
// argmin, cast, to_device.
#pragma once
#include <tenon/core/parallel.hpp>
#include <tenon/function/shape.hpp>

#include <cmath>

namespace tenon::inline TENON_ISA {

/// Rows of a table.   table: [N, D...]   index: [I...] i64, i32 or u8   y: [I..., D...], y[i, :] =
/// table[index[i], :] Differentiable in the table; rows named twice add up. Errors: an index
/// outside [0, N) -> Error::index (a negative one too); a floating index -> Error::dtype.
inline AnyTensor take(const AnyTensor& table, const AnyTensor& index);
/// The gradient of take: rows of dy added up where the index says.   dy: [I..., D...]   y: [rows,
/// D...] Each row is summed in the order of the index, whatever the number of threads.
inline AnyTensor scatter_rows(const AnyTensor& dy, const AnyTensor& index, Index rows);

namespace detail {

constexpr Index lookup_block = 64 * 1024;  // bytes of rows that one thread copies at a time

// The index as contiguous i64, each checked.
inline AnyTensor checked_index(const char* name, const AnyTensor& index, Index rows) {
  const Record& r = index.record(name);
  if (is_floating(r.dtype) || r.dtype == Dtype::boolean) [[unlikely]]
    fail(Error::dtype, {name, ": the index holds ", name_of(r.dtype), ", not integers"});
  AnyTensor at = index.to(Dtype::i64).to_contiguous();
  if (at.get()->place) return at;  // the kernel checks
  const auto* p = static_cast<const std::int64_t*>(at.raw());
  for (Index i = 0, n = at.size(); i < n; ++i)
    if (p[i] < 0 || p[i] >= rows) [[unlikely]]
      fail(Error::index, {name, ": index ", p[i], " at position ", i,
                          " is out of range for axis 0 of extent ", rows});
  return at;
}

inline void take_backward(BackwardCall& call) {
  if (call.wanted & 1)
    settle_gradient(call, 0, scatter_rows(call.dy, call.operand[1], call.operand[0].extent(0)));
}
/// The values of take and scatter_rows; nobody hears of them.
inline AnyTensor taken(const AnyTensor& table, const AnyTensor& index);
inline AnyTensor scattered(const AnyTensor& dy, const AnyTensor& index, Index rows);

inline AnyTensor take_again(const AnyTensor* x, const Attributes&, const Extents& e) {
  const Extents t = x[0].extents();
  Extents whole = x[1].extents();
  check_again("take", t.rank > 0 && whole.rank + t.rank - 1 == e.rank);
  for (int i = 1; i < t.rank; ++i) whole.extent[whole.rank++] = t.extent[i];
  check_again("take", whole == e);
  return taken(x[0], x[1]);
}
inline constexpr StatementInfo take_info = function_info("take", take_backward, take_again, 2);

inline void scatter_backward(BackwardCall& call) {
  if (call.wanted & 1) settle_gradient(call, 0, take(call.dy, call.operand[1]));
}
inline AnyTensor scatter_again(const AnyTensor* x, const Attributes&, const Extents& e) {
  const int lead = x[1].extents().rank, rank = x[0].extents().rank;
  check_again("scatter_rows", e.rank == 1 + rank - lead && e.rank > 0 && e.extent[0] >= 0);
  for (int i = lead; i < rank; ++i)
    check_again("scatter_rows", e.extent[1 + i - lead] == x[0].extent(i));
  if (e.size() == 0) return AnyTensor::empty(x[0].dtype(), e);
  return scattered(x[0], x[1], e.extent[0]);
}
inline constexpr StatementInfo scatter_info =
    function_info("scatter_rows", scatter_backward, scatter_again, 2);

// Rows of `target` are sums of rows of `source`: those numbered order[first[r]] .. order[first[r +
// 1] - 1].
template <class T>
void sum_rows(const T* source, const std::vector<Index>& first, const std::vector<Index>& order,
              T* target, Index rows, Index width) {
  const Index per_block =
      std::max<Index>(1, lookup_block / (std::max<Index>(width, 1) * Index{sizeof(T)}));
  const Index work = rows * width;
  parallel_for((rows + per_block - 1) / per_block, work > Threshold::cheap ? num_threads() : 1,
               [&](Index block) {
                 for (Index r = block * per_block, end = std::min(rows, r + per_block); r < end;
                      ++r) {
                   T* to = target + r * width;
                   std::fill(to, to + width, T(0));
                   for (Index k = first[static_cast<std::size_t>(r)];
                        k < first[static_cast<std::size_t>(r) + 1]; ++k) {
                     const T* from = source + order[static_cast<std::size_t>(k)] * width;
                     for (Index j = 0; j < width; ++j) to[j] += from[j];
                   }
                 }
               });
}

// Where the extremes lie along an axis: x is [outer, n, inner], contiguous.
template <class T>
void find_extremes(const T* x, Index outer, Index n, Index inner, bool least, std::int64_t* out) {
  const Index per_block = std::max<Index>(1, 16 * 1024 / std::max<Index>(n * inner, 1));
  const int threads = outer * n * inner > Threshold::cheap ? num_threads() : 1;
  parallel_for((outer + per_block - 1) / per_block, threads, [&](Index block) {
    for (Index o = block * per_block, end = std::min(outer, o + per_block); o < end; ++o) {
      const T* row = x + o * n * inner;
      std::int64_t* to = out + o * inner;
      for (Index k = 0; k < inner; ++k) {
        T best = row[k];
        Index at = 0;
        for (Index i = 1; i < n && best == best; ++i) {
          const T v = row[i * inner + k];
          if ((least ? v < best : v > best) || v != v) best = v, at = i;
        }
        to[k] = at;
      }
    }
  });
}

inline AnyTensor extremes(const char* name, const AnyTensor& x, int along, bool keepdims,
                          bool least) {
  const Extents e = x.extents();
  if (e.extent[along] == 0) [[unlikely]]
    fail(Error::value, {name, ": axis ", along, " of ", e, " has no elements"});
  Index outer = 1, inner = 1;
  Extents left;
  for (int i = 0; i < e.rank; ++i) {
    if (i < along) outer *= e.extent[i];
    if (i > along) inner *= e.extent[i];
    if (i != along || keepdims) left.extent[left.rank++] = i == along ? 1 : e.extent[i];
  }
  if (x.get()->place) [[unlikely]]
    return kernel::device_calls().extreme(x, outer, e.extent[along], inner, least, left);
  AnyTensor y = AnyTensor::empty(Dtype::i64, left);
  auto* out = static_cast<std::int64_t*>(y.raw_writable());
  const Index n = e.extent[along];
  if (x.dtype() == Dtype::f64) {
    AnyTensor v = x.to_contiguous();
    find_extremes(static_cast<const double*>(v.raw()), outer, n, inner, least, out);
  } else if (is_floating(x.dtype())) {
    AnyTensor v = x.to(Dtype::f32).to_contiguous();
    find_extremes(static_cast<const float*>(v.raw()), outer, n, inner, least, out);
  } else {
    AnyTensor v = x.to(Dtype::i64).to_contiguous();
    find_extremes(static_cast<const std::int64_t*>(v.raw()), outer, n, inner, least, out);
  }
  return y;
}

inline AnyTensor extreme_again(const char* name, const AnyTensor& x, const Attributes& a,
                               bool least) {
  const int rank = x.extents().rank;
  check_again(name, a.integer[0] >= 0 && a.integer[0] < rank && a.integer[1] >> 1 == 0);
  return extremes(name, x, static_cast<int>(a.integer[0]), a.integer[1] != 0, least);
}
inline AnyTensor argmax_again(const AnyTensor* x, const Attributes& a, const Extents&) {
  return extreme_again("argmax", x[0], a, false);
}
inline AnyTensor argmin_again(const AnyTensor* x, const Attributes& a, const Extents&) {
  return extreme_again("argmin", x[0], a, true);
}
// Attributes: axis, keepdims.
inline constexpr StatementInfo argmax_info = kernel::detail::made_info("argmax", argmax_again),
                               argmin_info = kernel::detail::made_info("argmin", argmin_again);

inline AnyTensor extreme_index(const char* name, const AnyTensor& x, int axis, bool keepdims,
                               bool least) {
  Attributes a;
  a.push(normalize_axis(name, axis, x.record(name).rank)), a.push(keepdims);
  AnyTensor y = extremes(name, x, static_cast<int>(a.integer[0]), keepdims, least);
  record_function(least ? argmin_info : argmax_info, Context{}, {x}, a, y);
  return y;
}

inline AnyTensor taken(const AnyTensor& table, const AnyTensor& index) {
  const Extents t = table.record("take").shape();
  if (t.rank == 0) [[unlikely]]
    fail(Error::shape, {"take: the table has rank 0"});
  const AnyTensor at = checked_index("take", index, t.extent[0]);
  Extents e = at.extents();
  if (e.rank + t.rank - 1 > max_rank) [[unlikely]]
    fail(Error::shape, {"take: ", t, " at ", e, " would have more than 8 axes"});
  Index width = static_cast<Index>(size_of(table.dtype()));
  for (int i = 1; i < t.rank; ++i) e.extent[e.rank++] = t.extent[i], width *= t.extent[i];
  if (table.get()->place) [[unlikely]]
    return kernel::device_calls().take(table, at, e);
  const AnyTensor rows = table.to_contiguous();
  AnyTensor y = AnyTensor::empty(table.dtype(), e);
  const auto* p = static_cast<const std::int64_t*>(at.raw());
  const char* from = static_cast<const char*>(rows.raw());
  char* to = static_cast<char*>(y.raw_writable());
  const Index n = at.size(),
              per_block = std::max<Index>(1, lookup_block / std::max<Index>(width, 1));
  parallel_for((n + per_block - 1) / per_block,
               n * width > Threshold::cheap * 4 ? num_threads() : 1, [&](Index block) {
                 for (Index i = block * per_block, end = std::min(n, i + per_block); i < end; ++i)
                   std::memcpy(to + i * width, from + p[i] * width,
                               static_cast<std::size_t>(width));
               });
  return y;
}

inline AnyTensor scattered(const AnyTensor& dy, const AnyTensor& index, Index rows) {
  const Extents d = dy.record("scatter_rows").shape();
  const AnyTensor at = checked_index("scatter_rows", index, rows);
  const int lead = at.rank();
  Extents e;
  e.extent[e.rank++] = rows;
  Index width = 1;
  for (int i = 0; i < lead || i < d.rank; ++i) {
    if (i < lead && (i >= d.rank || d.extent[i] != at.extent(i))) [[unlikely]]
      fail(Error::shape,
           {"scatter_rows: ", d, " does not begin with the extents of the index ", at.extents()});
    if (i >= lead) e.extent[e.rank++] = d.extent[i], width *= d.extent[i];
  }
  if (dy.dtype() != Dtype::f32 && dy.dtype() != Dtype::f64) [[unlikely]]
    fail(Error::dtype, {"scatter_rows: needs f32 or f64, not ", name_of(dy.dtype())});
  if (dy.get()->place) [[unlikely]]
    return kernel::device_calls().scatter_rows(dy, at, e);
  // Positions sorted by row, those of one row in their order.
  const auto* p = static_cast<const std::int64_t*>(at.raw());
  const Index n = at.size();
  std::vector<Index> first(static_cast<std::size_t>(rows) + 2, 0),
      order(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) ++first[static_cast<std::size_t>(p[i]) + 2];
  for (std::size_t r = 2; r < first.size(); ++r) first[r] += first[r - 1];
  for (Index i = 0; i < n; ++i)
    order[static_cast<std::size_t>(first[static_cast<std::size_t>(p[i]) + 1]++)] = i;
  const AnyTensor source = dy.to_contiguous();
  AnyTensor y = AnyTensor::empty(dy.dtype(), e);
  if (dy.dtype() == Dtype::f64)
    sum_rows(static_cast<const double*>(source.raw()), first, order,
             static_cast<double*>(y.raw_writable()), rows, width);
  else
    sum_rows(static_cast<const float*>(source.raw()), first, order,
             static_cast<float*>(y.raw_writable()), rows, width);
  return y;
}

}  // namespace detail

inline AnyTensor take(const AnyTensor& table, const AnyTensor& index) {
  AnyTensor y = detail::taken(table, index);
  record_function(detail::take_info, Context::current(), {table, index}, Attributes{}, y);
  return y;
}
inline AnyTensor scatter_rows(const AnyTensor& dy, const AnyTensor& index, Index rows) {
  AnyTensor y = detail::scattered(dy, index, rows);
  record_function(detail::scatter_info, Context::current(), {dy, index}, Attributes{}, y);
  return y;
}

/// Where the largest (smallest) element along an axis lies: the first of equal ones; the first NaN
/// counts as extreme, as in NumPy. i64. Errors: an axis without elements -> Error::value.
inline AnyTensor argmax(const AnyTensor& x, int axis, bool keepdims = false) {
  return detail::extreme_index("argmax", x, axis, keepdims, false);
}
inline AnyTensor argmin(const AnyTensor& x, int axis, bool keepdims = false) {
  return detail::extreme_index("argmin", x, axis, keepdims, true);
}

/// x in another dtype: rounded to nearest even, truncated to integers. Differentiable between
/// floating ones.
inline AnyTensor cast(const AnyTensor& x, Dtype to) {
  return kernel::cast(x, to, Context::current());
}

/// x on another device, x itself if it lies there. Differentiable: the gradient goes back to where
/// x lies. In a graph whose inputs lie on the host it is x. Errors: Error::device, Error::memory.
inline AnyTensor to_device(const AnyTensor& x, Device d);

namespace detail {
inline void to_device_backward(BackwardCall& call) {
  if (call.wanted & 1) settle_gradient(call, 0, to_device(call.dy, call.operand[0].device()));
}
// Attributes: whether it goes to the device of the run, or to the host.
inline AnyTensor to_device_again(const AnyTensor* x, const Attributes& a, const Extents& e) {
  check_again("to_device", x[0].extents() == e);
  return moved(x[0], a.place && a.integer[0] ? cuda(a.place - 1) : cpu);
}
inline constexpr StatementInfo to_device_info =
    function_info("to_device", to_device_backward, to_device_again);
}  // namespace detail

inline AnyTensor to_device(const AnyTensor& x, Device d) {
  if (x.record("to_device").device() == d) return x;
  AnyTensor y = detail::moved(x, d);
  Attributes a;
  a.push(!(d == cpu));
  record_function(detail::to_device_info, Context::current(), {x}, a, y);
  return y;
}

namespace op {
/// Names for messages.
struct Take {
  static constexpr const char* name = "take";
};
struct Argmax {
  static constexpr const char* name = "argmax";
};
}  // namespace op

namespace detail {
template <class I, class S>
struct TakenShape {
  static constexpr Extents extents = [] {
    Extents e = known_extents<I>();
    for (int i = 1; i < S::rank; ++i) e.extent[e.rank++] = S::known[i];
    return e;
  }();
};
template <int A, bool Keep, class X>
auto extreme_typed(const char* name, X&& x, bool least) {
  constexpr int a = axis_of<op::Argmax, A, shape_of<X>::rank>();
  using S = ShapeOf<ReplacedShape<shape_of<X>, a, (Keep ? 1 : -2)>>;
  return Tensor<std::int64_t, S>(
      extreme_index(name, expr::argument_value(std::forward<X>(x)), a, Keep, least));
}
template <class X>
auto extreme_of_all(const char* name, X&& x, bool least) {
  const AnyTensor value = expr::argument_value(std::forward<X>(x));
  Extents flat;
  flat.rank = 1, flat.extent[0] = value.record(name).size();
  Paused paused;
  return Tensor<std::int64_t, Shape<>>(extreme_index(name, reshape(value, flat), 0, false, least));
}
}  // namespace detail

/// Rows of a table: take(embedding, words).   table: [N, D...]   index: [I...]   y: [I..., D...]
/// Errors: an index that is not an integer tensor (compile time); an index outside [0, N) ->
/// Error::index.
template <TensorValue X, TensorValue I>
auto take(X&& table, I&& index) {
  using S = shape_of<X>;
  using T = element_of<I>;
  static_assert(S::rank >= 1, "tenon: take: the table needs at least one axis");
  static_assert(S::rank - 1 + shape_of<I>::rank <= max_rank,
                "tenon: take: the result would have more than 8 axes");
  if constexpr (!std::is_integral_v<T> || std::is_same_v<T, bool>)
    static_assert(sizeof(dtype_is_not_supported<op::Take, T>) > 0,
                  "tenon: take: the index must be an integer tensor");
  return Tensor<element_of<X>, detail::ShapeOf<detail::TakenShape<shape_of<I>, S>>>(take(
      expr::argument_value(std::forward<X>(table)), expr::argument_value(std::forward<I>(index))));
}

/// Where the largest element along the axis lies; of all elements in row-major order without an
/// axis.
template <TensorValue X, int A>
auto argmax(X&& x, AxisTag<A>) {
  return detail::extreme_typed<A, false>("argmax", std::forward<X>(x), false);
}
template <TensorValue X, int A>
auto argmax(X&& x, AxisTag<A>, KeepDims) {
  return detail::extreme_typed<A, true>("argmax", std::forward<X>(x), false);
}
template <TensorValue X>
auto argmax(X&& x) {
  return detail::extreme_of_all("argmax", std::forward<X>(x), false);
}
/// Where the smallest element along the axis lies.
template <TensorValue X, int A>
auto argmin(X&& x, AxisTag<A>) {
  return detail::extreme_typed<A, false>("argmin", std::forward<X>(x), true);
}
template <TensorValue X, int A>
auto argmin(X&& x, AxisTag<A>, KeepDims) {
  return detail::extreme_typed<A, true>("argmin", std::forward<X>(x), true);
}
template <TensorValue X>
auto argmin(X&& x) {
  return detail::extreme_of_all("argmin", std::forward<X>(x), true);
}

/// x with elements of type T: cast<double>(x).
template <class T, TensorValue X>
Tensor<T, shape_of<X>> cast(X&& x) {
  return Tensor<T, shape_of<X>>(cast(expr::argument_value(std::forward<X>(x)), dtype_of<T>));
}

}  // namespace tenon
