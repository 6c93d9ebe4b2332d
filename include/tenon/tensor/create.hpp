// SPDX-License-Identifier: Apache-2.0
// Tensors from nothing, from numbers and from memory of the caller; results into memory of the
// caller.
#pragma once
#include <tenon/core/random.hpp>
#include <tenon/tensor/tensor.hpp>

#include <algorithm>
#include <initializer_list>
#include <vector>

namespace tenon::inline TENON_ISA {

namespace detail {
/// t, of which a trace is told how it was made.
inline AnyTensor as_made(Made how, AnyTensor t, double a = 0, double b = 0,
                         const AnyTensor* from = nullptr) {
  if (auto* tell = ambient().made) [[unlikely]]
    tell(how, t, from, a, b);
  return t;
}
// What follows is told to nobody.
inline AnyTensor zeroed(Dtype dtype, const Extents& e) {
  AnyTensor t = AnyTensor::empty(dtype, e);
  std::memset(t.raw_writable(), 0, static_cast<std::size_t>(t.size()) * size_of(dtype));
  return t;
}
/// first, first + step, ...: each computed from its position.
inline AnyTensor ramp(Dtype dtype, Index n, double first, double step) {
  AnyTensor t = AnyTensor::empty(dtype, {1, {n}});
  constexpr Index block = 256;
  double part[block];
  for (Index i = 0; i < n; i += block) {
    const Index m = std::min(block, n - i);
    for (Index k = 0; k < m; ++k) part[k] = first + static_cast<double>(i + k) * step;
    convert(Dtype::f64, part, 1, dtype,
            static_cast<char*>(t.raw_writable()) + i * static_cast<Index>(size_of(dtype)), 1, m);
  }
  return t;
}
/// n numbers from start to stop.
inline AnyTensor spaced(Dtype dtype, double start, double stop, Index n) {
  AnyTensor t = ramp(dtype, n, start, n > 1 ? (stop - start) / static_cast<double>(n - 1) : 0);
  if (n > 1)
    convert(Dtype::f64, &stop, 1, dtype,
            static_cast<char*>(t.raw_writable()) + (n - 1) * static_cast<Index>(size_of(dtype)), 1,
            1);
  return t;
}
/// Ones on the diagonal of a matrix.
inline AnyTensor diagonal(Dtype dtype, const Extents& e) {
  AnyTensor t = zeroed(dtype, e);
  const double one = 1;
  convert(Dtype::f64, &one, 0, dtype, t.raw_writable(), e.extent[1] + 1,
          std::min(e.extent[0], e.extent[1]));
  return t;
}
/// See one_hot.
inline AnyTensor hot(const AnyTensor& index, Dtype dtype, const Extents& e);
}  // namespace detail

/// All elements x, converted to the dtype.
inline AnyTensor full(Dtype dtype, const Extents& e, double x) {
  AnyTensor t = AnyTensor::empty(dtype, e);
  convert(Dtype::f64, &x, 0, dtype, t.raw_writable(), 1, t.size());
  return detail::as_made(detail::Made::fill, std::move(t), x);
}
inline AnyTensor zeros(Dtype dtype, const Extents& e) {
  return detail::as_made(detail::Made::fill, detail::zeroed(dtype, e));
}
inline AnyTensor ones(Dtype dtype, const Extents& e) { return full(dtype, e, 1); }

/// start, start + step, ... before stop. Errors: step 0, or not a finite number of elements ->
/// Error::value.
inline AnyTensor arange(Dtype dtype, double start, double stop, double step = 1) {
  const double n = std::ceil((stop - start) / step);
  if (!(n < 9e15))
    fail(Error::value,
         {"arange: the step does not lead from start to stop in finitely many steps"});
  AnyTensor t = detail::ramp(dtype, n > 0 ? static_cast<Index>(n) : 0, start, step);
  return detail::as_made(detail::Made::ramp, std::move(t), start, step);
}
/// n numbers from start to stop, both included. Errors: n < 0 -> Error::value.
inline AnyTensor linspace(Dtype dtype, double start, double stop, Index n) {
  if (n < 0) fail(Error::value, {"linspace: the number of elements is below 0"});
  return detail::as_made(detail::Made::linspace, detail::spaced(dtype, start, stop, n), start,
                         stop);
}
/// Ones on the diagonal of the last two axes, zeros elsewhere; rank 2.
inline AnyTensor eye(Dtype dtype, Index rows, Index columns) {
  return detail::as_made(detail::Made::eye, detail::diagonal(dtype, {2, {rows, columns}}));
}

/// Typed: zeros<float>(Shape<2, 3>{}), full<double>(Shape<dyn>{n}, 0.5).
template <class T = float, class S>
  requires detail::is_shape<S> Tensor<T, S> zeros(S shape) {
    return Tensor<T, S>(zeros(dtype_of<T>, shape.extents()));
  }
template <class T = float, class S>
  requires detail::is_shape<S> Tensor<T, S> ones(S shape) {
    return Tensor<T, S>(ones(dtype_of<T>, shape.extents()));
  }
template <class T = float, class S>
  requires detail::is_shape<S> Tensor<T, S> full(S shape, double x) {
    return Tensor<T, S>(full(dtype_of<T>, shape.extents(), x));
  }
/// Elements undefined until written.
template <class T = float, class S>
  requires detail::is_shape<S> Tensor<T, S> empty(S shape) {
    return Tensor<T, S>(AnyTensor::empty(dtype_of<T>, shape.extents()));
  }
/// start, start + step, ... before stop.
template <class T = float>
Tensor<T, Shape<dyn>> arange(double start, double stop, double step = 1) {
  return Tensor<T, Shape<dyn>>(arange(dtype_of<T>, start, stop, step));
}
template <class T = float>
Tensor<T, Shape<dyn>> arange(double stop) {
  return arange<T>(0, stop);
}
/// n numbers from start to stop, both included.
template <class T = float>
Tensor<T, Shape<dyn>> linspace(double start, double stop, Index n) {
  return Tensor<T, Shape<dyn>>(linspace(dtype_of<T>, start, stop, n));
}
/// Ones on the diagonal.
template <class T = float, Index M, Index N>
Tensor<T, Shape<M, N>> eye(Shape<M, N> shape) {
  return Tensor<T, Shape<M, N>>(eye(dtype_of<T>, shape[0], shape[1]));
}
/// A new tensor of the extents and dtype of x: a tensor or an expression, whose value is not
/// computed.
template <class X>
  requires requires {
    typename X::element;
    typename X::shape_type;
  }
auto zeros_like(const X& x) {
  return zeros<typename X::element>(typename X::shape_type(x.extents()));
}
template <class X>
  requires requires {
    typename X::element;
    typename X::shape_type;
  }
auto ones_like(const X& x) {
  return ones<typename X::element>(typename X::shape_type(x.extents()));
}
template <class X>
  requires requires {
    typename X::element;
    typename X::shape_type;
  }
auto full_like(const X& x, double value) {
  return full<typename X::element>(typename X::shape_type(x.extents()), value);
}
inline AnyTensor zeros_like(const AnyTensor& x) {
  return zeros(x.record("zeros_like").dtype, x.extents());
}
inline AnyTensor ones_like(const AnyTensor& x) {
  return ones(x.record("ones_like").dtype, x.extents());
}

namespace detail {
template <class T, class S>
Tensor<T, S> from_numbers(const T* p) {
  AnyTensor t = AnyTensor::empty(dtype_of<T>, S{}.extents());
  std::memcpy(t.raw_writable(), p, static_cast<std::size_t>(t.size()) * sizeof(T));
  return Tensor<T, S>(std::move(t));
}
template <std::size_t... N>
using ShapeOfArray = Shape<static_cast<Index>(N)...>;
}  // namespace detail

/// Numbers written down: tensor<float>({{1, 2, 3}, {4, 5, 6}}) is a Tensor<float, Shape<2, 3>>.
/// Rows of different lengths do not compile.
template <class T, std::size_t N>
Tensor<T, detail::ShapeOfArray<N>> tensor(const T (&x)[N]) {
  return detail::from_numbers<T, detail::ShapeOfArray<N>>(x);
}
template <class T, std::size_t N, std::size_t M>
Tensor<T, detail::ShapeOfArray<N, M>> tensor(const T (&x)[N][M]) {
  return detail::from_numbers<T, detail::ShapeOfArray<N, M>>(&x[0][0]);
}
template <class T, std::size_t N, std::size_t M, std::size_t K>
Tensor<T, detail::ShapeOfArray<N, M, K>> tensor(const T (&x)[N][M][K]) {
  return detail::from_numbers<T, detail::ShapeOfArray<N, M, K>>(&x[0][0][0]);
}
template <class T, std::size_t N, std::size_t M, std::size_t K, std::size_t L>
Tensor<T, detail::ShapeOfArray<N, M, K, L>> tensor(const T (&x)[N][M][K][L]) {
  return detail::from_numbers<T, detail::ShapeOfArray<N, M, K, L>>(&x[0][0][0][0]);
}
/// One number: a tensor of rank 0.
template <class T>
  requires(Element<T>)
Tensor<T, Shape<>> tensor(T x) { return detail::from_numbers<T, Shape<>>(&x); }

namespace detail {
inline void check_count(const char* name, std::size_t given, const Extents& e) {
  if (static_cast<Index>(given) != e.size()) [[unlikely]]
    fail(Error::shape, {name, ": ", given, " elements for a tensor ", e, " of ", e.size()});
}
}  // namespace detail

/// The elements in row-major order. Errors: their number does not fit -> Error::shape.
template <class T, class S>
  requires detail::is_shape<S> Tensor<T, S> tensor(S shape, std::initializer_list<T> x) {
    detail::check_count("tensor", x.size(), shape.extents());
    AnyTensor t = AnyTensor::empty(dtype_of<T>, shape.extents());
    std::copy(x.begin(), x.end(), static_cast<T*>(t.raw_writable()));
    return Tensor<T, S>(std::move(t));
  }
/// A copy of contiguous elements. Errors: their number does not fit -> Error::shape.
template <class T, class S>
  requires detail::is_shape<S> Tensor<T, S> copy_of(std::span<const T> x, S shape) {
    detail::check_count("copy_of", x.size(), shape.extents());
    AnyTensor t = AnyTensor::empty(dtype_of<T>, shape.extents());
    std::copy(x.begin(), x.end(), static_cast<T*>(t.raw_writable()));
    return Tensor<T, S>(std::move(t));
  }

/// Memory of the caller, read in place and never written through; it must outlive every tensor that
/// reads it, or `release(context)` is called when none does any more.
template <class T, class S>
  requires detail::is_shape<S> Tensor<T, S> from_pointer(const T* data, S shape,
                                                         void (*release)(void*) = nullptr,
                                                         void* context = nullptr) {
    return Tensor<T, S>(AnyTensor::adopt(dtype_of<T>, shape.extents(), data, release, context));
  }
/// The same for a span. Errors: its size does not fit -> Error::shape.
template <class T, std::size_t N, class S>
  requires detail::is_shape<S> Tensor<std::remove_const_t<T>, S> from_span(std::span<T, N> x,
                                                                           S shape) {
    detail::check_count("from_span", x.size(), shape.extents());
    return from_pointer<std::remove_const_t<T>>(x.data(), shape);
  }
/// A vector moved in: no copy, freed with the last tensor. Errors: its size does not fit ->
/// Error::shape.
template <class T, class S>
  requires(detail::is_shape<S> && !std::is_same_v<T, bool>)
Tensor<T, S> adopt(std::vector<T>&& x, S shape) {
  detail::check_count("adopt", x.size(), shape.extents());
  auto* own = new std::vector<T>(std::move(x));
  return from_pointer<T>(
      own->data(), shape, [](void* p) { delete static_cast<std::vector<T>*>(p); }, own);
}

/// The left side of into(memory) = expression.
template <class T>
class Into {
 public:
  explicit Into(std::span<T> out) : out_(out) {}
  /// Writes the value's elements in row-major order. Errors: their number differs -> Error::shape.
  template <class X>
  void operator=(X&& x) && {
    using P = std::remove_cvref_t<X>;
    if constexpr (std::is_same_v<P, AnyTensor>) {
      copy(x);
    } else {
      static_assert(std::is_same_v<typename P::element, T>,
                    "tenon: into(span) = x: element types differ");
      copy(Tensor<T, typename P::shape_type>(std::forward<X>(x)).any());
    }
  }

 private:
  void copy(const AnyTensor& x) {
    x.record("into").size();
    x.host_access("into");
    detail::check_count("into", out_.size(), x.extents());
    detail::copy_out(*x.get(), dtype_of<T>, out_.data());
  }
  std::span<T> out_;
};
/// Results leave into the caller's memory: into(std::span(y)) = tanh(x) * 2;
template <class T, std::size_t N>
Into<T> into(std::span<T, N> out) {
  return Into<T>(out);
}
template <class T>
Into<T> into(T* out, Index n) {
  return Into<T>(std::span<T>(out, static_cast<std::size_t>(n)));
}

namespace detail {
template <class R>
concept Generator = std::is_same_v<std::remove_cvref_t<R>, Rng>;
template <class T>
using fill_type = std::conditional_t<std::is_same_v<T, double>, double, float>;
}  // namespace detail

// Each call takes one draw of the generator: the same generator gives other numbers next time,
// rng.stream(name) always the same.

/// Uniform numbers in [low, high). T: f32, f64. Errors: low > high or not finite -> Error::value.
template <class T = float, class S, detail::Generator R>
  requires detail::is_shape<S> Tensor<T, S> uniform(R&& rng, S shape, double low = 0,
                                                    double high = 1) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "tenon: uniform makes f32 or f64");
    AnyTensor t = AnyTensor::empty(dtype_of<T>, shape.extents());
    fill_uniform(rng.next(), 0, t.size(), static_cast<T*>(t.raw_writable()), static_cast<T>(low),
                 static_cast<T>(high));
    return Tensor<T, S>(std::move(t));
  }
/// Normal numbers. T: f32, f64. Errors: deviation < 0 or not finite -> Error::value.
template <class T = float, class S, detail::Generator R>
  requires detail::is_shape<S> Tensor<T, S> normal(R&& rng, S shape, double mean = 0,
                                                   double deviation = 1) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "tenon: normal makes f32 or f64");
    AnyTensor t = AnyTensor::empty(dtype_of<T>, shape.extents());
    fill_normal(rng.next(), 0, t.size(), static_cast<T*>(t.raw_writable()), static_cast<T>(mean),
                static_cast<T>(deviation));
    return Tensor<T, S>(std::move(t));
  }
/// Integers in [low, high). Errors: low >= high -> Error::value.
template <class S, detail::Generator R>
  requires detail::is_shape<S> Tensor<std::int64_t, S> randint(R&& rng, Index low, Index high,
                                                               S shape) {
    AnyTensor t = AnyTensor::empty(Dtype::i64, shape.extents());
    fill_integers(rng.next(), 0, t.size(), static_cast<std::int64_t*>(t.raw_writable()), low, high);
    return Tensor<std::int64_t, S>(std::move(t));
  }
/// A permutation of 0 .. n - 1.
template <detail::Generator R>
Tensor<std::int64_t, Shape<dyn>> permutation(R&& rng, Index n) {
  AnyTensor t = AnyTensor::empty(Dtype::i64, {1, {n}});
  permutation(rng.next(), n, static_cast<std::int64_t*>(t.raw_writable()));
  return Tensor<std::int64_t, Shape<dyn>>(std::move(t));
}

/// A new last axis that is 1 at the index and 0 elsewhere.   index: [...] integer   y: [...,
/// classes] Errors: an index outside [0, classes) -> Error::index; a floating index ->
/// Error::dtype.
inline AnyTensor one_hot(const AnyTensor& index, Index classes, Dtype dtype = Dtype::f32) {
  Extents e = index.record("one_hot").shape();
  if (is_floating(index.dtype()))
    fail(Error::dtype, {"one_hot: the index must be an integer tensor"});
  if (e.rank == max_rank) fail(Error::shape, {"one_hot: the index ", e, " has 8 axes already"});
  e.extent[e.rank++] = classes;
  return detail::as_made(detail::Made::one_hot, detail::hot(index, dtype, e), 0, 0, &index);
}
// e: the extents of the index, and the classes.
inline AnyTensor detail::hot(const AnyTensor& index, Dtype dtype, const Extents& e) {
  // From a device by way of the host.
  const AnyTensor at = moved(index, cpu).to(Dtype::i64).to_contiguous();
  const auto* p = static_cast<const std::int64_t*>(at.raw());
  const Index classes = e.extent[e.rank - 1];
  AnyTensor y = zeroed(dtype, e);
  const double one = 1;
  for (Index i = 0, n = at.size(); i < n; ++i) {
    if (p[i] < 0 || p[i] >= classes) [[unlikely]]
      fail(Error::index, {"one_hot: index ", p[i], " at position ", i, " is out of range for ",
                          classes, " classes"});
    char* to = static_cast<char*>(y.raw_writable()) +
               (i * classes + p[i]) * static_cast<Index>(size_of(dtype));
    convert(Dtype::f64, &one, 1, dtype, to, 1, 1);
  }
  return moved(y, index.device());
}
template <Index Classes, class T = float, class I, Index... Es>
Tensor<T, Shape<Es..., Classes>> one_hot(const Tensor<I, Shape<Es...>>& index) {
  static_assert(Classes >= 0 && std::is_integral_v<I>,
                "tenon: one_hot<classes>(index) needs an integer tensor");
  return Tensor<T, Shape<Es..., Classes>>(one_hot(index.any(), Classes, dtype_of<T>));
}
template <class T = float, class I, Index... Es>
Tensor<T, Shape<Es..., dyn>> one_hot(const Tensor<I, Shape<Es...>>& index, Index classes) {
  static_assert(std::is_integral_v<I>, "tenon: one_hot(index, classes) needs an integer tensor");
  return Tensor<T, Shape<Es..., dyn>>(one_hot(index.any(), classes, dtype_of<T>));
}

}  // namespace tenon
