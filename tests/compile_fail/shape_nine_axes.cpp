// SPDX-License-Identifier: Apache-2.0
// expect: a Shape has at most 8 axes
#include <tenon/shape/shape.hpp>

namespace shape_nine_axes {
#ifdef EXPECT_ERROR
inline constexpr int rank = tenon::Shape<1, 2, 3, 4, 5, 6, 7, 8, 9>::rank;
#else
inline constexpr int rank = tenon::Shape<1, 2, 3, 4, 5, 6, 7, 8>::rank;
#endif
}  // namespace shape_nine_axes
