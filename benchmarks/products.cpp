// SPDX-License-Identifier: Apache-2.0
// Matrix products, one thread.
#include "support/bench.hpp"
#include "support/data.hpp"
#include "support/limits.hpp"

using namespace tenon;

int main(int argc, char** argv) {
  return bench::main(argc, argv, [] {
    const std::array<Index, 3> sizes[] = {{64, 256, 784}, {256, 784, 64}, {64, 128, 256},
                                          {64, 10, 128},  {1, 256, 784},  {256, 256, 256},
                                          {512, 512, 512}};
    for (auto [m, n, k] : sizes) {
      const double flops = 2.0 * static_cast<double>(m * n * k);
      bench::add(
          "matmul " + std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k),
          [m = m, n = n, k = k, flops] {
            Tensor<float, Shape<dyn, dyn>> a = bench::numbers({m, k}, 1),
                                           b = bench::numbers({k, n}, 2);
            bench::Contest c;
            c.tenon = bench::value_of([=] { return matmul(a, b); });
            c.peer = peer::make("matmul", {m, n, k});
            c.limit = [flops] { bench::multiply_adds(flops); };
            return c;
          });
    }
  });
}
