// SPDX-License-Identifier: Apache-2.0
// The registry's products, losses and normalisations.
#include <tenon/registry/contract.hpp>
#include <tenon/registry/loss.hpp>
#include <tenon/registry/norm.hpp>

namespace tenon::inline TENON_ISA::registry {
template std::span<const Operation> contract_operations<void>();
template std::span<const Operation> loss_operations<void>();
template std::span<const Operation> norm_operations<void>();
}  // namespace tenon::inline TENON_ISA::registry
