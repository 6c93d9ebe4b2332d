// SPDX-License-Identifier: Apache-2.0
// Where a structure's kernels for a device are found. The slot is the same object in every file of
// a program; a file that includes tenon/cuda.hpp and is built by nvcc fills it before main.
#pragma once
#include <tenon/kernel/device/arguments.hpp>

namespace tenon::inline TENON_ISA::kernel {

/// The kernels of group G computing in T.
template <class G, class T, bool FromResult>
inline abi::DeviceGroupKernels device_group{};
/// The kernel of an optimizer's rule for weights of type T.
template <class Rule, class T>
inline abi::DeviceKernel device_update{};

/// Fills the slots of a group or a rule as a program starts, in files that have kernels for a
/// device: those specialise it. `filled()` is named where a structure is described.
template <class G, class T, bool FromResult, class = void>
struct FillGroup {
  static constexpr const bool* filled() { return nullptr; }
};
template <class Rule, class T, class = void>
struct FillUpdate {
  static constexpr const bool* filled() { return nullptr; }
};

}  // namespace tenon::kernel
