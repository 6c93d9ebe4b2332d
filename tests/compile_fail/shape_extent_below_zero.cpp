// SPDX-License-Identifier: Apache-2.0
// expect: an extent of Shape must be >= 0 or tenon::dyn
#include <tenon/shape/shape.hpp>

namespace shape_extent_below_zero {
#ifdef EXPECT_ERROR
inline constexpr int rank = tenon::Shape<2, -3>::rank;
#else
inline constexpr int rank = tenon::Shape<2, tenon::dyn>::rank;
#endif
}  // namespace shape_extent_below_zero
