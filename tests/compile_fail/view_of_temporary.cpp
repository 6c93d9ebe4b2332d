// SPDX-License-Identifier: Apache-2.0
// expect: deleted
#include <tenon/function/shape.hpp>
#include <tenon/tensor/view.hpp>

namespace view_of_temporary {
#ifdef EXPECT_ERROR
tenon::Tensor<float, tenon::Shape<2, 3>> make();
void f() { make()(0) = 1.0f; }
#else
tenon::Tensor<float, tenon::Shape<2, 3>> make();
void f(tenon::Tensor<float, tenon::Shape<2, 3>>& x) { x(0) = 1.0f; }
#endif
}  // namespace view_of_temporary
