// SPDX-License-Identifier: Apache-2.0
// expect: class template argument deduction failed
// expect-clang: no viable constructor or deduction guide
#include <tenon/tenon.hpp>

namespace list_mixed {
using namespace tenon;
#ifdef EXPECT_ERROR
void f() { Tensor x = {{1.f, 2.f}, {3, 4}}; }
#else
void f() { Tensor x = {{1.f, 2.f}, {3.f, 4.f}}; }
#endif
}  // namespace list_mixed
