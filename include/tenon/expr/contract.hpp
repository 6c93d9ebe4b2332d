// SPDX-License-Identifier: Apache-2.0
// matmul and transpose: a product begins an expression whose element-wise epilogue fuses with it.
#pragma once
#include <tenon/expr/map.hpp>

namespace tenon::inline TENON_ISA {

namespace op {
/// Names the product in messages.
struct Matmul {
  static constexpr const char* name = "matmul";
};
struct Transpose {
  static constexpr const char* name = "transpose";
};
}  // namespace op

template <class T, class S, class V>
class Transposed {
 public:
  using element = T;
  using shape_type = S;
  explicit Transposed(Tensor<T, V> x) : x_(std::move(x)) {}
  const Tensor<T, V>& original() const { return x_; }
  S shape() const { return S(extents()); }
  Extents extents() const {
    Extents e = x_.extents();
    std::swap(e.extent[e.rank - 1], e.extent[e.rank - 2]);
    return e;
  }
  operator Tensor<T, S>() const { return Tensor<T, S>(transpose_now(x_.any())); }

 private:
  Tensor<T, V> x_;
};

namespace detail {

template <class S>
struct SwappedShape {
  static constexpr Extents extents = [] {
    Extents e = known_extents<S>();
    Index last = e.extent[e.rank - 1];
    e.extent[e.rank - 1] = e.extent[e.rank - 2], e.extent[e.rank - 2] = last;
    return e;
  }();
};

template <class A, class B>
struct ProductShape {
  static_assert(A::rank >= 2 && B::rank >= 2);
  static constexpr Extents a = known_extents<A>(), b = known_extents<B>();
  static constexpr Index inner_a = a.extent[a.rank - 1], inner_b = b.extent[b.rank - 2];
  static constexpr bool check() {
    if constexpr (inner_a != inner_b && inner_a != dyn && inner_b != dyn)
      return sizeof(extents_differ<op::Matmul, AxisTag<A::rank - 1>, inner_a, inner_b>) > 0;
    return true;
  }
  static_assert(check(), "tenon: matmul: inner extents differ");
  static constexpr Broadcast batch = [] {
    Extents x = a, y = b;
    x.rank -= 2, y.rank -= 2;
    return broadcast(x, y);
  }();
  static constexpr bool check_batch() {
    if constexpr (!batch.mismatch.ok())
      return sizeof(extents_do_not_broadcast<op::Matmul, AxisTag<batch.mismatch.axis>,
                                             batch.mismatch.left, batch.mismatch.right>) > 0;
    return true;
  }
  static_assert(check_batch(), "tenon: matmul: batch extents do not broadcast");
  static constexpr Extents extents = [] {
    Extents e = batch.extents;
    e.extent[e.rank++] = a.extent[a.rank - 2];
    e.extent[e.rank++] = b.extent[b.rank - 1];
    return e;
  }();
};

[[noreturn]] TENON_COLD inline void fail_product(const Extents& a, const Extents& b) {
  fail(Error::shape, {"matmul: inner extents differ on axis ", a.rank - 1, ": ", a, " and ", b,
                      " (", a.extent[a.rank - 1], " vs ", b.extent[b.rank - 2], ")"});
}
inline Extents product_extents(const Extents& a, const Index* known_a, const Extents& b,
                               const Index* known_b) {
  if (a.extent[a.rank - 1] != b.extent[b.rank - 2]) [[unlikely]]
    fail_product(a, b);
  Extents x = a, y = b;
  x.rank -= 2, y.rank -= 2;
  Extents e = broadcast_checked("matmul", x, known_a, y, known_b);
  e.extent[e.rank++] = a.extent[a.rank - 2];
  e.extent[e.rank++] = b.extent[b.rank - 1];
  return e;
}

// An operand of a product as a value: a transposed one is taken as it lies.
template <class X>
AnyTensor product_operand(X&& x, bool& transposed) {
  using P = std::remove_cvref_t<X>;
  transposed = is_transposed<P>;
  if constexpr (is_transposed<P>) return x.original().any();
  else if constexpr (is_tensor<P>) return x.any();
  else if constexpr (is_expression<P> && !std::is_lvalue_reference_v<X>)
    return std::forward<X>(x).take();
  else if constexpr (is_expression<P>) return x.value();
  else return Tensor<element_of<X>, shape_of<X>>(std::forward<X>(x)).any();
}

}  // namespace detail

/// x with its last two axes exchanged. A view; inside a product not even that.   x: [..., m, n]
/// y: [..., n, m]
template <class X>
  requires(detail::is_tensor<std::remove_cvref_t<X>> ||
           detail::is_expression<std::remove_cvref_t<X>>)
auto transpose(X&& x) {
  using S = shape_of<X>;
  static_assert(S::rank >= 2, "tenon: transpose needs at least two axes");
  using T = element_of<X>;
  return Transposed<T, detail::ShapeOf<detail::SwappedShape<S>>, S>(
      Tensor<T, S>(std::forward<X>(x)));
}

/// y = a b, batches broadcast.   a: [..., m, k]   b: [..., k, n]   y: [..., m, n]   f32 or f64
/// What follows element by element joins it as its epilogue. Operands that are expressions are
/// evaluated.
/// Errors: inner extents differ, batch extents do not broadcast -> compile error, or Error::shape
/// where dyn.
template <TensorExpr A, TensorExpr B>
auto matmul(A&& a, B&& b) {
  using SA = shape_of<A>;
  using SB = shape_of<B>;
  static_assert(SA::rank >= 2 && SB::rank >= 2,
                "tenon: matmul: both operands need at least two axes");
  using T = element_of<A>;
  using C = compute_t<T>;
  if constexpr (!std::is_same_v<C, compute_t<element_of<B>>>)
    static_assert(sizeof(dtypes_differ<op::Matmul, T, element_of<B>>) > 0,
                  "tenon: matmul: element types differ");
  if constexpr (!std::is_floating_point_v<C>)
    static_assert(sizeof(dtype_is_not_supported<op::Matmul, T>) > 0,
                  "tenon: matmul needs f32 or f64");
  using S = detail::ShapeOf<detail::ProductShape<SA, SB>>;
  constexpr expr::Facts facts{0, expr::Level::full, true, 0, 0};
  bool ta, tb;
  Expression<expr::Tree<C, facts, Shape<>, expr::product_word>, T, S> e;
  detail::ExpressionHead& h = e.head();
  h.context = Context::current();
  if constexpr (!SA::is_static || !SB::is_static)
    h.set_extents(detail::product_extents(a.extents(), SA::known, b.extents(), SB::known).extent);
  h.leaf()[1] = detail::product_operand(std::forward<A>(a), ta);
  h.leaf()[2] = detail::product_operand(std::forward<B>(b), tb);
  h.leaf()[1].record("matmul"), h.leaf()[2].record("matmul");
  h.flags = (ta ? 1u : 0u) | (tb ? 2u : 0u);
  return e;
}

}  // namespace tenon
