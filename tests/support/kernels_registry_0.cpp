// SPDX-License-Identifier: Apache-2.0
// The registry's formulas over single elements and rows.
#include <tenon/registry/composed.hpp>
#include <tenon/registry/elementwise.hpp>
#include <tenon/registry/reduce.hpp>

namespace tenon::inline TENON_ISA::registry {
template std::span<const Operation> composed_operations<void>();
template std::span<const Operation> elementwise_operations<void>();
template std::span<const Operation> reduce_operations<void>();
}  // namespace tenon::inline TENON_ISA::registry
