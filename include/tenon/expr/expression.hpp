// SPDX-License-Identifier: Apache-2.0
// Expression: what an operator on tensors returns. It computes when its value is asked for, as one
// group with the temporaries it was built from.
#pragma once
#include <tenon/expr/rules.hpp>
#include <tenon/tensor/tensor.hpp>

namespace tenon::inline TENON_ISA {

struct OpInfo;
struct StatementInfo;
struct BasicOps;

namespace expr {
/// Names an operation and its compute type, or a compute type and whether there is a product, in
/// calls up to kernel/.
template <class Op, class C>
struct OpTag {};
template <class C, bool Product>
struct ConstantsTag {};
}  // namespace expr

namespace detail {

/// What statements of a compute type need from kernel/.
struct KernelConstants {
  const BasicOps* basics;
  const StatementInfo* product;  ///< the product alone, or null
};

/// Everything about an expression's type that run-time code asks for: a constant of the program.
struct ExpressionType {
  const expr::Word* word;
  const OpInfo* const* op;  ///< per word; null for leaves and scalars
  const OpInfo* peak;       ///< logsumexp's first half, where it occurs
  int words, leaves, handles, scalars;
  bool is_value;  ///< a leaf or a number: belongs to any context
  expr::Facts facts;
  KernelConstants constants;
  Dtype compute, element;
  bool is_static;
  Extents known;  ///< dyn where run time decides
};

/// An expression as run-time code sees it. Behind it lie its leaves, its scalars and, where the
/// type does not know them all, its extents.
struct ExpressionHead {
  const ExpressionType* type;
  Context context;
  Record* value = nullptr;
  unsigned flags = 0;     ///< bits 0, 1: the product's operands are transposed
  bool moved = false;     ///< nothing is left to release
  bool borrowed = false;  ///< a LeafPart: who takes its handle takes a copy

  AnyTensor* leaf() { return reinterpret_cast<AnyTensor*>(this + 1); }
  Record** handle() { return reinterpret_cast<Record**>(this + 1); }  ///< leaves, to be moved
  double* scalar() { return reinterpret_cast<double*>(leaf() + type->handles); }
  Index* dynamic() { return reinterpret_cast<Index*>(scalar() + type->scalars); }
  const Index* extent() { return type->is_static ? type->known.extent : dynamic(); }
  Extents extents() {
    Extents e;
    e.rank = type->known.rank;
    for (int i = 0; i < e.rank; ++i) e.extent[i] = extent()[i];
    return e;
  }
  void set_extents(const Index* e) {
    if (type->is_static) return;
    for (int i = 0; i < type->known.rank; ++i) dynamic()[i] = e[i];
  }
};

inline __attribute__((noinline)) void release_leaves(ExpressionHead& e) noexcept {
  for (int i = 0; i < e.type->handles; ++i) e.leaf()[i].reset();
}
inline __attribute__((noinline)) void release_expression(ExpressionHead& e) noexcept {
  if (e.value) e.value->drop();
  release_leaves(e);
}
inline __attribute__((noinline)) void move_expression(ExpressionHead& to,
                                                      ExpressionHead& from) noexcept {
  const ExpressionType& t = *from.type;
  const int words = t.handles + t.scalars + (t.is_static ? 0 : t.known.rank);
  std::memcpy(static_cast<void*>(&to), static_cast<void*>(&from),
              sizeof(ExpressionHead) + static_cast<std::size_t>(words) * sizeof(double));
  from.value = nullptr, from.moved = true;
}

[[noreturn]] TENON_COLD inline void fail_moved() {
  fail(Error::uninitialised, {"expression: it was moved from and holds nothing"});
}

template <class Tr, class T, class S>
struct TypeOf;
template <class C, expr::Facts F, class R, expr::Word... W, class T, class S>
struct TypeOf<expr::Tree<C, F, R, W...>, T, S> {
  using Tr = expr::Tree<C, F, R, W...>;
  template <expr::Word Code>
  static constexpr const OpInfo* op() {
    if constexpr (expr::is_leaf(Code) || Code == expr::scalar_word) return nullptr;
    else return op_pointer(expr::OpTag<expr::OpAt<static_cast<int>(Code & 255)>, C>{});
  }
  static constexpr const OpInfo* peak() {
    if constexpr ((((W & 255) == expr::reduction_number<op::LogSumExp>) || ...))
      return op_pointer(expr::OpTag<op::Peak, C>{});
    else return nullptr;
  }
  static constexpr expr::Word words[] = {W...};
  static constexpr const OpInfo* ops[] = {op<W>()...};
  static constexpr ExpressionType value = {words,
                                           ops,
                                           peak(),
                                           Tr::words,
                                           Tr::leaves,
                                           Tr::handles,
                                           Tr::scalars,
                                           Tr::is_value,
                                           F,
                                           kernel_constants(expr::ConstantsTag<C, F.product>{}),
                                           dtype_of<C>,
                                           dtype_of<T>,
                                           S::is_static,
                                           known_extents<S>()};
};

/// Runs a tree as one statement. The call up to kernel/ is found by its arguments; without
/// <tenon/kernel/materialise.hpp> it does not compile.
template <class E>
AnyTensor materialise(const E& e) {
  using Tr = typename E::tree;
  if constexpr (Tr::words == 1 && Tr::leaves == 1 && !Tr::facts.product) {
    return e.head().leaf()[0];
  } else {
    using L = expr::Lowering<Tr>;
    constexpr expr::CallFacts fixed{Tr::facts.axes, Tr::facts.total, 0, L::value.keepdims,
                                    L::value.dropped_leaves};
    expr::CallFacts facts = fixed;
    facts.transposed = static_cast<std::uint8_t>(e.head().flags);
    return run_statement(
        expr::GroupTag<typename L::group, typename Tr::compute, Tr::facts.product>{},
        e.head().leaf(), Tr::handles, e.head().scalar(), facts, dtype_of<typename E::element>,
        e.context());
  }
}
}  // namespace detail

/// Either unevaluated (handles of its leaves, scalars, the context it was built in) or a value,
/// never both.
/// Temporaries fuse: an rvalue joins the statement around it. Names materialise: one that has a
/// name is evaluated once, on first use. Copying evaluates first, moving does not. It belongs to
/// one thread.
template <class Tr, class T, class S>
class Expression {
 public:
  using tree = Tr;
  using element = T;
  using shape_type = S;
  using compute = typename Tr::compute;
  static constexpr int rank = S::rank;

  /// Empty: to be filled by a join.
  Expression() : head_{&detail::TypeOf<Tr, T, S>::value, Context{}} {}
  Expression(Expression&& other) noexcept { detail::move_expression(head_, other.head_); }
  Expression(const Expression& other) : Expression() {
    head_.context = other.head_.context, head_.set_extents(other.head_.extent());
    set_value(other.value());
  }
  ~Expression() {
    if (!head_.moved) detail::release_expression(head_);
  }
  template <class X>
  Expression& operator=(X&&) {
    static_assert(sizeof(X) == 0,
                  "tenon: an expression cannot be assigned to; write `Tensor h = ...` where the "
                  "variable is made");
    return *this;
  }

  /// The value, computed on first use under the context of construction.
  const AnyTensor& value() const {
    if (!head_.value) {
      if (head_.moved) detail::fail_moved();
      AnyTensor v = detail::materialise(*this);
      held().swap(v);
      detail::release_leaves(head_);
    }
    return held();
  }
  /// The value, leaving nothing behind.
  AnyTensor take() && {
    if (head_.value) return std::move(held());
    if (head_.moved) detail::fail_moved();
    return detail::materialise(*this);
  }
  bool evaluated() const { return head_.value != nullptr; }

  S shape() const {
    if constexpr (S::is_static) return S{};
    else return S::of(head_.dynamic());
  }
  Extents extents() const { return head_.extents(); }
  Index extent(int axis) const { return head_.extent()[normalize_axis("extent", axis, rank)]; }
  Context context() const { return head_.context; }
  T item() const { return Tensor<T, S>(value()).item(); }

  // For joining and the door.
  detail::ExpressionHead& head() const { return head_; }
  void set_value(AnyTensor v) { held().swap(v); }

 private:
  AnyTensor& held() const { return reinterpret_cast<AnyTensor&>(head_.value); }

  static constexpr int words = Tr::handles + Tr::scalars + (S::is_static ? 0 : rank);
  mutable detail::ExpressionHead head_;
  mutable Record* leaf_[words > 0 ? words : 1] = {};  // and scalars, and extents
};
static_assert(sizeof(double) == sizeof(Record*) && sizeof(Index) == sizeof(Record*),
              "tenon: scalars and extents share the array of handles");

/// x^T of the last two axes, held back so that a product can take it as it is; anywhere else it
/// becomes a view.
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

/// A tensor as an expression; it belongs to every context.
template <class T, class S>
Expression<expr::LeafTree<compute_t<T>>, T, S> leaf_expression(AnyTensor t, const Index* extents) {
  Expression<expr::LeafTree<compute_t<T>>, T, S> e;
  if constexpr (!S::is_static) e.head().set_extents(extents);
  e.head().leaf()[0].swap(t);
  return e;
}
template <class T, class S>
Expression<expr::LeafTree<compute_t<T>>, T, S> leaf_expression(AnyTensor t) {
  Expression<expr::LeafTree<compute_t<T>>, T, S> e;
  if constexpr (!S::is_static) e.head().set_extents(t.record("operand").extents);
  e.head().leaf()[0].swap(t);
  return e;
}

/// A tensor that has a name, as a part of a new expression: laid out like its leaf as an
/// expression, but the handle is borrowed until the parts join, so there is nothing to release.
template <class T, class S>
class LeafPart {
 public:
  using tree = expr::LeafTree<compute_t<T>>;
  using element = T;
  using shape_type = S;
  using compute = typename tree::compute;

  explicit LeafPart(const AnyTensor& t) : head_{&TypeOf<tree, T, S>::value, Context{}} {
    head_.borrowed = true;
    *head_.handle() = t.get();
    if constexpr (!S::is_static) head_.set_extents(t.record("operand").extents);
  }
  ExpressionHead& head() { return head_; }

 private:
  ExpressionHead head_;
  Record* leaf_[1 + (S::is_static ? 0 : S::rank)];  // and extents
};

/// An operand as a part of a new expression: temporaries as they are, whatever has a name as a
/// leaf.
template <class X>
decltype(auto) part(X&& x) {
  using P = std::remove_cvref_t<X>;
  using T = typename P::element;
  using S = typename P::shape_type;
  if constexpr (is_tensor<P>) {
    return leaf_expression<T, S>(std::forward<X>(x).any());
  } else if constexpr (is_expression<P>) {
    if constexpr (std::is_lvalue_reference_v<X>) return leaf_expression<T, S>(x.value());
    else return static_cast<P&&>(x);
  } else {
    Tensor<T, S> t(std::forward<X>(x));
    return leaf_expression<T, S>(t.any());
  }
}

/// The value of a part, as a leaf.
template <class E>
auto as_leaf(E&& e) {
  return leaf_expression<typename E::element, typename E::shape_type>(std::move(e).take());
}

}  // namespace detail
}  // namespace tenon
