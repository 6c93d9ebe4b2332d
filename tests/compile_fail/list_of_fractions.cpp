// SPDX-License-Identifier: Apache-2.0
// expect: a floating number in a list of integers
#include <tenon/tenon.hpp>

namespace list_of_fractions {
using namespace tenon;
#ifdef EXPECT_ERROR
void f() { Tensor<int, Shape<2>> x = {1, 2.5}; }
#else
void f() { Tensor<int, Shape<2>> x = {1, 2}; }
#endif
}  // namespace list_of_fractions
