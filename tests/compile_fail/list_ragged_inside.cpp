// SPDX-License-Identifier: Apache-2.0
// expect: class template argument deduction failed
// expect-clang: no viable constructor or deduction guide
#include <tenon/tenon.hpp>

namespace list_ragged_inside {
using namespace tenon;
#ifdef EXPECT_ERROR
void f() { Tensor x = {{{1, 2}, {3}}}; }
#else
void f() { Tensor x = {{{1, 2}, {3, 4}}}; }
#endif
}  // namespace list_ragged_inside
