// SPDX-License-Identifier: Apache-2.0
// Products, softmax and normalisation, each one kernel, for f32 and f64.
#include <tenon/registry/kernels.hpp>

namespace tenon::inline TENON_ISA::registry {
template const StatementInfo* fused_part<float>(Fused);
template const StatementInfo* fused_part<double>(Fused);
}  // namespace tenon::inline TENON_ISA::registry
