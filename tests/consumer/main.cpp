// SPDX-License-Identifier: Apache-2.0
// What another project's first program may look like; it prints one line that the tests compare.
#include <tenon/core/error.hpp>
#include <tenon/core/parallel.hpp>

#include <cstdio>

int main() {
  tenon::Index squares[10];
  tenon::parallel_for(10, tenon::num_threads(), [&](tenon::Index i) { squares[i] = i * i; });
  try {
    tenon::fail(tenon::Error::shape, "consumer: squares[9] is " + std::to_string(squares[9]));
  } catch (const tenon::Error& error) {
    std::printf("%s, code %d, version %d\n", error.what(), static_cast<int>(error.code()),
                TENON_VERSION);
  }
}
