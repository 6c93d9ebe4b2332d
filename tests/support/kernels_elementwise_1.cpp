// SPDX-License-Identifier: Apache-2.0
// Element-wise operations 10 to 19 of the list, for f32, f64 and integers.
#include <tenon/registry/kernels.hpp>

namespace tenon::inline TENON_ISA::registry {
template const OpInfo* elementwise_part<1, float>(int);
template const OpInfo* elementwise_part<1, double>(int);
template const OpInfo* elementwise_part<1, std::int64_t>(int);
}  // namespace tenon::inline TENON_ISA::registry
