// SPDX-License-Identifier: Apache-2.0
// Filling the parameters of a model: each layer has a rule, each parameter a random stream named by
// its path.
#pragma once
#include <tenon/core/random.hpp>
#include <tenon/tensor/model.hpp>

#include <cmath>

namespace tenon::inline TENON_ISA::nn {

/// A width of a layer: nothing where the type knows it, a number where it is dyn.
template <Index E>
struct Width {
  static constexpr Index value = E;
};
template <>
struct Width<dyn> {
  Index value = 0;
};

/// Errors: Error::value for a dyn width that was never set.
inline void check_width(const char* name, Index width) {
  if (width < 1)
    fail(Error::value, std::string(name) + ": the width is " + std::to_string(width) +
                           "; give a dyn width to the layer, as in Linear<dyn, 10>{.in = {784}}");
}

namespace detail {

/// A tensor whose typed extents are given, with its dyn ones filled in.
template <class T, class S>
Tensor<T, S> allocate(const Extents& e) {
  return Tensor<T, S>(AnyTensor::empty(dtype_of<T>, e));
}
template <class T, class S, class Fill>
void fill(Tensor<T, S>& t, const Extents& e, Fill&& f) {
  t = allocate<T, S>(e);
  using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
  AnyTensor values = AnyTensor::empty(dtype_of<C>, e);
  f(static_cast<C*>(values.raw_writable()), e.size());
  t = Tensor<T, S>(values.to(dtype_of<T>));
}

}  // namespace detail

/// x ~ U(low, high), element by element from the stream's own key.
template <class T, class S>
void fill_uniform(Tensor<T, S>& t, const Extents& e, Rng rng, double low, double high) {
  detail::fill(t, e, [&](auto* p, Index n) {
    using C = std::remove_pointer_t<decltype(p)>;
    tenon::fill_uniform(rng.next(), 0, n, p, static_cast<C>(low), static_cast<C>(high));
  });
}
/// x ~ N(mean, deviation^2).
template <class T, class S>
void fill_normal(Tensor<T, S>& t, const Extents& e, Rng rng, double mean, double deviation) {
  detail::fill(t, e, [&](auto* p, Index n) {
    using C = std::remove_pointer_t<decltype(p)>;
    tenon::fill_normal(rng.next(), 0, n, p, static_cast<C>(mean), static_cast<C>(deviation));
  });
}
template <class T, class S>
void fill_constant(Tensor<T, S>& t, const Extents& e, double x) {
  detail::fill(t, e, [&](auto* p, Index n) {
    using C = std::remove_pointer_t<decltype(p)>;
    for (Index i = 0; i < n; ++i) p[i] = static_cast<C>(x);
  });
}

namespace detail {
template <class X>
void init_at(Rng rng, X& x) {
  if constexpr (requires { x.init(rng); }) {
    x.init(rng);
  } else if constexpr (tenon::detail::is_tensor<X> || tenon::detail::is_state<X>) {
    return;
  } else if constexpr (tenon::detail::is_list<X>) {
    std::size_t i = 0;
    for (auto& element : x) init_at(rng.stream(std::to_string(i++)), element);
  } else if constexpr (tenon::detail::is_optional<X>) {
    if (x) init_at(rng, *x);
  } else if constexpr (Aggregate<X>) {
    each_member(x, [&](std::string_view name, auto& member) { init_at(rng.stream(name), member); });
  }
}
}  // namespace detail

/// Fills the parameters of a model by its layers' rules. The stream of each is a hash of its path,
/// so the order of members does not matter. Parameters outside of layers stay as they are: set
/// them, or give the struct an `init(Rng)` of its own.
template <class Model>
void init(Model& model, Rng rng) {
  detail::init_at(rng, model);
}
/// The same for a new model.
template <class Model>
Model init(Rng rng) {
  Model model{};
  detail::init_at(rng, model);
  return model;
}

}  // namespace tenon::nn
