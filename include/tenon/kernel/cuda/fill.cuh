// SPDX-License-Identifier: Apache-2.0
// Fills the slots of every statement of a file built by nvcc with its kernels.
#pragma once
#include <tenon/kernel/cuda/team.cuh>
#include <tenon/kernel/device/rows_backward.hpp>
#include <tenon/kernel/device/slot.hpp>
#include <tenon/kernel/device/update.hpp>

namespace tenon::inline TENON_ISA::kernel {

/// The __global__ function of a body.
template <class Body, class Arguments>
const void* cuda_kernel() {
  return reinterpret_cast<const void*>(&run_on_device<Body, Arguments>);
}

template <class G, class T, bool FromResult>
struct FillGroup<G, T, FromResult, void> {
  static bool fill() {
    using Rows = DeviceRows<G, T>;
    using Back = DeviceRowsBackward<G, T, FromResult>;
    abi::DeviceGroupKernels& k = device_group<G, T, FromResult>;
    k.forward.device = cuda_kernel<typename Rows::ForwardBody, typename Rows::Forward>();
#if !defined(TENON_NO_BACKWARD)
    if constexpr (std::is_floating_point_v<T>)
      k.backward.device = cuda_kernel<typename Back::BackwardBody, typename Back::Backward>();
#endif
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
    device_update<Rule, T>.device =
        cuda_kernel<UpdateBody<Rule, T>, typename UpdateBody<Rule, T>::Arguments>();
    return true;
  }
  static const bool done;
  static constexpr const bool* filled() { return &done; }
};
template <class Rule, class T>
const bool FillUpdate<Rule, T, void>::done = FillUpdate<Rule, T, void>::fill();

}  // namespace tenon::kernel
