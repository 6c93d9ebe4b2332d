// SPDX-License-Identifier: Apache-2.0
// Fills the slots of every statement of a file, and those of the kernels that all programs share.
// How one kernel is filled is said by who includes this: kernel/cuda/fill.cuh by a __global__
// function, tests by lanes in turn.
#pragma once
#include <tenon/kernel/device/lookup_bodies.hpp>
#include <tenon/kernel/device/rows_backward.hpp>
#include <tenon/kernel/device/slot.hpp>
#include <tenon/kernel/device/update.hpp>

namespace tenon::inline TENON_ISA::kernel {

/// Sets the kernel of a body.
template <class Body, class Arguments>
void fill_kernel(abi::DeviceKernel& kernel);

template <class G, class T, bool FromResult>
struct FillGroup<G, T, FromResult, void> {
  static bool fill() {
    using Rows = DeviceRows<G, T>;
    abi::DeviceGroupKernels& k = device_group<G, T, FromResult>;
    fill_kernel<typename Rows::ForwardBody, typename Rows::Forward>(k.forward);
#if !defined(TENON_NO_BACKWARD)
    using Back = DeviceRowsBackward<G, T, FromResult>;
    if constexpr (std::is_floating_point_v<T>)
      fill_kernel<typename Back::BackwardBody, typename Back::Backward>(k.backward);
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
    using Body = UpdateBody<Rule, T>;
    fill_kernel<Body, typename Body::Arguments>(device_update<Rule, T>);
    return true;
  }
  static const bool done;
  static constexpr const bool* filled() { return &done; }
};
template <class Rule, class T>
const bool FillUpdate<Rule, T, void>::done = FillUpdate<Rule, T, void>::fill();

namespace detail {
template <class Body>
void fill_with(abi::DeviceKernel& kernel) {
  fill_kernel<Body, typename Body::Arguments>(kernel);
}
}  // namespace detail

/// The kernels of memory/device_kernels.hpp. A template, so that only who calls it compiles them.
template <class Kernels>
void fill_library(Kernels& k) {
  detail::fill_with<CopyBody>(k.copy), detail::fill_with<RampBody>(k.ramp);
  detail::fill_with<UniformBody>(k.uniform), detail::fill_with<TakeBody>(k.take);
  detail::fill_with<ScatterBody>(k.scatter), detail::fill_with<CheckBody>(k.check);
  detail::fill_with<ExtremeBody>(k.extreme), detail::fill_with<TotalBody>(k.total);
  detail::fill_with<FoldBody>(k.fold), detail::fill_with<SquaresBody>(k.squares);
  detail::fill_with<CombineBody>(k.combine);
}

}  // namespace tenon::kernel
