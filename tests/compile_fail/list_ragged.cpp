// SPDX-License-Identifier: Apache-2.0
// expect: rows of different lengths
#include <tenon/tenon.hpp>

namespace list_ragged {
using namespace tenon;
#ifdef EXPECT_ERROR
void f() { Tensor x = {{1.f, 2.f}, {3.f}}; }
#else
void f() { Tensor x = {{1.f, 2.f}, {3.f, 4.f}}; }
#endif
}  // namespace list_ragged
