// SPDX-License-Identifier: Apache-2.0
// Optimizer: a rule for one weight, its state for every parameter of a model, and one kernel a
// parameter.
#pragma once
#include <tenon/core/pack.hpp>
#include <tenon/core/parallel.hpp>
#include <tenon/kernel/device/slot.hpp>
#include <tenon/kernel/group_run.hpp>
#include <tenon/memory/device_kernels.hpp>
#include <tenon/tensor/copy.hpp>
#include <tenon/tensor/model.hpp>

namespace tenon::inline TENON_ISA::optim {

namespace detail {

/// w = rule(w, g, slots) element by element, in place. T: float or double.
template <class T, class Rule>
void update_block(const Rule& rule, typename Rule::Step step, T* w, const T* g, T* const* slot,
                  Index begin, Index end) {
  constexpr int N = scalar::lanes<T>;
  using V = scalar::Pack<T, N>;
  using Slots = typename Rule::template Slot<V>;
  constexpr int count = static_cast<int>(member_count<Slots>);
  Slots s;
  V* const place = reinterpret_cast<V*>(&s);
  static_assert(count == 0 || sizeof(Slots) == sizeof(V) * static_cast<std::size_t>(count),
                "tenon: a Slot holds values of V only");
  Index i = begin;
  for (; i + N <= end; i += N) {
    for (int k = 0; k < count; ++k) place[k] = V::load(slot[k] + i);
    rule(V::load(w + i), V::load(g + i), s, step).store(w + i);
    for (int k = 0; k < count; ++k) place[k].store(slot[k] + i);
  }
  if (i == end) return;
  const int rest = static_cast<int>(end - i);
  for (int k = 0; k < count; ++k) place[k] = V::load_partial(slot[k] + i, rest);
  rule(V::load_partial(w + i, rest), V::load_partial(g + i, rest), s, step)
      .store_partial(w + i, rest);
  for (int k = 0; k < count; ++k) place[k].store_partial(slot[k] + i, rest);
}

/// The same on the device of w. Not a template of the rule but for the arguments' bytes.
template <class Arguments>
TENON_COLD void update_on(const abi::DeviceKernel& kernel, const char* name, Arguments a,
                          AnyTensor& w, const AnyTensor& gradient, AnyTensor* const* slots,
                          int count) {
  const Device d = w.device();
  const AnyTensor dense = tenon::detail::moved(gradient.to(w.dtype()), d).to_contiguous();
  for (int k = 0; k < count; ++k) {
    if (!(slots[k]->device() == d)) *slots[k] = tenon::detail::moved(*slots[k], d);
    slots[k]->detach();
    a.slot[k] = slots[k]->get()->data;
  }
  a.w = w.get()->data, a.g = dense.get()->data, a.count = w.size();
  tenon::detail::launch_each(d, kernel, name, a, w.size());
}

template <class T, class Rule>
void update_tensor(const Rule& rule, typename Rule::Step step, AnyTensor& w,
                   const AnyTensor& gradient, AnyTensor* const* slots, int count) {
  w.detach();
  (void)kernel::FillUpdate<Rule, T>::filled();
  if (w.get()->place) [[unlikely]] {
    ++kernel::counters().forward;
    const char* name = "update";
    if constexpr (requires { Rule::name; }) name = Rule::name;
    return update_on(
        kernel::device_update<Rule, T>, name,
        abi::DeviceUpdate<Rule, typename Rule::Step>{rule, step, nullptr, nullptr, {}, 0}, w,
        gradient, slots, count);
  }
  T* slot[8];
  for (int k = 0; k < count; ++k) {
    slots[k]->detach();
    slot[k] = static_cast<T*>(slots[k]->raw_writable());
  }
  AnyTensor dense = gradient.to(dtype_of<T>).to_contiguous();
  T* p = static_cast<T*>(w.raw_writable());
  const T* g = static_cast<const T*>(dense.raw());
  const Index n = w.size(), block = 16 * 1024, blocks = (n + block - 1) / block;
  ++kernel::counters().forward;
  parallel_for(blocks, n >= Threshold::cheap ? num_threads() : 1, [&](Index b) {
    update_block<T>(rule, step, p, g, slot, b * block, std::min(n, (b + 1) * block));
  });
}

// The rule and its step as numbers, for graphs.
template <class X>
inline constexpr int number_count = static_cast<int>(member_count<X>);
template <class X>
double* put_numbers(const X& x, double* to) {
  if constexpr (number_count < X >> 0)
    tenon::each_member(x, [&](std::string_view, const auto& m) { *to++ = static_cast<double>(m); });
  return to;
}
template <class X>
const double* get_numbers(X& x, const double* from) {
  if constexpr (number_count < X >> 0)
    tenon::each_member(x, [&](std::string_view, auto& m) {
      m = static_cast<std::remove_reference_t<decltype(m)>>(*from++);
    });
  return from;
}
template <class T, class Rule, int Slots>
void update_again(AnyTensor* operand, const double* number) {
  Rule rule;
  typename Rule::Step step;
  get_numbers(step, get_numbers(rule, number));
  AnyTensor* slot[Slots > 0 ? Slots : 1];
  for (int k = 0; k < Slots; ++k) slot[k] = operand + 2 + k;
  update_tensor<T>(rule, step, operand[0], operand[1], slot, Slots);
}
template <class Optimizer>
void numbers_ahead(const void* source, std::int64_t ahead, double* number) {
  const auto& o = *static_cast<const Optimizer*>(source);
  put_numbers(o.rule.at(o.steps + ahead), put_numbers(o.rule, number));
}
template <class T, class Optimizer>
struct UpdateInfo {
  using Rule = decltype(Optimizer::rule);
  static constexpr int scalars = number_count<Rule> + number_count<typename Rule::Step>;
  static constexpr StatementInfo info = [] {
    StatementInfo s;
    if constexpr (requires { Rule::name; }) s.name = Rule::name;
    else s.name = "update";
    s.compute = dtype_of<T>, s.scalars = scalars;
    s.function_update = update_again<T, Rule, Optimizer::slots>;
    s.function_numbers = numbers_ahead<Optimizer>;
    return s;
  }();
};
/// What moves in a step of one parameter, before and after, told to the tracer.
template <class T, class Optimizer>
struct TracedUpdate {
  static constexpr int slots = Optimizer::slots;
  AnyTensor before[2 + slots], after[1 + slots];

  TracedUpdate(const AnyTensor& w, const AnyTensor& g, AnyTensor* const* slot) {
    before[0] = w, before[1] = g;
    for (int k = 0; k < slots; ++k) before[2 + k] = *slot[k];
  }
  TENON_COLD void tell(const Optimizer& o, typename decltype(Optimizer::rule)::Step step,
                       const AnyTensor& w, AnyTensor* const* slot) {
    double number[UpdateInfo<T, Optimizer>::scalars];
    put_numbers(step, put_numbers(o.rule, number));
    after[0] = w;
    for (int k = 0; k < slots; ++k) after[1 + k] = *slot[k];
    const Attributes none;
    Statement s{
        &UpdateInfo<T, Optimizer>::info, before, 2 + slots, number, &none, after, 1 + slots};
    s.source = &o, s.steps = &o.steps;
    Tracer* t = ambient().tracer;
    t->statement(*t, s);
  }
};

}  // namespace detail

/// A rule with its state for a model. `state` holds one model-shaped struct for each member of the
/// rule's Slot.
/// The rule's numbers may be changed at any time between steps.
template <class Rule, class Model>
struct Optimizer {
  static constexpr int slots = static_cast<int>(member_count<typename Rule::template Slot<float>>);

  Rule rule;
  std::array<Model, slots> state;
  std::int64_t steps = 0;  ///< taken so far

  /// One step: every parameter of net moves by its gradient in g, each by one kernel.
  void step(Model& net, const Model& g) {
    using tenon::detail::Members;
    Members own(Members::parameters), gradient(Members::parameters);
    tenon::detail::visit_members(own, net);
    tenon::detail::collect_members(gradient, g);
    std::array<std::optional<Members>, slots> slot;
    for (std::size_t k = 0; k < slots; ++k) {
      slot[k].emplace(Members::parameters);
      tenon::detail::visit_members(*slot[k], state[k]);
      check(net, own, *slot[k], "state");
    }
    check(net, own, gradient, "gradient");
    const typename Rule::Step at = rule.at(++steps);
    std::size_t i = 0;
    auto update = [&](const char*, auto& w) {
      using T = typename std::remove_cvref_t<decltype(w)>::element;
      using C = compute_t<T>;
      AnyTensor* s[slots > 0 ? slots : 1];
      for (std::size_t k = 0; k < slots; ++k) s[k] = &(*slot[k])[i];
      const AnyTensor& slope = gradient[i++];
      if constexpr (std::is_same_v<T, C>) {
        if (ambient().tracer) [[unlikely]] {
          detail::TracedUpdate<T, Optimizer> traced(w.any(), slope, s);
          detail::update_tensor<T>(rule, at, w.any(), slope, s, slots);
          traced.tell(*this, at, w.any(), s);
        } else {
          detail::update_tensor<T>(rule, at, w.any(), slope, s, slots);
        }
      } else {  // storage types: computed in float, rounded once
        AnyTensor wide = w.any().to(dtype_of<C>), kept[slots > 0 ? slots : 1], *in[slots + 1];
        for (int k = 0; k < slots; ++k) kept[k] = s[k]->to(dtype_of<C>), in[k] = &kept[k];
        detail::update_tensor<C>(rule, at, wide, slope, in, slots);
        w.any() = wide.to(dtype_of<T>);
        for (int k = 0; k < slots; ++k) *s[k] = kept[k].to(dtype_of<T>);
      }
    };
    tenon::detail::each_typed<false>(nullptr, net, update);
  }

 private:
  // Before anything is written: a step that fails changes nothing.
  static void check(const Model& net, const tenon::detail::Members& own,
                    const tenon::detail::Members& other, const char* what) {
    if (own.size() != other.size())
      fail(Error::shape,
           {"optimizer: the model has ", own.size(), " parameters, its ", what, " ", other.size()});
    for (std::size_t i = 0; i < own.size(); ++i) {
      const AnyTensor &w = own[i], &g = other[i];
      if (w.defined() && g.defined() && w.extents() == g.extents() && w.dtype() == g.dtype())
        continue;
      const std::string path =
          "optimizer: the parameter " + tenon::detail::parameter_path<Model>(&net, i);
      if (!w.defined()) fail(Error::uninitialised, {path, " was never initialised"});
      if (!g.defined()) fail(Error::uninitialised, {path, " has no ", what});
      fail(Error::shape, {path, " is ", name_of(w.dtype()), " ", w.extents(), ", its ", what, " ",
                          name_of(g.dtype()), " ", g.extents()});
    }
  }
};

/// An optimizer for a model: all state zero.
template <class Rule, class Model>
Optimizer<Rule, Model> make(Rule rule, const Model& model) {
  Optimizer<Rule, Model> o{rule, {}, 0};
  for (Model& s : o.state) {
    s = model;
    tenon::detail::Members m(tenon::detail::Members::parameters);
    tenon::detail::visit_members(m, s);
    for (std::size_t i = 0; i < m.size(); ++i) {
      if (!m[i].defined())
        fail(Error::uninitialised,
             {"optim::make: the parameter ", tenon::detail::parameter_path<Model>(&s, i),
              " was never initialised"});
      m[i] = tenon::detail::zeros_beside(m[i], m[i].dtype(), m[i].extents());
    }
  }
  return o;
}

}  // namespace tenon::optim
