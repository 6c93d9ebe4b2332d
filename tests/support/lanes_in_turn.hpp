// SPDX-License-Identifier: Apache-2.0
// Fills slots with bodies whose lanes run in turn on the host: for tests, which execute the code of
// devices without one. Included before the statements.
#pragma once
#include <tenon/kernel/device/fill.hpp>
#include <tenon/kernel/device/team.hpp>

namespace tenon::inline TENON_ISA::kernel {

template <class Body, class Arguments>
void fill_kernel(abi::DeviceKernel& kernel) {
  kernel.lanes = run_in_turn<Body, Arguments>;
}

}  // namespace tenon::kernel
