// SPDX-License-Identifier: Apache-2.0
// The headers as nvcc sees them: no warning from it, and the program does on the host what g++'s does.
#define EIGEN_NO_CUDA
#if __has_include(<tenon/tenon.hpp>)
#include <tenon/tenon.hpp>
#endif
#include <tenon/core/error.hpp>
#include <tenon/core/parallel.hpp>

#include <cstdio>

int main() {
  double part[8] = {};
  tenon::parallel_for(8, 2, [&](tenon::Index block) { part[block] = static_cast<double>(block); });
  double sum = 0;
  for (double p : part) sum += p;
  try {
    tenon::fail(tenon::Error::value, "headers: thrown");
  } catch (const tenon::Error& error) {
    std::printf("%s\n", error.what());
    return error.code() == tenon::Error::value && sum == 28 ? 0 : 1;
  }
}
