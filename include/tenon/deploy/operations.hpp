// SPDX-License-Identifier: Apache-2.0
// The formulas of all operations by name, got by running each on Texts.
#pragma once
#include <tenon/deploy/text.hpp>
#include <tenon/expr/group.hpp>
#include <tenon/op/list.hpp>
#include <tenon/op/reduction.hpp>

namespace tenon::inline TENON_ISA::deploy {

/// An element-wise operation: its value from those of its operands.
struct Operation {
  const char* name;
  int arity;
  bool boolean;
  Text (*forward)(const Text* x);
};

/// A reduction, as op/reduction.hpp describes them.
struct Reduction {
  const char* name;
  int arity;
  op::State<Text> (*start)();
  void (*step)(op::State<Text>& s, const Text& x, const Text& e, const Text& i);
  Text (*finish)(const op::State<Text>& s, const Text& n);
};

namespace detail {

template <class Op>
Text forward_text(const Text* x) {
  if constexpr (Op::arity == 1) return Op::forward(x[0]);
  else if constexpr (Op::arity == 2) return Op::forward(x[0], x[1]);
  else return Op::forward(x[0], x[1], x[2]);
}
template <class... Ops>
const Operation* find_in(std::string_view name, op::TypeList<Ops...>) {
  static constexpr Operation all[] = {
      {Ops::name, Ops::arity, Ops::result == op::Result::boolean, forward_text<Ops>}...};
  for (const Operation& o : all)
    if (name == o.name) return &o;
  return nullptr;
}
template <class R>
constexpr Reduction reduction_of() {
  return {
      R::name, R::arity, [] { return R::template start<Text>(); },
      [](op::State<Text>& s, const Text& x, const Text& e, const Text& i) { R::step(s, x, e, i); },
      [](const op::State<Text>& s, const Text& n) { return R::finish(s, n); }};
}
template <class... Rs>
const Reduction* find_reduction_in(std::string_view name, op::TypeList<Rs...>) {
  static constexpr Reduction all[] = {reduction_of<Rs>()...};
  for (const Reduction& r : all)
    if (name == r.name) return &r;
  return nullptr;
}

}  // namespace detail

/// Null where op/ has none of that name.
inline const Operation* find_operation(std::string_view name) {
  return detail::find_in(name, op::Elementwise{});
}
inline const Reduction* find_reduction(std::string_view name) {
  return detail::find_reduction_in(name, expr::Reductions{});
}

}  // namespace tenon::inline TENON_ISA::deploy
