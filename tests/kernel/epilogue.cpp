// SPDX-License-Identifier: Apache-2.0
// A product with its epilogue: one kernel, right for every extent, the same bits on any machine's
// caches and threads.
#include <tenon/kernel/epilogue.hpp>

#include <tenon/expr/contract.hpp>
#include <tenon/expr/functions.hpp>

#include <Eigen/Core>

#include "support/statements.hpp"

using namespace tests;

namespace {
template <class T>
using Open = Tensor<T, Shape<dyn, dyn>>;
template <class T>
using Row = Tensor<T, Shape<dyn>>;

const auto statement = [](const auto& x, const auto& w, const auto& b) {
  return relu(matmul(x, w) + b);
};
template <class T>
std::vector<double> by_hand(const Open<T>& x, const Open<T>& w, const Row<T>& b) {
  const std::size_t m = static_cast<std::size_t>(x.extent(0)),
                    k = static_cast<std::size_t>(x.extent(1)),
                    n = static_cast<std::size_t>(w.extent(1));
  const auto a = values(x), c = values(w), d = values(b);
  std::vector<double> y(m * n);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      long double sum = d[j];
      for (std::size_t l = 0; l < k; ++l)
        sum += static_cast<long double>(a[i * k + l]) * c[l * n + j];
      y[i * n + j] = sum > 0 ? static_cast<double>(sum) : 0;
    }
  return y;
}
}  // namespace

TEST_CASE("product and epilogue are their formula for extents around every tile") {
  for (Index m : {1, 2, 13, 64, 130})
    for (Index n : {1, 5, 16, 33, 100, 257})
      for (Index k : {0, 1, 7, 64, 300}) {
        CAPTURE(m, n, k);
        const auto x = spread<double, Shape<dyn, dyn>>(1, {m, k}),
                   w = spread<double, Shape<dyn, dyn>>(2, {k, n});
        const auto b = spread<double, Shape<dyn>>(3, {n});
        Tensor y = statement(x, w, b);
        CHECK(distance(values(y), by_hand(x, w, b)) <= 1e-12);
      }
}

TEST_CASE("the epilogue broadcasts rows, columns and numbers, and reads views") {
  const auto x = spread<double, 37, 20>(1);
  const auto w = spread<double, 20, 41>(2);
  const auto row = spread<double, 41>(3);
  const auto column = spread<double, 37, 1>(4);
  const auto full = spread<double, 41, 37>(5);
  Tensor z = matmul(x, w);
  const Tensor<double, Shape<37, 41>> turned(swapped(full, 0, 1));
  const auto f = [&](const auto& z) { return Tensor(tanh(z * row + column) * 2 - turned); };
  Tensor fused = tanh(matmul(x, w) * row + column) * 2 - turned;
  CHECK(distance(values(fused), values(f(z))) <= 1e-14);
}

TEST_CASE("gradients through product and epilogue, and how many kernels they take") {
  const auto x = spread<double, 5, 4>(1);
  const auto w = spread<double, 4, 6>(2);
  const auto b = spread<double, 6>(3);
  check_statement(statement, x, w, b);
  const kernel::Counters all = counted([&] { value_and_gradients(statement, x, w, b); });
  CHECK(all.forward == 1);
  CHECK(all.backward == 1);
  CHECK(all.products == 3);
  CHECK(all.single == 0);
  const kernel::Counters weights = counted([&] {
    value_and_gradients([&](const auto& w, const auto& b) { return statement(x, w, b); }, w, b);
  });
  CHECK(weights.products == 2);
  const kernel::Counters bias =
      counted([&] { value_and_gradients([&](const auto& b) { return statement(x, w, b); }, b); });
  CHECK(bias.products == 1);
  CHECK(bias.backward == 1);
}

TEST_CASE(
    "bits depend neither on the number of threads nor on the cache sizes that Eigen is told") {
  const auto x = spread<float, Shape<dyn, dyn>>(1, {190, 784}),
             w = spread<float, Shape<dyn, dyn>>(2, {784, 256});
  const auto b = spread<float, Shape<dyn>>(3, {256});
  const std::ptrdiff_t l1 = Eigen::l1CacheSize(), l2 = Eigen::l2CacheSize(),
                       l3 = Eigen::l3CacheSize();
  std::vector<std::vector<AnyTensor>> out;
  for (int threads : {1, 2, 3}) {
    set_num_threads(threads);
    out.push_back(value_and_gradients(statement, x, w, b));
  }
  set_num_threads(0);
  for (std::ptrdiff_t bytes : {4 * 1024, 2 * 1024 * 1024}) {
    Eigen::setCpuCacheSizes(bytes, 4 * bytes, 16 * bytes);
    out.push_back(value_and_gradients(statement, x, w, b));
  }
  Eigen::setCpuCacheSizes(l1, l2, l3);
  for (std::size_t i = 1; i < out.size(); ++i)
    for (std::size_t k = 0; k < out[0].size(); ++k) CHECK(same_bits(out[i][k], out[0][k]));
}
