// SPDX-License-Identifier: Apache-2.0
// Expression: what an operator on tensors returns. It computes when its value is asked for, as one group with
// the temporaries it was built from.
#pragma once
#include <tenon/expr/rules.hpp>
#include <tenon/tensor/tensor.hpp>

namespace tenon::inline TENON_ISA {

namespace detail {
inline void move_handles(AnyTensor* to, AnyTensor* from, int n) {
  for (int i = 0; i < n; ++i) to[i].swap(from[i]);
}
}  // namespace detail

namespace detail {
/// Runs a tree as one statement. The call up to kernel/ is found by its arguments; without
/// <tenon/kernel/materialise.hpp> it does not compile.
template <class E>
AnyTensor materialise(const E& e) {
  using Tr = typename E::tree;
  if constexpr (Tr::words == 1 && Tr::leaves == 1 && !Tr::facts.product) {
    return e.leaves()[0];
  } else {
    using L = expr::Lowering<Tr>;
    constexpr expr::CallFacts fixed{Tr::facts.axes, Tr::facts.total, 0, L::value.keepdims,
                                    L::value.dropped_leaves};
    expr::CallFacts facts = fixed;
    facts.transposed = static_cast<std::uint8_t>(e.flags());
    return run_statement(expr::GroupTag<typename L::group, typename Tr::compute, Tr::facts.product>{}, e.leaves(),
                         Tr::handles, e.scalars(), facts, dtype_of<typename E::element>, e.context());
  }
}
}  // namespace detail

/// Either unevaluated (handles of its leaves, scalars, the context it was built in) or a value, never both.
/// Temporaries fuse: an rvalue joins the statement around it. Names materialise: one that has a name is evaluated
/// once, on first use. Copying evaluates first, moving does not. It belongs to one thread.
template <class Tr, class T, class S>
class Expression {
 public:
  using tree = Tr;
  using element = T;
  using shape_type = S;
  using compute = typename Tr::compute;
  static constexpr int rank = S::rank;

  Expression(S shape, Context context) : shape_(shape), context_(context) {}
  Expression(Expression&& other) noexcept : shape_(other.shape_), context_(other.context_), flags_(other.flags_) {
    detail::move_handles(leaf_, other.leaf_, Tr::handles);
    for (int i = 0; i < Tr::scalars; ++i) scalar_[i] = other.scalar_[i];
    value_.swap(other.value_);
  }
  Expression(const Expression& other) : shape_(other.shape_), context_(other.context_), value_(other.value()) {}
  template <class X>
  Expression& operator=(X&&) {
    static_assert(sizeof(X) == 0,
                  "tenon: an expression cannot be assigned to; write `Tensor h = ...` where the variable is made");
    return *this;
  }

  /// The value, computed on first use under the context of construction.
  const AnyTensor& value() const {
    if (!value_.defined()) {
      value_ = detail::materialise(*this);
      for (int i = 0; i < Tr::handles; ++i) leaf_[i] = AnyTensor{};
    }
    return value_;
  }
  /// The value, leaving nothing behind.
  AnyTensor take() && {
    if (value_.defined()) return std::move(value_);
    return detail::materialise(*this);
  }
  bool evaluated() const { return value_.defined(); }

  S shape() const { return shape_; }
  Extents extents() const { return shape_.extents(); }
  Index extent(int axis) const {
    Extents e = extents();
    return e.extent[normalize_axis("extent", axis, e.rank)];
  }
  Context context() const { return context_; }
  T item() const { return Tensor<T, S>(value()).item(); }

  // For joining and the door.
  AnyTensor* leaves() const { return leaf_; }
  const double* scalars() const { return scalar_; }
  double* scalars() { return scalar_; }
  unsigned flags() const { return flags_; }
  void set_flags(unsigned f) { flags_ = f; }
  const AnyTensor& held() const { return value_; }
  void set_context(Context c) { context_ = c; }
  void set_value(AnyTensor v) { value_ = std::move(v); }

 private:
  [[no_unique_address]] S shape_;
  Context context_;
  unsigned flags_ = 0;  // bits 0, 1: the product's operands are transposed
  mutable AnyTensor value_;
  mutable AnyTensor leaf_[Tr::handles > 0 ? Tr::handles : 1];
  double scalar_[Tr::scalars > 0 ? Tr::scalars : 1] = {};
};

/// x^T of the last two axes, held back so that a product can take it as it is; anywhere else it becomes a view.
template <class T, class S, class V>
class Transposed;

namespace detail {
template <class X>
inline constexpr bool is_transposed = false;
template <class T, class S, class V>
inline constexpr bool is_transposed<Transposed<T, S, V>> = true;
template <class X>
inline constexpr bool is_view = false;
template <class T, class S>
inline constexpr bool is_view<TensorView<T, S>> = true;
}  // namespace detail

namespace expr {
class Symbol;
}

/// A tensor, an expression of tensors, or a placeholder inside `fuse`.
template <class X>
concept TensorExpr =
    detail::is_tensor<std::remove_cvref_t<X>> || detail::is_expression<std::remove_cvref_t<X>> ||
    detail::is_transposed<std::remove_cvref_t<X>> || detail::is_view<std::remove_cvref_t<X>> ||
    std::is_same_v<std::remove_cvref_t<X>, expr::Symbol>;

/// The element type and the Shape of a TensorExpr.
template <class X>
using element_of = typename std::remove_cvref_t<X>::element;
template <class X>
using shape_of = typename std::remove_cvref_t<X>::shape_type;

namespace detail {

template <class T, class S>
Expression<expr::LeafTree<compute_t<T>>, T, S> leaf_expression(AnyTensor t, S shape) {
  Expression<expr::LeafTree<compute_t<T>>, T, S> e(shape, Context::current());
  e.leaves()[0].swap(t);
  return e;
}

/// An operand as a part of a new expression: temporaries as they are, whatever has a name as a leaf.
template <class X>
decltype(auto) part(X&& x) {
  using P = std::remove_cvref_t<X>;
  using T = typename P::element;
  using S = typename P::shape_type;
  if constexpr (is_tensor<P>) {
    if constexpr (S::is_static) {
      return leaf_expression<T>(std::forward<X>(x).any(), S{});
    } else {
      S shape = x.shape();
      return leaf_expression<T>(std::forward<X>(x).any(), shape);
    }
  } else if constexpr (is_expression<P>) {
    if constexpr (std::is_lvalue_reference_v<X>) return leaf_expression<T>(x.value(), x.shape());
    else return static_cast<P&&>(x);
  } else {
    Tensor<T, S> t(std::forward<X>(x));
    return leaf_expression<T>(t.any(), t.shape());
  }
}

/// The value of a part, as a leaf.
template <class E>
auto as_leaf(E&& e) {
  auto shape = e.shape();
  return leaf_expression<typename E::element>(std::move(e).take(), shape);
}

}  // namespace detail
}  // namespace tenon
