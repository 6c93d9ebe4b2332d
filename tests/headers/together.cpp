// SPDX-License-Identifier: Apache-2.0
// Two files that include everything make one program: no function is defined twice.
#if __has_include(<tenon/tenon.hpp>)
#include <tenon/tenon.hpp>
#endif
#include <tenon/core/error.hpp>

int error_code_seen_by_another_file();

int main() {
  try {
    tenon::fail(tenon::Error::shape, "together: thrown");
  } catch (const tenon::Error& error) {
    return error.code() == error_code_seen_by_another_file() ? 0 : 1;
  }
  return 2;
}
