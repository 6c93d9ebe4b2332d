// SPDX-License-Identifier: Apache-2.0
// The second file of together.cpp.
#if __has_include(<tenon/tenon.hpp>)
#include <tenon/tenon.hpp>
#endif
#include <tenon/core/error.hpp>

int error_code_seen_by_another_file();

int error_code_seen_by_another_file() {
  try {
    tenon::fail(tenon::Error::shape, "together_too: thrown");
  } catch (const tenon::Error& error) {
    return error.code();
  }
}
