// SPDX-License-Identifier: Apache-2.0
// One step of an optimizer on a device, as a body: w = rule(w, g, slots), element by element.
#pragma once
#include <tenon/core/reflect.hpp>
#include <tenon/kernel/device/arguments.hpp>

namespace tenon::inline TENON_ISA::kernel {

template <class Rule, class T>
struct UpdateBody {
  using Arguments = abi::DeviceUpdate<Rule, typename Rule::Step>;
  using Slots = typename Rule::template Slot<T>;
  static constexpr int count = static_cast<int>(member_count<Slots>);

  static TENON_FN int lanes(const Arguments&) { return 1; }
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    T* w = static_cast<T*>(a.w);
    const T* g = static_cast<const T*>(a.g);
    for (abi::Count i = team.index(); i < a.count; i += team.count()) {
      Slots s;
      T* place = reinterpret_cast<T*>(&s);
      for (int k = 0; k < count; ++k) place[k] = static_cast<const T*>(a.slot[k])[i];
      w[i] = a.rule(w[i], g[i], s, a.step);
      for (int k = 0; k < count; ++k) static_cast<T*>(a.slot[k])[i] = place[k];
    }
  }
};

}  // namespace tenon::kernel
