// SPDX-License-Identifier: Apache-2.0
// Fills slots with __global__ functions, in files built by nvcc.
#pragma once
#include <tenon/kernel/cuda/team.cuh>
#include <tenon/kernel/device/fill.hpp>

namespace tenon::inline TENON_ISA::kernel {

template <class Body, class Arguments>
void fill_kernel(abi::DeviceKernel& kernel) {
  kernel.device = reinterpret_cast<const void*>(&run_on_device<Body, Arguments>);
}

}  // namespace tenon::kernel
