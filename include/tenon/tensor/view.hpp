// SPDX-License-Identifier: Apache-2.0
// x(1, slice(0, 8), every): reading a part of a tensor, and writing into one.
#pragma once
#include <tenon/shape/slice.hpp>
#include <tenon/tensor/tensor.hpp>

namespace tenon::inline TENON_ISA {

/// A part of a tensor that cannot be assigned to: what indexing a constant or a temporary returns.
/// A tensor in every other respect.
template <class T, class S>
class Selected : public Tensor<T, S> {
 public:
  explicit Selected(Tensor<T, S> x) : Tensor<T, S>(std::move(x)) {}
  Selected(const Selected&) = default;
  Selected& operator=(Tensor<T, S> x) & {
    Tensor<T, S>::operator=(std::move(x));
    return *this;
  }
  Selected& operator=(const Selected& x) & = default;
  template <class X>
  void operator=(X&&) && = delete;
};

namespace detail {

template <class T, class S>
inline constexpr bool is_tensor<Selected<T, S>> = true;

/// Writes `value` into the selected part of x, which detaches first. Extents broadcast by NumPy's
/// rules.
inline void write_part(AnyTensor& x, const Selection& s, const AnyTensor& value) {
  x.host_access("write");
  const AnyTensor from = value.record("write").generated ? value.to_contiguous() : value;
  const Record& v = *from.get();
  if (v.place != x.get()->place) return write_part(x, s, from.to(x.device()));
  if (v.valueless) fail(Error::tape, {"write: only the extents of this value were kept"});
  const Extents part = s.extents();
  Index strides[max_rank] = {};
  const int extra = part.rank - v.rank;
  for (int i = 0; i < part.rank; ++i) {
    const Index have = i < extra ? 1 : v.extents[i - extra];
    if (have != part.extent[i] && have != 1) [[unlikely]]
      fail_broadcast("assignment to a view", part, v.shape(), {i, part.extent[i], have});
    strides[i] = i < extra || have != part.extent[i] ? 0 : v.strides[i - extra];
  }
  if (extra < 0) [[unlikely]]
    fail(Error::shape, {"assignment to a view: ", v.shape(), " has more axes than ", part});
  x.detach(part.size() != x.size());
  Index to[max_rank], of[max_rank];
  for (int i = 0, k = 0; i < s.rank; ++i) {
    to[i] = x.stride(i) * s.step[i];
    of[i] = s.dropped >> i & 1 ? 0 : strides[k++];
  }
  char* p = static_cast<char*>(x.get()->data) +
            s.offset(x.get()->strides) * static_cast<Index>(size_of(x.dtype()));
  if (v.place)
    return copy_strided_on(x.device(), s.full_extents(), v.dtype, v.data, of, x.dtype(), p, to);
  copy_strided(s.full_extents(), v.dtype, v.data, of, x.dtype(), p, to);
}

}  // namespace detail

/// A part of a tensor that has a name. As an operand it is a tensor, sharing memory with the whole;
/// assigned to at once, x(slice) = y, it writes into the whole, which detaches first and has a new
/// id afterwards. A view with a name of its own is a value: `auto v = x(0); v = y;` changes v and
/// never x.
template <class T, class S>
class TensorView : public Tensor<T, S> {
  using Base = Tensor<T, S>;

 public:
  TensorView(Base part, AnyTensor* whole, const Selection& selection)
      : Base(std::move(part)), whole_(whole), selection_(selection) {}
  TensorView(const TensorView& v) : Base(static_cast<const Base&>(v)) {}

  TensorView& operator=(const TensorView& y) & { return rebind(y); }
  TensorView& operator=(Base y) & { return rebind(std::move(y)); }
  TensorView& operator=(T) & = delete;

  /// x(...) = y: a tensor or expression whose extents broadcast to the part's, or a number.
  /// Errors: extents that do not fit -> Error::shape.
  void operator=(const TensorView& y) && { write(static_cast<const Base&>(y).any()); }
  template <class Y>
  void operator=(Y&& y) && {
    write(value_of(std::forward<Y>(y)));
  }
  /// x(...) += y and so on read the part, compute, and write it.
  template <class Y>
  void operator+=(Y&& y) && {
    write(value_of(static_cast<const Base&>(*this) + std::forward<Y>(y)));
  }
  template <class Y>
  void operator-=(Y&& y) && {
    write(value_of(static_cast<const Base&>(*this) - std::forward<Y>(y)));
  }
  template <class Y>
  void operator*=(Y&& y) && {
    write(value_of(static_cast<const Base&>(*this) * std::forward<Y>(y)));
  }
  template <class Y>
  void operator/=(Y&& y) && {
    write(value_of(static_cast<const Base&>(*this) / std::forward<Y>(y)));
  }

 private:
  TensorView& rebind(Base y) {
    Base::operator=(std::move(y));
    whole_ = nullptr;
    return *this;
  }
  template <class Y>
  static AnyTensor value_of(Y&& y) {
    using P = std::remove_cvref_t<Y>;
    if constexpr (std::is_arithmetic_v<P> || std::is_same_v<P, T>) {
      AnyTensor t = AnyTensor::empty(dtype_of<T>, Extents{});
      if constexpr (std::is_same_v<P, T>) {
        std::memcpy(t.raw_writable(), &y, sizeof(T));
      } else {
        constexpr Dtype d = std::is_floating_point_v<P> ? Dtype::f64 : Dtype::i64;
        const std::conditional_t<std::is_floating_point_v<P>, double, std::int64_t> number = y;
        convert(d, &number, 1, dtype_of<T>, t.raw_writable(), 1, 1);
      }
      return t;
    } else if constexpr (std::is_same_v<P, AnyTensor>) {
      if (y.record("write").dtype != dtype_of<T>) [[unlikely]]
        fail(Error::dtype, {"assignment to a view: the value holds ", name_of(y.dtype()),
                            ", the tensor ", name_of(dtype_of<T>)});
      return y;
    } else {
      static_assert(std::is_same_v<typename P::element, T>,
                    "tenon: x(...) = y: element types differ");
      return Tensor<T, typename P::shape_type>(std::forward<Y>(y)).any();
    }
  }
  void write(const AnyTensor& y) {
    if (!whole_) [[unlikely]]
      fail(Error::value,
           {"assignment to a view: a view with a name is a value of its own; assign to x(...) "
            "itself"});
    const AnyTensor value = y;
    Base::operator=(Base{});  // so that x need not detach from its own part
    detail::write_part(*whole_, selection_, value);
  }

  AnyTensor* whole_ = nullptr;
  Selection selection_;
};

template <class T, class S>
Tensor<T, S>::Tensor(TensorView<T, S> view) : any_(static_cast<Tensor&&>(view).any_) {}

// Reading goes up to function/rearrange.hpp, found by its arguments: a view of a recorded tensor is
// recorded.

template <class T, class S>
template <class... Is>
auto Tensor<T, S>::operator()(Is... index) const& {
  static_assert(sizeof...(Is) <= S::rank, "tenon: more indices than the tensor has axes");
  using R = detail::SelectedShape<S, Is...>;
  return Selected<T, R>(
      Tensor<T, R>(select_now(any_, select_indices("slice", any_.extents(), index...))));
}
template <class T, class S>
template <class... Is>
auto Tensor<T, S>::operator()(Is... index) & {
  static_assert(sizeof...(Is) <= S::rank, "tenon: more indices than the tensor has axes");
  using R = detail::SelectedShape<S, Is...>;
  const auto s = select_indices("slice", any_.extents(), index...);
  return TensorView<T, R>(Tensor<T, R>(select_now(any_, s)), &any_, s);
}
template <class T, class S>
template <class... Is>
auto Tensor<T, S>::operator()(Is... index) && {
  return static_cast<const Tensor&>(*this)(index...);
}

}  // namespace tenon
