// SPDX-License-Identifier: Apache-2.0
// Tensor<T, Shape>: a typed view of an AnyTensor, checked when it is made.
#pragma once
#include <tenon/tensor/any_tensor.hpp>

#include <concepts>

namespace tenon::inline TENON_ISA {

namespace op {
struct Assign;  // `Tensor<T, S> x = value`, in messages
}
// Undefined on purpose: see expr/rules.hpp.
template <class Operation, class Axis, Index Left, Index Right>
struct extents_differ;
template <class Operation, class... Types>
struct dtypes_differ;
template <class Operation, int Left, int Right>
struct ranks_do_not_fit;

template <class T, class S>
class Tensor;
template <class Tree, class T, class S>
class Expression;
template <class T, class S>
class TensorView;

namespace detail {
template <class X>
inline constexpr bool is_expression = false;
template <class Tree, class T, class S>
inline constexpr bool is_expression<Expression<Tree, T, S>> = true;
template <class X>
inline constexpr bool is_tensor = false;
template <class T, class S>
inline constexpr bool is_tensor<Tensor<T, S>> = true;

/// Whether a record has the rank of S, and its extents where S knows them.
template <class S>
TENON_INLINE bool fits(const Record& r) {
  bool same = r.rank == S::rank;
  for (int i = 0; same && i < S::rank; ++i)
    same = S::known[i] == dyn || S::known[i] == r.extents[i];
  return same;
}

// Says that a value has the type's dtype, rank and extents.
struct Trusted {};

// Whether a value of type U and shape R can be held as T and S; what cannot does not compile, with
// both in the error's first line.
template <class T, class S, class U, class R>
constexpr bool assignable() {
  if constexpr (!std::is_same_v<T, U>) {
    return sizeof(dtypes_differ<op::Assign, T, U>) > 0;
  } else if constexpr (S::rank != R::rank) {
    return sizeof(ranks_do_not_fit<op::Assign, S::rank, R::rank>) > 0;
  } else {
    constexpr int bad = [] {
      for (int i = 0; i < S::rank; ++i)
        if (S::known[i] != R::known[i] && S::known[i] != dyn && R::known[i] != dyn) return i;
      return -1;
    }();
    if constexpr (bad >= 0)
      return sizeof(extents_differ<op::Assign, AxisTag<bad>, S::known[bad], R::known[bad]>) > 0;
    else return true;
  }
}

TENON_COLD inline void fail_assign(const char* name, const Record& r, Dtype dtype,
                                   const Extents& known) {
  if (r.dtype != dtype)
    fail(Error::dtype,
         {name, ": the value holds ", name_of(r.dtype), ", the tensor's type is ", name_of(dtype)});
  if (r.rank != known.rank)
    fail(Error::shape, {name, ": the value ", r.shape(), " has rank ", int(r.rank),
                        ", the tensor's type has rank ", known.rank});
  for (int i = 0; i < known.rank; ++i)
    if (known.extent[i] != dyn && known.extent[i] != r.extents[i])
      fail(Error::shape, {name, ": extents differ on axis ", i, ": the value is ", r.shape(), " (",
                          r.extents[i], " vs ", known.extent[i], ")"});
}

template <std::size_t First, std::size_t...>
inline constexpr Index first_of = static_cast<Index>(First);
template <std::size_t First, std::size_t... N>
inline constexpr bool all_equal = ((First == N) && ...);

// One number written down in a list, as an element of type T.
template <class T>
struct Written {
  T value;
  template <class U>
    requires(std::is_arithmetic_v<U> || std::is_same_v<U, T>)
  constexpr Written(U x) : value(made(x)) {
    static_assert(!std::is_integral_v<T> || std::is_integral_v<U> || std::is_same_v<U, T>,
                  "tenon: Tensor = {...}: a floating number in a list of integers");
  }

 private:
  template <class U>
  static constexpr T made(U x) {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<U, T>) return static_cast<T>(x);
    else return T(static_cast<float>(x));  // a storage type
  }
};

/// A new tensor from pieces along its first axis, contiguous each.
inline AnyTensor from_pieces(Dtype dtype, const Extents& e, std::span<const void* const> piece) {
  AnyTensor t = AnyTensor::empty(dtype, e);
  const std::size_t bytes = static_cast<std::size_t>(t.size()) * size_of(dtype) / piece.size();
  char* to = static_cast<char*>(t.raw_writable());
  for (const void* from : piece) std::memcpy(to, from, bytes), to += bytes;
  return t;
}
}  // namespace detail

/// Element type T, extents S: what S leaves `dyn` is known at run time. One pointer wide; copies
/// are O(1) and share their elements until one is written. A default-constructed tensor holds
/// nothing.
template <class T, class S>
class Tensor {
 public:
  using element = T;
  using shape_type = S;
  static constexpr int rank = S::rank;

  Tensor() = default;
  Tensor(detail::Trusted, AnyTensor any) : any_(std::move(any)) {}
  /// Checks dtype, rank and static extents. Errors: Error::dtype, Error::shape.
  Tensor(AnyTensor any) : any_(std::move(any)) { check("tensor"); }
  /// Evaluates an expression of the same element type whose extents fit.
  template <class X>
    requires(detail::is_expression<std::remove_cvref_t<X>>)
  Tensor(X&& x) : any_(detail_value(std::forward<X>(x))) {
    using E = std::remove_cvref_t<X>;
    static_assert(detail::assignable<T, S, typename E::element, typename E::shape_type>(),
                  "tenon: Tensor = expression: element types, ranks or extents differ");
    if constexpr (!std::is_same_v<typename E::shape_type, S>) check("tensor");
  }
  template <class U, class R>
    requires(!std::is_same_v<R, S> && std::is_same_v<U, T>)
  Tensor(const Tensor<U, R>& other) : any_(other.any()) {
    static_assert(detail::assignable<T, S, U, R>(),
                  "tenon: Tensor = tensor: ranks or extents differ");
    check("tensor");
  }
  Tensor(TensorView<T, S> view);

  /// Numbers written down, ranks 1 to 4: Tensor<float, Shape<2, 3>> x = {{1, 2, 3}, {4, 5, 6}};
  /// Lists that do not have the tensor's static extents, ragged ones among them, do not compile.
  Tensor(detail::Written<T> x) requires(S::rank == 1) : any_(written<1>(&x)) {}
  template <class... U>
    requires(S::rank == 1 && sizeof...(U) > 1 &&
             (std::is_convertible_v<U, detail::Written<T>> && ...))
  Tensor(U... x) {
    const detail::Written<T> row[] = {x...};
    any_ = written<sizeof...(U)>(row);
  }
  template <std::size_t... N>
    requires(S::rank == 2 && sizeof...(N) > 0)
  Tensor(const detail::Written<T> (&... row)[N]) {
    static_assert(detail::all_equal<N...>,
                  "tenon: Tensor = {{...}, ...}: rows of different lengths");
    any_ = written<sizeof...(N), detail::first_of<N...>>(row...);
  }
  template <std::size_t... N, std::size_t M>
    requires(S::rank == 3 && sizeof...(N) > 0)
  Tensor(const detail::Written<T> (&... piece)[N][M]) {
    static_assert(detail::all_equal<N...>,
                  "tenon: Tensor = {{{...}, ...}, ...}: pieces of different lengths");
    any_ = written<sizeof...(N), detail::first_of<N...>, M>(piece...);
  }
  template <std::size_t... N, std::size_t M, std::size_t K>
    requires(S::rank == 4 && sizeof...(N) > 0)
  Tensor(const detail::Written<T> (&... piece)[N][M][K]) {
    static_assert(detail::all_equal<N...>,
                  "tenon: Tensor = {{{...}, ...}, ...}: pieces of different lengths");
    any_ = written<sizeof...(N), detail::first_of<N...>, M, K>(piece...);
  }

  const AnyTensor& any() const { return any_; }
  AnyTensor& any() { return any_; }
  operator const AnyTensor&() const { return any_; }
  bool defined() const { return any_.defined(); }

  S shape() const { return S(any_.extents()); }
  Extents extents() const { return any_.extents(); }
  Index extent(int axis) const { return any_.extent(axis); }
  Index size() const { return any_.size(); }
  std::uint64_t id() const { return any_.id(); }
  bool contiguous() const { return any_.contiguous(); }

  /// The elements for the host to read, at the strides of any().
  const T* data() const { return any_.data<T>(); }
  /// The only element. Errors: Error::shape unless there is exactly one.
  T item() const {
    if (any_.size() != 1)
      fail(Error::shape,
           {"item: the tensor ", any_.extents(), " has ", any_.size(), " elements, not 1"});
    return *any_.to(cpu).to_contiguous().template data<T>();
  }
  /// Contiguous elements to read. The span lives as long as the tensor is not written. Errors:
  /// Error::value when the elements are not contiguous.
  std::span<const T> span() const {
    if (!any_.contiguous())
      fail(Error::value, {"span: the tensor is a view with gaps; use to_contiguous()"});
    return {data(), static_cast<std::size_t>(size())};
  }
  /// Scoped writable access: detaches first; while the object lives, copying the tensor copies its
  /// data.
  Writer<T> write() { return any_.template write<T>(); }
  Tensor clone() const { return same(any_.clone()); }
  Tensor to_contiguous() const { return same(any_.to_contiguous()); }
  /// This value on another device, of the same type: see AnyTensor::to.
  Tensor to(Device device) const { return Tensor(any_.to(device)); }
  Device device() const { return any_.device(); }

  /// A view of one element, a row, a slice, ...: tensor/view.hpp. Of an lvalue it can be assigned
  /// to.
  template <class... Is>
  auto operator()(Is... index) const&;
  template <class... Is>
  auto operator()(Is... index) &;
  template <class... Is>
  auto operator()(Is... index) &&;

 private:
  template <class X>
  static AnyTensor detail_value(X&& x) {
    if constexpr (std::is_lvalue_reference_v<X>) return x.value();
    else return std::forward<X>(x).take();
  }
  // A copy of this value, as a trace is told.
  Tensor same(AnyTensor copy) const {
    if (auto* tell = ambient().made) [[unlikely]]
      tell(detail::Made::same, copy, &any_, 0, 0);
    return Tensor(std::move(copy));
  }
  // The list's extents E; its pieces along the first axis, or all its numbers.
  template <std::size_t... E, class... P>
  static AnyTensor written(const P&... piece) {
    using L = Shape<static_cast<Index>(E)...>;
    static_assert(sizeof(detail::Written<T>) == sizeof(T));
    static_assert(detail::assignable<T, S, T, L>(), "tenon: Tensor = {...}: extents differ");
    const void* from[] = {static_cast<const void*>(piece)...};
    return detail::from_pieces(dtype_of<T>, L{}.extents(), from);
  }
  void check(const char* name) const {
    const Record& r = any_.record(name);
    if (r.dtype != dtype_of<T> || !detail::fits<S>(r)) [[unlikely]] {
      Extents known;
      known.rank = S::rank;
      for (int i = 0; i < S::rank; ++i) known.extent[i] = S::known[i];
      detail::fail_assign(name, r, dtype_of<T>, known);
    }
  }
  AnyTensor any_;
};

/// `Tensor h = expression;` finds element type and shape.
template <class Tree, class T, class S>
Tensor(Expression<Tree, T, S>) -> Tensor<T, S>;
template <class T, class S>
Tensor(TensorView<T, S>) -> Tensor<T, S>;
/// `Tensor x = {{1.f, 2.f}, {3.f, 4.f}};` finds element type and extents: two or more numbers, or
/// lists of one type of number. One number alone says too little: tensor(x) has rank 0, and
/// Tensor<float, Shape<1>> x = {5} rank 1.
template <Element T, std::same_as<T>... U>
  requires(sizeof...(U) > 0)
Tensor(T, U...)
->Tensor<T, Shape<1 + static_cast<Index>(sizeof...(U))>>;
template <Element T, std::size_t... N>
  requires(sizeof...(N) > 0)
Tensor(const T (&... x)[N])
->Tensor<T, Shape<static_cast<Index>(sizeof...(N)), detail::first_of<N...>>>;
template <Element T, std::size_t... N, std::size_t M>
  requires(sizeof...(N) > 0)
Tensor(const T (&... x)[N][M])
->Tensor<T, Shape<static_cast<Index>(sizeof...(N)), detail::first_of<N...>, static_cast<Index>(M)>>;
template <Element T, std::size_t... N, std::size_t M, std::size_t K>
  requires(sizeof...(N) > 0)
Tensor(const T (&... x)[N][M][K])
->Tensor<T, Shape<static_cast<Index>(sizeof...(N)), detail::first_of<N...>, static_cast<Index>(M),
                  static_cast<Index>(K)>>;

}  // namespace tenon
