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
/// Names an operation and its compute type, or a compute type and what an expression has beside
/// operations, in calls up to kernel/.
template <class Op, class C>
struct OpTag {};
template <class C, bool Product, bool Total, bool Casts>
struct ConstantsTag {};
}  // namespace expr

namespace detail {

struct ExpressionHead;

/// What statements of a compute type need from kernel/. By pointers that are null where an
/// expression has no use for it, so that programs without such ones do not compile it.
struct KernelConstants {
  const BasicOps* basics;
  const StatementInfo* product;  ///< the product alone
  AnyTensor (*total)(ExpressionHead& e, const AnyTensor& rows);
  AnyTensor (*cast)(const AnyTensor& x, Dtype to, Context context);  ///< to the element type
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

/// Flags of an expression: the product's operands are transposed; all leaves are defined and have
/// the expression's own extents.
enum ExpressionFlags : unsigned { transposed_a = 1, transposed_b = 2, leaves_alike = 4 };

/// The context of an expression whose leaves nobody can take any more: it was evaluated or moved.
inline constexpr Context closed{~std::uint64_t{0}};

/// An expression as run-time code sees it. Behind it lie its leaves, its scalars and, where the
/// type does not know them all, its extents.
struct ExpressionHead {
  const ExpressionType* type;
  Context context;  ///< that of its birth, or `closed`
  Record* value = nullptr;
  unsigned flags = 0;  ///< ExpressionFlags
  bool moved = false;  ///< nothing is left to release

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
  void set_moved() { moved = true, context = closed; }
};

inline void release_leaves(ExpressionHead& e) noexcept {
  const auto count = static_cast<std::size_t>(e.type->handles);
  release_handles(e.handle(), count);
  std::memset(e.handle(), 0, count * sizeof(Record*));
}
inline __attribute__((noinline)) void release_expression(ExpressionHead& e) noexcept {
  if (e.moved) return;
  if (e.value) e.value->drop();
  else release_handles(e.handle(), static_cast<std::size_t>(e.type->handles));
}
inline __attribute__((noinline)) void move_expression(ExpressionHead& to,
                                                      ExpressionHead& from) noexcept {
  const ExpressionType& t = *from.type;
  const int words = t.handles + t.scalars + (t.is_static ? 0 : t.known.rank);
  std::memcpy(static_cast<void*>(&to), static_cast<void*>(&from),
              sizeof(ExpressionHead) + static_cast<std::size_t>(words) * sizeof(double));
  from.value = nullptr, from.set_moved();
}

/// Small statements, of so many leaves and numbers, feel what code for them alone saves.
inline constexpr int short_join = 5;

/// Says to a constructor that a join fills what it makes.
struct Joining {};

[[noreturn]] TENON_COLD inline void fail_moved() {
  fail(Error::uninitialised, {"expression: it was moved from and holds nothing"});
}

/// The constants of operation number `Code` of a tree; null of leaves and numbers.
template <expr::Word Code, class C>
inline constexpr const OpInfo* op_of = []() -> const OpInfo* {
  if constexpr (expr::is_leaf(Code) || Code == expr::scalar_word) return nullptr;
  else return op_pointer(expr::OpTag<expr::OpAt<static_cast<int>(Code & 255)>, C>{});
}();
inline constexpr expr::Word logsumexp_number = expr::reduction_number<op::LogSumExp>;
template <class C, bool Used>
inline constexpr const OpInfo* peak_of = []() -> const OpInfo* {
  if constexpr (Used) return op_pointer(expr::OpTag<op::Peak, C>{});
  else return nullptr;
}();

template <class Tr, class T, class S>
struct TypeOf;
template <class C, expr::Facts F, class R, expr::Word... W, class T, class S>
struct TypeOf<expr::Tree<C, F, R, W...>, T, S> {
  using Tr = expr::Tree<C, F, R, W...>;
  static constexpr expr::Word words[] = {W...};
  static constexpr const OpInfo* ops[] = {op_of<W, C>...};
  static constexpr ExpressionType value = {
      words,
      ops,
      peak_of<C, (((W & 255) == logsumexp_number) || ...)>,
      Tr::words,
      Tr::leaves,
      Tr::handles,
      Tr::scalars,
      Tr::is_value,
      F,
      kernel_constants(expr::ConstantsTag<C, F.product, F.total != 0, !std::is_same_v<C, T>>{}),
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
    facts.flags = static_cast<std::uint8_t>(e.head().flags);
    return run_statement(
        expr::GroupTag<typename L::group, typename Tr::compute, Tr::facts.product>{},
        e.head().leaf(), Tr::handles, e.head().scalar(), facts, dtype_of<typename E::element>,
        e.context());
  }
}

/// What all expressions have in common.
class ExpressionBase {
 public:
  bool evaluated() const { return head_.value != nullptr; }
  Extents extents() const { return head_.extents(); }
  Index extent(int axis) const {
    return head_.extent()[normalize_axis("extent", axis, head_.type->known.rank)];
  }
  Context context() const { return head_.context; }

  // For joining and the door.
  ExpressionHead& head() const { return head_; }
  void set_value(AnyTensor v) const {
    held().swap(v);
    head_.context = closed, head_.flags = 0;
  }

 protected:
  ExpressionBase() = default;
  explicit ExpressionBase(const ExpressionType* type) : head_{type, Context{}} {}
  ExpressionBase(const ExpressionBase&) = delete;
  ExpressionBase& operator=(const ExpressionBase&) = delete;
  AnyTensor& held() const { return reinterpret_cast<AnyTensor&>(head_.value); }

  mutable ExpressionHead head_;
};
}  // namespace detail

/// Either unevaluated (handles of its leaves, scalars, the context it was built in) or a value,
/// never both.
/// Temporaries fuse: an rvalue joins the statement around it. Names materialise: one that has a
/// name is evaluated once, on first use. Copying evaluates first, moving does not. It belongs to
/// one thread.
template <class Tr, class T, class S>
class Expression : public detail::ExpressionBase {
 public:
  using tree = Tr;
  using element = T;
  using shape_type = S;
  using compute = typename Tr::compute;
  static constexpr int rank = S::rank;

  /// Empty: to be filled.
  Expression() : ExpressionBase(&detail::TypeOf<Tr, T, S>::value), leaf_{} {}
  /// To be filled by a join, and until then without anything to release.
  explicit Expression(detail::Joining) : ExpressionBase(&detail::TypeOf<Tr, T, S>::value) {
    head_.moved = true;
  }
  Expression(Expression&& other) noexcept { detail::move_expression(head_, other.head_); }
  Expression(const Expression& other) : Expression() {
    head_.set_extents(other.head_.extent());
    set_value(other.value());
  }
  ~Expression() {
    if (handles + scalars > detail::short_join || !head_.moved) detail::release_expression(head_);
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
      set_value(std::move(v));
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

  S shape() const {
    if constexpr (S::is_static) return S{};
    else return S::of(head_.dynamic());
  }
  T item() const { return Tensor<T, S>(value()).item(); }

  /// Moves leaves and scalars.
  void move_to(Record** handle, double* scalar) {
    std::memcpy(handle, leaf_, handles * sizeof(Record*));
    std::memcpy(scalar, leaf_ + handles, scalars * sizeof(double));
    head_.set_moved();
  }

 private:
  static constexpr std::size_t handles = Tr::handles, scalars = Tr::scalars,
                               words = handles + scalars + (S::is_static ? 0 : rank);
  mutable Record* leaf_[words > 0 ? words : 1];  // right behind the head; and scalars, and extents
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

/// Whether a record has the extents that its type knows; any() lets a caller put another there.
template <class S>
TENON_INLINE bool has_known_extents([[maybe_unused]] const Record& r) {
  if constexpr (S::is_static) return fits<S>(r);
  else return true;
}

/// A tensor as an expression; it belongs to every context.
template <class T, class S>
Expression<expr::LeafTree<compute_t<T>>, T, S> leaf_expression(AnyTensor t, const Index* extents) {
  Expression<expr::LeafTree<compute_t<T>>, T, S> e;
  if constexpr (!S::is_static) e.head().set_extents(extents);
  e.head().flags = t.defined() && has_known_extents<S>(*t.get()) ? leaves_alike : 0u;
  e.head().leaf()[0].swap(t);
  return e;
}
template <class T, class S>
Expression<expr::LeafTree<compute_t<T>>, T, S> leaf_expression(AnyTensor t) {
  Expression<expr::LeafTree<compute_t<T>>, T, S> e;
  if constexpr (!S::is_static) e.head().set_extents(t.record("operand").extents);
  e.head().flags = t.defined() && has_known_extents<S>(*t.get()) ? leaves_alike : 0u;
  e.head().leaf()[0].swap(t);
  return e;
}

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
