// SPDX-License-Identifier: Apache-2.0
// The registry's lookups, shapes and optimizers.
#include <tenon/registry/index.hpp>
#include <tenon/registry/optimize.hpp>
#include <tenon/registry/shape.hpp>

namespace tenon::inline TENON_ISA::registry {
template std::span<const Operation> index_operations<void>();
template std::span<const Operation> optimize_operations<void>();
template std::span<const Operation> shape_operations<void>();
}  // namespace tenon::inline TENON_ISA::registry
