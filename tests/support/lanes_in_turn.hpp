// SPDX-License-Identifier: Apache-2.0
// Fills the slots of every statement of a file with bodies whose lanes run in turn on the host: for
// tests, which execute the code of devices without one. Included before the statements.
#pragma once
#include <tenon/kernel/device/lookup_bodies.hpp>
#include <tenon/kernel/device/rows_backward.hpp>
#include <tenon/kernel/device/slot.hpp>
#include <tenon/kernel/device/team.hpp>
#include <tenon/kernel/device/update.hpp>

namespace tenon::inline TENON_ISA::kernel {

template <class G, class T, bool FromResult>
struct FillGroup<G, T, FromResult, void> {
  static bool fill() {
    using Rows = DeviceRows<G, T>;
    using Back = DeviceRowsBackward<G, T, FromResult>;
    abi::DeviceGroupKernels& k = device_group<G, T, FromResult>;
    k.forward.lanes = run_in_turn<typename Rows::ForwardBody, typename Rows::Forward>;
    if constexpr (std::is_floating_point_v<T>)
      k.backward.lanes = run_in_turn<typename Back::BackwardBody, typename Back::Backward>;
    return true;
  }
  static const bool done;
  static constexpr const bool* filled() { return &done; }
};
template <class G, class T, bool FromResult>
const bool FillGroup<G, T, FromResult, void>::done = FillGroup<G, T, FromResult, void>::fill();

template <class Rule, class T>
struct FillUpdate<Rule, T, void> {
  static bool fill() {
    using Body = UpdateBody<Rule, T>;
    device_update<Rule, T>.lanes = run_in_turn<Body, typename Body::Arguments>;
    return true;
  }
  static const bool done;
  static constexpr const bool* filled() { return &done; }
};
template <class Rule, class T>
const bool FillUpdate<Rule, T, void>::done = FillUpdate<Rule, T, void>::fill();

namespace detail {
template <class Body>
abi::DeviceKernel in_turn() {
  return {nullptr, run_in_turn<Body, typename Body::Arguments>};
}
}  // namespace detail

/// The kernels of memory/device_kernels.hpp.
inline abi::DeviceKernels device_kernels_in_turn() {
  using namespace detail;
  return {in_turn<CopyBody>(),    in_turn<RampBody>(),    in_turn<UniformBody>(),
          in_turn<TakeBody>(),    in_turn<ScatterBody>(), in_turn<CheckBody>(),
          in_turn<ExtremeBody>(), in_turn<TotalBody>(),   in_turn<FoldBody>(),
          in_turn<SquaresBody>(), in_turn<CombineBody>()};
}

}  // namespace tenon::kernel
