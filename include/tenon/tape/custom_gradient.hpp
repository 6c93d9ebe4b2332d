// SPDX-License-Identifier: Apache-2.0
// custom_gradient: a function with a backward of the user's own, as one node of the tape.
#pragma once
#include <tenon/tape/node_object.hpp>

namespace tenon::inline TENON_ISA {
namespace detail {

/// Arguments that get a gradient: all that could hold a parameter.
template <class X, class... Seen>
constexpr bool takes_gradient() {
  if constexpr (is_any<X> || is_parameter<X>) return true;
  else if constexpr ((std::is_same_v<X, Seen> || ...)) return false;
  else if constexpr (is_list<X> || is_optional<X>)
    return takes_gradient<typename X::value_type, X, Seen...>();
  else if constexpr (!is_tensor<X> && !is_state<X> && !std::is_empty_v<X> && Aggregate<X>)
    return []<class... M>(std::type_identity<std::tuple<M*...>>) {
      return (takes_gradient<std::remove_const_t<M>, X, Seen...>() || ...);
    }(std::type_identity<decltype(members(std::declval<X&>()))>{});
  else return false;
}
template <class G>
inline constexpr bool is_tuple = false;
template <class... G>
inline constexpr bool is_tuple<std::tuple<G...>> = true;
template <class A, class B>
inline constexpr bool is_tuple<std::pair<A, B>> = true;

/// Checks the gradients of one argument and appends them in the order of its parameters.
inline void check_custom(int argument, const std::vector<AnyTensor>& x,
                         const std::vector<AnyTensor>& g, std::vector<AnyTensor>& all) {
  if (x.size() != g.size())
    fail(Error::shape, {"custom_gradient: argument ", argument, " has ", x.size(),
                        " parameters, its gradient ", g.size()});
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!(g[i].extents() == x[i].extents()))
      fail(Error::shape, {"custom_gradient: the gradient of argument ", argument, " is ",
                          g[i].extents(), ", the argument ", x[i].extents()});
    const Dtype compute = compute_dtype(x[i].dtype());
    if (g[i].dtype() != compute && g[i].dtype() != x[i].dtype())
      fail(Error::dtype, {"custom_gradient: the gradient of argument ", argument, " holds ",
                          name_of(g[i].dtype()), ", the argument ", name_of(x[i].dtype())});
    all.push_back(g[i].to(compute));
  }
}

// The type of dy.
template <class Y>
struct GradientOf {
  using type = AnyTensor;
};
template <class T, class S>
struct GradientOf<Tensor<T, S>> {
  using type = Tensor<compute_t<T>, S>;
};

template <class B, class Y, class... Xs>
class CustomNode final : public NodeObject {
  using D = typename GradientOf<Y>::type;
  // The value is kept for a backward that takes it.
  static constexpr bool takes_value =
      std::is_invocable_v<const B&, const Xs&..., const Y&, const D&>;
  static_assert(takes_value || std::is_invocable_v<const B&, const Xs&..., const D&>,
                "tenon: custom_gradient(forward, backward): backward takes (x..., y, dy) or "
                "(x..., dy)");

 public:
  explicit CustomNode(const B& backward, const Xs&... x) : backward_(backward), x_(x...) {}
  void keep(const Y& y) {
    if constexpr (takes_value) y_ = y;
  }
  void inputs(std::vector<AnyTensor>& list) const {
    std::apply([&](const Xs&... x) { (add_inputs(list, x), ...); }, x_);
  }

  void backward(BackwardCall& call) override {
    const D dy(call.dy);
    auto g = std::apply(
        [&](const Xs&... x) {
          if constexpr (takes_value) return own(backward_(x..., y_, dy));
          else return own(backward_(x..., dy));
        },
        x_);
    std::vector<AnyTensor> all;
    collect<0, 0>(g, all);
    for (std::size_t i = 0; i < all.size(); ++i)
      if (i >= 32 || call.wanted >> i & 1) settle_object(call, i, all[i]);
  }

 private:
  struct Nothing {};

  template <class G>
  static auto own(G&& g) {
    if constexpr (TensorExpr<G>) return Tensor(std::forward<G>(g));
    else return std::remove_cvref_t<G>(std::forward<G>(g));
  }
  // Argument I has the G-th gradient.
  template <std::size_t I, std::size_t G, class R>
  void collect(const R& g, std::vector<AnyTensor>& all) const {
    if constexpr (I < sizeof...(Xs)) {
      using X = std::tuple_element_t<I, std::tuple<Xs...>>;
      if constexpr (takes_gradient<X>()) {
        std::vector<AnyTensor> x, part;
        add_inputs(x, std::get<I>(x_));
        if constexpr (is_tuple<R>) {
          static_assert(G < std::tuple_size_v<R>,
                        "tenon: custom_gradient: backward returns one gradient for each argument "
                        "that has parameters");
          const auto& one = settled(std::get<G>(g));
          add_inputs(part, one);
        } else {
          static_assert(G == 0,
                        "tenon: custom_gradient: backward returns a tuple of gradients, one for "
                        "each argument that has parameters");
          add_inputs(part, g);
        }
        check_custom(static_cast<int>(I), x, part, all);
      }
      collect<I + 1, G + takes_gradient<X>()>(g, all);
    } else if constexpr (is_tuple<R>) {
      static_assert(G == std::tuple_size_v<R>,
                    "tenon: custom_gradient: backward returns one gradient for each argument that "
                    "has parameters");
    }
  }

  B backward_;
  std::tuple<Xs...> x_;
  std::conditional_t<takes_value, Y, Nothing> y_;
};

inline constexpr StatementInfo custom_info = object_info("custom_gradient");

template <class F, class B>
class CustomGradient {
 public:
  CustomGradient(F forward, B backward)
      : forward_(std::move(forward)), backward_(std::move(backward)) {}

  template <class... Xs>
  auto operator()(Xs&&... x) const {
    static_assert((Argument<Xs> && ...),
                  "tenon: custom_gradient: an argument is a tensor, a number or a model");
    return run(settled(std::forward<Xs>(x))...);
  }

 private:
  template <class... Xs>
  auto run(const Xs&... x) const {
    static_assert(TensorResult<decltype(forward_(x...))>,
                  "tenon: custom_gradient: forward returns one tensor");
    using Y = std::remove_cvref_t<decltype(settled(forward_(x...)))>;
    Recorder* recorder = find_recorder(Context::current());
    Y y = [&] {
      Unrecorded scope;
      return Y(settled(forward_(x...)));
    }();
    const AnyTensor& value = y;
    if (!recorder || !is_floating(value.record("custom_gradient").dtype)) return y;
    auto* node = new CustomNode<B, Y, std::remove_cvref_t<Xs>...>(backward_, x...);
    const AnyTensor owner = owner_of(node);
    std::vector<AnyTensor> operands;
    node->inputs(operands);
    separate(y, operands);
    node->keep(y);
    record_object(custom_info, *recorder, operands, owner, value);
    return y;
  }
  F forward_;
  B backward_;
};

}  // namespace detail

/// A function of tensors and models whose gradient is the user's: one node of the tape.
///   auto rounded = custom_gradient([](const auto& x) { return round(x); },
///                                  [](const auto& x, const auto& dy) { return dy; });
///   auto y = rounded(x);
/// forward(x...) returns one tensor; its own operations are not recorded. backward(x..., y, dy), or
/// backward(x..., dy) where it does not need the value, returns the gradient: for one argument a
/// tensor of its extents, for a model a model of the same type, for several a tuple in their order.
/// Arguments without parameters (integers, numbers) get none. dy has y's extents and its compute
/// type. Captures are constants. Higher derivatives differentiate backward, which is recorded where
/// an outer tape listens.
/// Errors: those of the two; Error::shape and Error::dtype where a gradient does not fit its
/// argument, which they name by its number.
template <class F, class B>
auto custom_gradient(F forward, B backward) {
  return detail::CustomGradient<F, B>(std::move(forward), std::move(backward));
}

}  // namespace tenon
