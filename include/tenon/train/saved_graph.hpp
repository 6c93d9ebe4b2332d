// SPDX-License-Identifier: Apache-2.0
// Saved graphs with the optimizers of optim/.
#pragma once
#include <tenon/graph/load.hpp>
#include <tenon/optim/adam.hpp>
#include <tenon/optim/optimizer.hpp>
#include <tenon/optim/sgd.hpp>

#include <cstddef>

namespace tenon::inline TENON_ISA::graph {

namespace detail {

/// What is left of an optimizer whose model has no type: its rule and its count of steps.
template <class R>
struct RuleState {
  static constexpr int slots = static_cast<int>(member_count<typename R::template Slot<float>>);
  R rule;
  std::int64_t steps = 0;
};
template <class R>
std::shared_ptr<void> make_rule(const double* number, std::int64_t steps) {
  auto state = std::make_shared<RuleState<R>>();
  optim::detail::get_numbers(state->rule, number);
  state->steps = steps;
  return state;
}
template <class R>
Rule rule_of() {
  return {R::name, &optim::detail::UpdateInfo<float, RuleState<R>>::info,
          &optim::detail::UpdateInfo<double, RuleState<R>>::info, make_rule<R>,
          static_cast<std::ptrdiff_t>(offsetof(RuleState<R>, steps))};
}

}  // namespace detail

/// The rules that a file may name: those of optim/ and `Rules` of your own, each with a `name`.
template <class... Rules>
std::vector<Rule> rules() {
  return {detail::rule_of<optim::Sgd>(), detail::rule_of<optim::Adam>(),
          detail::rule_of<Rules>()...};
}

/// load_graph with the rules of optim/.
inline Loaded load_graph(const std::string& path) { return load_graph(path, rules<>()); }

}  // namespace tenon::graph
