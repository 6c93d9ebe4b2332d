// SPDX-License-Identifier: Apache-2.0
// Derivatives as functions of functions: value_and_grad, grad, vjp, jvp.
#pragma once
#include <tenon/tape/node_object.hpp>
#include <tenon/tensor/create.hpp>

namespace tenon::inline TENON_ISA {
namespace detail {

/// A copy whose parameters have fresh ids, through which gradients flow to x. State members are
/// those of x.
template <class X>
X fresh(const X& x) {
  X own = x;
  if constexpr (is_any<X>) {
    if (is_floating(own.record("gradient").dtype)) own = alias(own);
  } else {
    Members m(Members::parameters);
    visit_members(m, own);
    for (AnyTensor* t : m)
      if (t->defined()) *t = alias(*t);
  }
  return own;
}
/// What a function wrote into State members of its copy is the caller's.
template <class X>
void keep_states(const X& own, const X& x) {
  if constexpr (holds_state<X>()) {
    Members from(Members::states), to(Members::states);
    collect_members(from, own), collect_members(to, x);
    for (std::size_t i = 0; i < to.size() && i < from.size(); ++i) to[i] = from[i];
  }
}
/// Tensors and models by value, to hold: an expression as its tensor.
template <class X>
using Held = std::remove_cvref_t<decltype(settled(std::declval<const std::remove_cvref_t<X>&>()))>;

/// The gradients of y by every parameter of x..., in place of them.
template <class... Xs>
std::tuple<Xs...> pulled(Tape& tape, const AnyTensor& y, const AnyTensor& dy, AfterGradient after,
                         const std::tuple<Xs...>& x) {
  std::tuple<Xs...> out = x;
  std::vector<AnyTensor> wrt, g;
  std::vector<AnyTensor*> to;
  auto each = [&](auto& target) {
    if constexpr (is_any<decltype(target)>) {
      if (is_floating(target.dtype())) to.push_back(&target);
    } else {
      Members m(Members::parameters);
      visit_members(m, target);
      for (AnyTensor* t : m) to.push_back(t);
    }
  };
  std::apply([&](auto&... target) { (each(target), ...); }, out);
  for (const AnyTensor* t : to) wrt.push_back(*t);
  g.resize(wrt.size());
  tape.gradient(y, wrt, g, dy, after);
  for (std::size_t i = 0; i < to.size(); ++i) *to[i] = g[i].to(wrt[i].dtype());
  return out;
}

/// The sum of the products of the elements. Recorded.
inline AnyTensor inner_product(const AnyTensor& a, const AnyTensor& b) {
  const BasicOps& ops = a.dtype() == Dtype::f64 ? Basics<double>::table : Basics<float>::table;
  const AnyTensor in[2] = {a, b};
  AnyTensor p = kernel::evaluate(*ops.multiply->single, in, 2, nullptr, GroupCall{}, a.dtype(),
                                 Context::current());
  if (!p.rank()) return p;
  GroupCall all;
  all.from_end = static_cast<std::uint8_t>((1u << p.rank()) - 1);
  return kernel::evaluate(*ops.sum->single, &p, 1, nullptr, all, a.dtype(), Context::current());
}
/// d/du of <gradient(y, x, seed u), dx>, which is linear in u: J dx. `outer` recorded all of it.
inline AnyTensor push_forward(Tape& outer, Tape& inner, const AnyTensor& y,
                              const std::vector<AnyTensor>& x, const std::vector<AnyTensor>& dx) {
  if (x.size() != dx.size())
    fail(Error::shape, {"jvp: x has ", x.size(), " parameters, dx ", dx.size()});
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!(x[i].extents() == dx[i].record("jvp").shape()))
      fail(Error::shape,
           {"jvp: parameter ", i, " of x is ", x[i].extents(), ", that of dx ", dx[i].extents()});
  const AnyTensor u = zeros(compute_dtype(y.dtype()), y.extents());
  std::vector<AnyTensor> g(x.size());
  inner.gradient(y, x, g, u);
  AnyTensor total;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const AnyTensor part = inner_product(g[i], dx[i].to(g[i].dtype()));
    total = total.defined() ? kernel::add(total, part, Context::current()) : part;
  }
  if (!total.defined()) return u;
  AnyTensor dy;
  outer.gradient(total, std::span<const AnyTensor>(&u, 1), std::span<AnyTensor>(&dy, 1));
  return dy.to(y.dtype());
}

/// A tape that can be handed on. (std::unique_ptr costs every file 0.1 s.)
class OwnedTape {
 public:
  OwnedTape() : tape_(new Tape) {}
  OwnedTape(OwnedTape&& other) noexcept : tape_(std::exchange(other.tape_, nullptr)) {}
  OwnedTape& operator=(OwnedTape&& other) noexcept {
    std::swap(tape_, other.tape_);
    return *this;
  }
  ~OwnedTape() { delete tape_; }
  Tape& operator*() const { return *tape_; }

 private:
  Tape* tape_;
};

/// What vjp returns beside the value.
template <class Y, class... Xs>
class Pullback {
 public:
  Pullback(OwnedTape tape, Y y, std::tuple<Xs...> x)
      : tape_(std::move(tape)), y_(std::move(y)), x_(std::move(x)) {}

  /// The gradient of sum(dy * y) with respect to x, or a tuple of them where there are several. It
  /// may be asked for any number of times; what it needs is kept as long as this object lives.
  /// dy: y's extents. Errors: Error::shape; Error::tape where y does not depend on any x.
  template <class D>
  auto operator()(const D& dy) const {
    const AnyTensor seed = settled(dy);
    seed.record("vjp");
    const AnyTensor& y = y_;
    auto g = pulled(*tape_, y, seed.to(compute_dtype(y.dtype())), AfterGradient::keep, x_);
    if constexpr (sizeof...(Xs) == 1) return std::get<0>(std::move(g));
    else return g;
  }

 private:
  OwnedTape tape_;
  Y y_;
  std::tuple<Xs...> x_;
};

}  // namespace detail

/// f's value and its gradient with respect to the first argument: (net, rest...) -> (value,
/// gradient). The value has one element. Nested ones give higher derivatives.
template <class F>
auto value_and_grad(F f) {
  return [f](const auto& x, const auto&... rest) {
    auto own = detail::fresh(detail::Held<decltype(x)>(detail::settled(x)));
    Tape tape;
    auto y = f(own, rest...);
    Tensor value = std::move(y);
    auto g = tape.gradient(value, own);
    if constexpr (!TensorExpr<decltype(x)>) detail::keep_states(own, x);
    return std::pair{value, g};
  };
}
/// The gradient alone.
template <class F>
auto grad(F f) {
  return [f](const auto& x, const auto&... rest) { return value_and_grad(f)(x, rest...).second; };
}

/// y = f(x...), one tensor of any extents, and its pullback: vjp(f, x...) is the pair (y, pull),
/// and pull(dy) the gradient of sum(dy * y) with respect to x, a tuple of them for several
/// arguments.
///   auto [y, pull] = vjp(f, x); auto dx = pull(dy);
/// x: tensors and models.   Cost: f once, and a backward pass each time pull is called.
/// Errors: those of f; pull: Error::shape for other extents of dy, Error::tape where y does not
/// depend on any x.
template <class F, class... Xs>
auto vjp(const F& f, const Xs&... x) {
  static_assert(sizeof...(Xs) > 0, "tenon: vjp(f, x...) needs an argument");
  std::tuple<detail::Held<Xs>...> own{detail::fresh(detail::Held<Xs>(detail::settled(x)))...};
  detail::OwnedTape tape;
  auto y = [&] {
    return std::apply(
        [&](const auto&... v) { return detail::Held<decltype(f(v...))>(detail::settled(f(v...))); },
        own);
  }();
  (*tape).stop();
  std::apply(
      [&](const auto&... v) {
        (
            [&] {
              if constexpr (!TensorExpr<Xs>) detail::keep_states(v, x);
            }(),
            ...);
      },
      own);
  using Pull = detail::Pullback<decltype(y), detail::Held<Xs>...>;
  Pull pull(std::move(tape), y, std::move(own));
  return std::pair<decltype(y), Pull>(y, std::move(pull));
}

/// y = f(x, rest...) and its derivative in the direction dx: the pair (y, J dx), both of y's type.
/// x: a tensor or model, dx: of the same type and extents; rest is not differentiated.
/// Cost: f once and two backward passes, operation by operation (the gradient with respect to x is
/// linear in its seed; its derivative by the seed is J dx). A few times the cost of a gradient; for
/// a derivative by all of x use vjp.
/// Errors: those of f; Error::shape where dx does not fit x, Error::tape where y does not depend on
/// x.
template <class F, class X, class D, class... Rest>
auto jvp(const F& f, const X& x, const D& dx, const Rest&... rest) {
  using Own = detail::Held<X>;
  const Own own = detail::fresh(Own(detail::settled(x)));
  std::vector<AnyTensor> at, along;
  detail::add_inputs(at, own), detail::add_inputs(along, Own(detail::settled(dx)));
  Tape outer;
  Tape inner;
  auto y = detail::Held<decltype(f(own, rest...))>(detail::settled(f(own, rest...)));
  if constexpr (!TensorExpr<X>) detail::keep_states(own, x);
  auto dy = decltype(y)(detail::push_forward(outer, inner, y, at, along));
  return std::pair{y, dy};
}

}  // namespace tenon
