// SPDX-License-Identifier: Apache-2.0
// The operands of an operation as parts of the expression that is built: temporaries, tensors with
// a name, numbers.
#pragma once
#include <tenon/expr/symbol.hpp>

namespace tenon::inline TENON_ISA {

template <class X>
concept Number = std::is_arithmetic_v<std::remove_cvref_t<X>>;

namespace detail {

/// An operand of an operation that is being built, as run-time code sees it: an expression, which
/// joins, a tensor that has a name (who takes the handle takes a copy), or a number.
enum class PartKind : std::uint8_t { expression, leaf, number };
struct Part {
  union {
    ExpressionHead* head;
    Record* leaf;
    double number;
  };
  const ExpressionType* own;  ///< of a tensor or number
  PartKind kind;

  const ExpressionType& type() const { return kind == PartKind::expression ? *head->type : *own; }
  /// Errors: a tensor without a value, named as an operand of `name`.
  Extents extents(const char* name) const {
    if (kind == PartKind::expression) return head->extents();
    if (kind == PartKind::number) return {};
    return leaf ? leaf->shape() : AnyTensor{}.record(name).shape();
  }
};

/// A tensor that has a name, as a part of a new expression; the handle is borrowed until they join.
template <class T, class S>
class LeafPart {
 public:
  using tree = expr::LeafTree<compute_t<T>>;
  using element = T;
  using shape_type = S;
  using compute = typename tree::compute;

  static constexpr int handles = 1, scalars = 0;

  explicit LeafPart(const AnyTensor& t) : record_(t.get()) {}
  LeafPart(const Tensor<T, S>& t) : record_(t.any().get()) {}
  bool joins(Context) const {
    return record_ && !record_->writers && has_known_extents<S>(*record_);
  }
  const Index* dynamic() const { return record_->extents; }
  /// leaves_alike in an expression of this shape.
  template <class Result>
  static constexpr unsigned alike() {
    return std::is_same_v<S, Result> ? leaves_alike : 0u;
  }
  void move_to(Record** handle, double*) const {
    record_->references.count(1, Order::relaxed);
    *handle = record_;
  }
  Part part() const { return {{.leaf = record_}, &TypeOf<tree, T, S>::value, PartKind::leaf}; }

 private:
  Record* record_;
};

template <class T>
using ScalarTree = expr::Tree<compute_t<T>, expr::Facts{}, Shape<>, expr::scalar_word>;

/// A number among the operands; it takes the tensors' element type.
template <class T>
class NumberPart {
 public:
  using tree = ScalarTree<T>;
  using element = T;
  using shape_type = Shape<>;
  using compute = typename tree::compute;
  static constexpr int handles = 0, scalars = 1;

  template <Number N>
  NumberPart(N x) : number_(static_cast<double>(x)) {}
  bool joins(Context) const { return true; }
  template <class>
  static constexpr unsigned alike() {
    return leaves_alike;
  }
  void move_to(Record**, double* scalar) const { *scalar = number_; }
  Part part() const {
    return {{.number = number_}, &TypeOf<tree, T, Shape<>>::value, PartKind::number};
  }

 private:
  double number_;
};

template <class... Ps>
struct Types {};
/// Operands that are parts without any work: temporaries, tensors with a name, numbers.
template <class T, class X>
struct DirectPart {
  static constexpr bool direct = false;
};
template <class T, class X>
  requires Number<X>
struct DirectPart<T, X> {
  static constexpr bool direct = true;
  using type = NumberPart<T>;
};
template <class T, class Tr, class U, class S>
struct DirectPart<T, Expression<Tr, U, S>> {
  static constexpr bool direct = true;
  using type = Expression<Tr, U, S>;
};
template <class T, class U, class S>
struct DirectPart<T, const Tensor<U, S>&> {
  static constexpr bool direct = true;
  using type = LeafPart<U, S>;
};
template <class T, class U, class S>
struct DirectPart<T, Tensor<U, S>&> : DirectPart<T, const Tensor<U, S>&> {};

template <class T, class X>
decltype(auto) part_of(X&& x) {
  using P = std::remove_cvref_t<X>;
  if constexpr (is_expression<P> && std::is_lvalue_reference_v<X>)
    return LeafPart<element_of<X>, shape_of<X>>(x.value());
  else if constexpr (DirectPart<T, X>::direct && !is_expression<P>)
    return typename DirectPart<T, X>::type(x);
  else return part(std::forward<X>(x));
}

template <class... Xs>
struct ElementOf;
template <class X, class... Xs>
struct ElementOf<X, Xs...> : ElementOf<Xs...> {};
template <class X, class... Xs>
  requires(!Number<X> && (!expr::detail::follows<element_of<X>> || sizeof...(Xs) == 0))
struct ElementOf<X, Xs...> {
  using type = element_of<X>;
};
template <class X, class... Xs>
  requires(!Number<X> && expr::detail::follows<element_of<X>> && sizeof...(Xs) > 0)
struct ElementOf<X, Xs...> {
  template <class... Ys>
  static auto pick() {
    if constexpr ((Number<Ys> && ...)) return Type<element_of<X>>{};
    else return Type<typename ElementOf<Ys...>::type>{};
  }
  using type = typename decltype(pick<Xs...>())::type;
};

/// An expression as a part whose type does not matter.
class ExpressionPart {
 public:
  ExpressionPart(const ExpressionBase& e) : head_(&e.head()) {}
  Part part() const { return {{.head = head_}, nullptr, PartKind::expression}; }
  bool is(const ExpressionPart& other) const { return head_ == other.head_; }

 protected:
  ExpressionHead* head_;
};
/// An expression as the short way sees it: of its type matter the shape and how much it holds, so
/// that few functions serve all statements.
template <int Handles, int Scalars, bool IsValue, class S>
class ShortPart : public ExpressionPart {
 public:
  using shape_type = S;
  static constexpr int handles = Handles, scalars = Scalars;

  using ExpressionPart::ExpressionPart;
  /// Whether a statement built now may take the leaves: nothing was computed or moved yet and,
  /// unless this is a value itself, it was built under the same recorder.
  bool joins(Context now) const {
    return IsValue ? !(head_->context == closed) : head_->context == now;
  }
  const Index* dynamic() const {
    return reinterpret_cast<const Index*>(head_->handle() + Handles + Scalars);
  }
  template <class Result>
  unsigned alike() const {
    return std::is_same_v<S, Result> ? head_->flags & leaves_alike : 0u;
  }
  /// Moves leaves and scalars. One by one: two handles in one register would wait for the stores
  /// of both.
  void move_to(Record** handle, double* scalar) const {
    Record** const from = head_->handle();
    for (int i = 0; i < Handles; ++i) {
      Record* r = from[i];
      asm("" : "+r"(r));
      handle[i] = r;
    }
    std::memcpy(scalar, from + Handles, Scalars * sizeof(double));
    head_->set_moved();
  }
};
/// What stands for a part in calls of joins.
template <class P, bool Short>
struct PassedPart {
  using type = P;
};
template <class Tr, class T, class S, bool Short>
struct PassedPart<Expression<Tr, T, S>, Short> {
  using type = std::conditional_t<Short, ShortPart<Tr::handles, Tr::scalars, Tr::is_value, S>,
                                  ExpressionPart>;
};

}  // namespace detail
}  // namespace tenon
