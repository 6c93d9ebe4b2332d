// SPDX-License-Identifier: Apache-2.0
// What one node of the tape costs, forward and backward, when it computes next to nothing.
#include "support/bench.hpp"
#include "support/data.hpp"

using namespace tenon;

int main(int argc, char** argv) {
  return bench::main(argc, argv, [] {
    for (int count : {1, 16, 64})
      bench::add("tape node, 16 elements, of " + std::to_string(count), [count] {
        const Tensor<float, Shape<16>> x = bench::numbers({16}, 1);
        auto f = [=] {
          Tensor<float, Shape<16>> h = x;
          for (int i = 0; i < count; ++i) h = tanh(h);
          return h;
        };
        bench::Contest k;
        k.tenon = bench::with_gradients(f, std::array{x.any()}, bench::filled({16}, 1));
        k.peer = peer::make("nodes", {count, 16});
        k.per = count;
        return k;
      });
  });
}
