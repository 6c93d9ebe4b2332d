// SPDX-License-Identifier: Apache-2.0
// Update rules as a server knows them: by name and by numbers, with one kernel a key.
#pragma once
#include <tenon/optim/adam.hpp>
#include <tenon/optim/optimizer.hpp>
#include <tenon/optim/sgd.hpp>

namespace tenon::inline TENON_ISA::dist {

/// w + rate g: what a server does with a push before a rule is set.
struct Accumulate {
  static constexpr const char* name = "accumulate";
  double rate = 1;

  template <class V>
  struct Slot {};
  struct Step {};
  Step at(std::int64_t) const { return {}; }

  template <class V>
  TENON_FN V operator()(V w, V g, Slot<V>&, Step) const {
    return w + V(rate) * g;
  }
};

/// A rule without its type.
struct ServedRule {
  const char* name;
  int numbers, slots;
  /// operand: the weights, f32 or f64, the gradient, the slots. step: from 1.
  void (*update)(const double* number, std::int64_t step, AnyTensor* operand);
};

namespace detail {
template <class Rule>
inline constexpr int slot_count =
    static_cast<int>(member_count<typename Rule::template Slot<float>>);

template <class Rule>
void update_served(const double* number, std::int64_t step, AnyTensor* operand) {
  constexpr int slots = slot_count<Rule>;
  Rule rule;
  optim::detail::get_numbers(rule, number);
  AnyTensor* slot[slots > 0 ? slots : 1] = {};
  for (int k = 0; k < slots; ++k) slot[k] = operand + 2 + k;
  if (operand[0].dtype() == Dtype::f64)
    optim::detail::update_tensor<double>(rule, rule.at(step), operand[0], operand[1], slot, slots);
  else
    optim::detail::update_tensor<float>(rule, rule.at(step), operand[0], operand[1], slot, slots);
}
}  // namespace detail

template <class Rule>
ServedRule served_rule() {
  return {Rule::name, optim::detail::number_count<Rule>, detail::slot_count<Rule>,
          detail::update_served<Rule>};
}
/// Those of optim/, Accumulate, and `Rules` of your own, each with a `name`.
template <class... Rules>
std::vector<ServedRule> served_rules() {
  return {served_rule<Accumulate>(), served_rule<optim::Sgd>(), served_rule<optim::Adam>(),
          served_rule<Rules>()...};
}

}  // namespace tenon::dist
