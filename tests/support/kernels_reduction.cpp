// SPDX-License-Identifier: Apache-2.0
// Reductions, for f32, f64 and integers.
#include <tenon/registry/kernels.hpp>

namespace tenon::inline TENON_ISA::registry {
template const OpInfo* reduction_part<float>(int);
template const OpInfo* reduction_part<double>(int);
template const OpInfo* reduction_part<std::int64_t>(int);
}  // namespace tenon::inline TENON_ISA::registry
