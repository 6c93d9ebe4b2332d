// SPDX-License-Identifier: Apache-2.0
// A const model shared by four threads, each evaluating and differentiating it; kernels on two
// threads.
#include <tenon/core/parallel.hpp>
#include <tenon/tape/tape.hpp>

#include <thread>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

namespace threads_test {

namespace {
struct Net {
  Tensor<float, Shape<20, 30>> w1;
  Tensor<float, Shape<30>> b1;
  Tensor<float, Shape<30, 5>> w2;
  auto operator()(const auto& x) const { return matmul(relu(matmul(x, w1) + b1), w2); }
};
}  // namespace

TEST_CASE("a model shared by four threads gives each of them the same bits") {
  const Net net{spread<float, 20, 30>(1), spread<float, 30>(2), spread<float, 30, 5>(3)};
  const auto x = spread<float, 16, 20>(4);
  auto work = [&](std::vector<AnyTensor>& out) {
    for (int i = 0; i < 5; ++i) {
      Tape tape;
      Tensor loss = mean(square(net(x)));
      const Net g = tape.gradient(loss, net);
      out = {loss.any(), g.w1.any(), g.b1.any(), g.w2.any()};
    }
  };
  std::vector<AnyTensor> results[5];
  work(results[4]);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&, t] { work(results[t]); });
  for (std::thread& t : threads) t.join();
  for (int t = 0; t < 4; ++t)
    for (std::size_t i = 0; i < 4; ++i) CHECK(same_bits(results[t][i], results[4][i]));
}

TEST_CASE("one thread or two: the same bits forward and backward") {
  const int before = num_threads();
  const auto x = spread<float, Shape<dyn, dyn>>(1, {300, 1000});
  const auto b = spread<float, Shape<dyn>>(2, {1000});
  const auto w = spread<float, 1000, 64>(3);
  std::vector<AnyTensor> out[2];
  for (int threads : {1, 2}) {
    set_num_threads(threads);
    Tape tape;
    Tensor loss = mean(square(relu(matmul(tanh(x + b), w)))) + mean(logsumexp(x * b, axis<-1>));
    AnyTensor wrt[] = {x.any(), b.any(), w.any()}, g[3];
    tape.gradient(loss.any(), wrt, g);
    out[threads - 1] = {loss.any(), g[0], g[1], g[2]};
  }
  set_num_threads(before);
  for (std::size_t i = 0; i < 4; ++i) CHECK(same_bits(out[0][i], out[1][i]));
}

}  // namespace threads_test
