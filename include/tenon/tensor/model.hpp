// SPDX-License-Identifier: Apache-2.0
// What the members of a model are: parameters, states, other models, containers of these, or
// configuration.
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

/// A tensor that a model carries along without a gradient: running statistics. Saved with the
/// model. Layers write it from their const call by `set`. Where a batch is cut into shards, each
/// starts from the step's value and J says how their results become one: the mean weighted as the
/// losses are, the start plus the sum of all changes, or the first shard's result.
template <class T, Join J = Join::weighted_mean>
struct State;
template <class E, class S, Join J>
struct State<Tensor<E, S>, J> {
  static_assert(J != Join::weighted_mean || is_floating(dtype_of<E>),
                "tenon: State: integers have no mean; choose Join::sum or Join::first");
  static constexpr Join join = J;
  mutable Tensor<E, S> value;

  /// value = x in training mode, nothing otherwise. x: a tensor or expression; no gradient flows
  /// through what is stored.
  /// A model that several threads train at once needs a copy for each.
  template <class X>
  void set(X&& x) const {
    if (!is_training()) return;
    value = Tensor<E, S>(Tensor<E, S>(std::forward<X>(x)).any().to_contiguous().clone());
  }
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

// Whether a type can hold a State anywhere. Seen: the types that X was met in, for a struct that
// holds a vector of its own kind.
template <class X, class... Seen>
constexpr bool holds_state() {
  if constexpr (is_state<X>) return true;
  else if constexpr ((std::is_same_v<X, Seen> || ...)) return false;
  else if constexpr (is_list<X> || is_optional<X>)
    return holds_state<typename X::value_type, X, Seen...>();
  else if constexpr (!is_tensor<X> && !std::is_empty_v<X> && Aggregate<X>)
    return []<class... M>(std::type_identity<std::tuple<M*...>>) {
      return (holds_state<std::remove_const_t<M>, X, Seen...>() || ...);
    }(std::type_identity<decltype(members(std::declval<X&>()))>{});
  else return false;
}

/// The parameters or states of a model as erased handles, with their paths where asked for.
/// Everything that walks models goes through it, so that a model's structure is instantiated once.
class Members {
 public:
  enum Kind { parameters, states };
  explicit Members(Kind kind, bool named = false) : kind_(kind), named_(named) {
    auto& spare = pool();
    if (spare.empty()) return;
    list_.swap(spare.back());
    spare.pop_back();
  }
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;
  ~Members() {
    list_.clear();
    pool().push_back(std::move(list_));
  }

  std::size_t size() const { return list_.size(); }
  AnyTensor& operator[](std::size_t i) const { return *list_[i]; }
  AnyTensor* const* begin() const { return list_.data(); }
  AnyTensor* const* end() const { return list_.data() + list_.size(); }
  const std::string& path(std::size_t i) const { return paths_[i]; }

  void add(Kind kind, AnyTensor& t) {
    if (kind != kind_) return;
    list_.push_back(&t);
    if (named_) paths_.push_back(path_);
  }
  std::size_t enter(std::string_view name) {
    const std::size_t length = path_.size();
    if (!named_) return length;
    if (length) path_ += '.';
    path_ += name;
    return length;
  }
  std::size_t enter(std::size_t index) { return named_ ? enter(std::to_string(index)) : 0; }
  void leave(std::size_t length) { path_.resize(length); }

 private:
  // Memory of earlier lists of this thread: as many as were ever in use at once.
  static std::vector<std::vector<AnyTensor*>>& pool() {
    thread_local std::vector<std::vector<AnyTensor*>> spare;
    return spare;
  }
  std::vector<AnyTensor*> list_;
  std::vector<std::string> paths_;
  std::string path_;
  Kind kind_;
  bool named_;
};

template <class X>
void visit_members(Members& m, X& x) {
  if constexpr (is_parameter<X>) {
    m.add(Members::parameters, x.any());
  } else if constexpr (is_state<X>) {
    m.add(Members::states, x.value.any());
  } else if constexpr (is_list<X>) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t length = m.enter(i);
      visit_members(m, x[i]);
      m.leave(length);
    }
  } else if constexpr (is_optional<X>) {
    if (x) visit_members(m, *x);
  } else if constexpr (!is_tensor<X> && !std::is_empty_v<X> && Aggregate<X>) {
    each_member(x, [&m](std::string_view name, auto& member) {
      using P = std::remove_reference_t<decltype(member)>;
      if constexpr (std::is_class_v<P>) {
        const std::size_t length = m.enter(name);
        visit_members(m, member);
        m.leave(length);
      }
    });
  }
}
/// Fills m from a model; of a const one nothing may be written.
template <class Model>
void collect_members(Members& m, const Model& model) {
  visit_members(m, const_cast<Model&>(model));
}

template <class Model>
std::string parameter_path(const void* model, std::size_t i) {
  Members named(Members::parameters, true);
  collect_members(named, *static_cast<const Model*>(model));
  return named.path(i).empty() ? "itself" : named.path(i);
}
/// Every parameter initialised, and no two of them one tensor. `path`: called when a name is
/// needed.
inline void check_distinct(const Members& m, std::string (*path)(const void*, std::size_t),
                           const void* model) {
  for (std::size_t i = 0; i < m.size(); ++i) {
    if (!m[i].defined())
      fail(Error::uninitialised,
           {"gradient: the parameter ", path(model, i), " was never initialised"});
    for (std::size_t j = 0; j < i; ++j)
      if (m[i].id() == m[j].id())
        fail(Error::tape, {"gradient: the parameters ", path(model, j), " and ", path(model, i),
                           " hold the same tensor; use one member twice, or clone it"});
  }
}

}  // namespace detail

namespace detail {
// path: null where nobody asks for names.
template <bool States, class X, class F>
void each_typed(std::string* path, X& x, F& f) {
  using P = std::remove_const_t<X>;
  const std::size_t length = path ? path->size() : 0;
  if constexpr (States ? is_state<P> : is_parameter<P>) {
    f(path ? path->c_str() : "", x);
  } else if constexpr (is_list<P>) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (path) *path += (length ? "." : "") + std::to_string(i);
      each_typed<States>(path, x[i], f);
      if (path) path->resize(length);
    }
  } else if constexpr (is_optional<P>) {
    if (x) each_typed<States>(path, *x, f);
  } else if constexpr (!is_tensor<P> && !is_state<P> && !std::is_empty_v<P> && Aggregate<P>) {
    each_member(x, [&](std::string_view name, auto& member) {
      if (path && length) *path += '.';
      if (path) *path += name;
      each_typed<States>(path, member, f);
      if (path) path->resize(length);
    });
  }
}
}  // namespace detail

/// f(path, parameter) for every parameter of a model, in order of declaration; paths as in
/// "blocks.0.weight".
template <class Model, class F>
void each_parameter(Model& model, F&& f) {
  std::string path;
  detail::each_typed<false>(&path, model, f);
}
/// f(path, state) for every State of a model.
template <class Model, class F>
void each_state(Model& model, F&& f) {
  std::string path;
  detail::each_typed<true>(&path, model, f);
}

/// The model with fresh ids, sharing memory until one side is written: a target, teacher or
/// averaged copy.
template <class Model>
Model clone(const Model& model) {
  Model copy = model;
  for (auto kind : {detail::Members::parameters, detail::Members::states}) {
    detail::Members m(kind);
    detail::visit_members(m, copy);
    for (AnyTensor* t : m)
      if (t->defined()) *t = t->clone();
  }
  return copy;
}

}  // namespace tenon
