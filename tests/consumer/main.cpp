// SPDX-License-Identifier: Apache-2.0
// What another project's first program may look like; it prints one line that the tests compare.
#include <tenon/tenon.hpp>

#include <cstdio>
using namespace tenon;

int main() {
  auto x = tensor<float>({{1, 2, 3}, {4, 5, 6}});
  auto w = ones<float>(Shape<3, 2>{});
  Tape tape;
  auto loss = sum(square(matmul(x, w)));
  auto g = tape.gradient(loss, w);
  try {
    Tensor<float, Shape<dyn>> a = zeros<float>(Shape<2>{}), b = zeros<float>(Shape<3>{});
    Tensor sum = a + b;
  } catch (const Error& error) {
    std::printf("loss %g, dw %g, code %d, version %d\n", loss.item(), g(0, 0).item(),
                static_cast<int>(error.code()), TENON_VERSION);
  }
}
