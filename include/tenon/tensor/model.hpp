// SPDX-License-Identifier: Apache-2.0
// What the members of a model are: parameters, states, other models, containers of these, or configuration.
#pragma once
#include <tenon/core/reflect.hpp>
#include <tenon/tensor/tensor.hpp>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace tenon::inline TENON_ISA {

/// How the values of a State that shards computed apart become one.
enum class Join : std::uint8_t { weighted_mean, sum, first };

/// A tensor that a model carries along without a gradient: running statistics. Saved with the model.
template <class T, Join J = Join::weighted_mean>
struct State;
template <class E, class S, Join J>
struct State<Tensor<E, S>, J> {
  Tensor<E, S> value;
};

namespace detail {
template <class X>
inline constexpr bool is_state = false;
template <class T, Join J>
inline constexpr bool is_state<State<T, J>> = true;
template <class X>
inline constexpr bool is_parameter = false;
template <class T, class S>
inline constexpr bool is_parameter<Tensor<T, S>> = is_floating(dtype_of<T>);
template <class X>
inline constexpr bool is_list = false;
template <class X, std::size_t N>
inline constexpr bool is_list<std::array<X, N>> = true;
template <class X>
inline constexpr bool is_list<std::vector<X>> = true;
template <class X>
inline constexpr bool is_optional = false;
template <class X>
inline constexpr bool is_optional<std::optional<X>> = true;

// f(path, parameter) for the parameters in x, whose own path is `path`.
template <class X, class F>
void each_parameter_at(std::string& path, X& x, F& f) {
  using P = std::remove_const_t<X>;
  const std::size_t length = path.size();
  if constexpr (is_parameter<P>) {
    f(static_cast<const char*>(path.c_str()), x);
  } else if constexpr (is_tensor<P> || is_state<P>) {
    return;
  } else if constexpr (is_list<P>) {
    std::size_t i = 0;
    for (auto& element : x) {
      path += (length ? "." : "") + std::to_string(i++);
      each_parameter_at(path, element, f);
      path.resize(length);
    }
  } else if constexpr (is_optional<P>) {
    if (x) each_parameter_at(path, *x, f);
  } else if constexpr (Aggregate<P>) {
    each_member(x, [&](std::string_view name, auto& member) {
      if (length) path += '.';
      path += name;
      each_parameter_at(path, member, f);
      path.resize(length);
    });
  }
}

// f(path, State) likewise.
template <class X, class F>
void each_state_at(std::string& path, X& x, F& f) {
  using P = std::remove_const_t<X>;
  const std::size_t length = path.size();
  if constexpr (is_state<P>) {
    f(static_cast<const char*>(path.c_str()), x);
  } else if constexpr (is_tensor<P>) {
    return;
  } else if constexpr (is_list<P>) {
    std::size_t i = 0;
    for (auto& element : x) {
      path += (length ? "." : "") + std::to_string(i++);
      each_state_at(path, element, f);
      path.resize(length);
    }
  } else if constexpr (is_optional<P>) {
    if (x) each_state_at(path, *x, f);
  } else if constexpr (Aggregate<P>) {
    each_member(x, [&](std::string_view name, auto& member) {
      if (length) path += '.';
      path += name;
      each_state_at(path, member, f);
      path.resize(length);
    });
  }
}

/// Parameters of a model in order, for the erased side.
struct ParameterList {
  std::vector<AnyTensor> value, gradient;
  void add(const AnyTensor& t) { value.push_back(t); }
  template <class X>
  void check_distinct(const X& model) const {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (!value[i].defined()) fail_parameter(path(model, i) + " was never initialised", Error::uninitialised);
      for (std::size_t j = 0; j < i; ++j)
        if (value[i].id() == value[j].id())
          fail_parameter(path(model, j) + " and " + path(model, i) +
                             " hold the same tensor; use one member twice, or clone it",
                         Error::tape);
    }
  }

 private:
  [[noreturn]] TENON_COLD static void fail_parameter(const std::string& text, Error::Code code) {
    fail(code, "gradient: the parameter " + text);
  }
  template <class X>
  static std::string path(const X& model, std::size_t wanted) {
    std::string found = "?", at;
    std::size_t i = 0;
    auto f = [&](const char* name, const auto&) {
      if (i++ == wanted) found = *name ? name : "itself";
    };
    each_parameter_at(at, model, f);
    return found;
  }
};

}  // namespace detail

/// f(path, parameter) for every parameter of a model, in order of declaration; paths as in "blocks.0.weight".
template <class Model, class F>
void each_parameter(Model& model, F&& f) {
  std::string path;
  detail::each_parameter_at(path, model, f);
}
/// f(path, state) for every State of a model.
template <class Model, class F>
void each_state(Model& model, F&& f) {
  std::string path;
  detail::each_state_at(path, model, f);
}

/// The model with fresh ids, sharing memory until one side is written: a target, teacher or averaged copy.
template <class Model>
Model clone(const Model& model) {
  Model copy = model;
  auto refresh = [](const char*, auto& t) {
    using P = std::remove_cvref_t<decltype(t)>;
    if constexpr (detail::is_state<P>) {
      if (t.value.defined()) t.value = t.value.clone();
    } else if (t.defined()) {
      t = t.clone();
    }
  };
  each_parameter(copy, refresh);
  each_state(copy, refresh);
  return copy;
}

}  // namespace tenon
