// SPDX-License-Identifier: Apache-2.0
// Losses against their formulas in long double, at the limits, and their gradients.
#include <tenon/nn/loss.hpp>

#include "support/files.hpp"
#include "support/statements.hpp"

using namespace tests;

namespace loss_test {

namespace {
std::vector<double> rows_by_hand(const std::vector<double>& x, const std::vector<double>& label,
                                 double smoothing = 0) {
  const std::size_t classes = x.size() / label.size();
  std::vector<double> loss;
  for (std::size_t r = 0; r < label.size(); ++r) {
    const double* row = x.data() + r * classes;
    const long double top = *std::max_element(row, row + classes);
    long double sum = 0, mean = 0;
    for (std::size_t c = 0; c < classes; ++c) sum += std::exp(row[c] - top), mean += row[c];
    mean /= static_cast<long double>(classes);
    const long double s = smoothing;
    loss.push_back(static_cast<double>(
        top + std::log(sum) - (1 - s) * row[static_cast<std::size_t>(label[r])] - s * mean));
  }
  return loss;
}
double mean_of(const std::vector<double>& v) {
  long double sum = 0;
  for (double x : v) sum += x;
  return static_cast<double>(sum / static_cast<long double>(v.size()));
}
template <class T, Index N>
Tensor<T, Shape<N>> labels(Index classes) {
  return Tensor<T, Shape<N>>(
      made(dtype_of<T>, extents({N}), [=](Index i) { return (i * 7 + 3) % classes; }));
}
}  // namespace

TEST_CASE("cross entropy is its formula, for f32 and f64, any integer label, mean and rows") {
  const auto x = spread<double, 23, 10>(1, -5, 5);
  const auto l = labels<std::int64_t, 23>(10);
  const auto want = rows_by_hand(values(x), values(l));
  CHECK(distance(values(nn::cross_entropy_rows(x, l)), want) <= 1e-14);
  CHECK(distance(values(nn::cross_entropy(x, l)), {mean_of(want)}) <= 1e-14);
  CHECK(distance(values(nn::cross_entropy(x, labels<std::int32_t, 23>(10))), {mean_of(want)}) <=
        1e-14);
  const auto f = spread<float, 23, 10>(1, -5, 5);
  CHECK(distance(values(nn::cross_entropy(f, l)), {mean_of(rows_by_hand(values(f), values(l)))}) <=
        1e-6);
}

TEST_CASE("cross entropy with label smoothing is its formula and at 0 the one without") {
  const auto x = spread<double, 23, 10>(2, -5, 5);
  const auto l = labels<std::int64_t, 23>(10);
  for (float s : {0.0f, 0.1f, 1.0f})
    CHECK(distance(values(nn::cross_entropy(x, l, s)),
                   {mean_of(rows_by_hand(values(x), values(l), s))}) <= 1e-13);
}

TEST_CASE("cross entropy of large logits is as exact as they are, its gradient too") {
  // -1000 is known to 1000 * 2^-24, and so is its logsumexp.
  constexpr double bound = 1000 * 0x1p-23;
  const Tensor<float, Shape<2, 3>> x(
      of(Dtype::f32, extents({2, 3}), {1e30, -1e30, 0, -1000, -1000, -1000}));
  const Tensor<std::int64_t, Shape<2>> l(of(Dtype::i64, extents({2}), {0, 2}));
  Tape tape;
  Tensor loss = nn::cross_entropy(x, l);
  CHECK(std::fabs(double(loss.item()) - std::log(3.0) / 2) <= bound);
  const auto g = values(tape.gradient(loss, x));
  const std::vector<double> want = {0, 0, 0, 1.0 / 6, 1.0 / 6, -1.0 / 3};
  CHECK(distance(g, want) <= bound);
}

TEST_CASE("the gradient of cross entropy is (softmax - target) / rows") {
  const auto x = spread<double, 9, 6>(3);
  const auto l = labels<std::int64_t, 9>(6);
  Tape tape;
  Tensor loss = nn::cross_entropy(x, l);
  const auto g = values(tape.gradient(loss, x)), v = values(x), c = values(l);
  for (std::size_t r = 0; r < 9; ++r) {
    double sum = 0;
    for (std::size_t i = 0; i < 6; ++i) sum += std::exp(v[6 * r + i]);
    for (std::size_t i = 0; i < 6; ++i)
      CHECK(g[6 * r + i] ==
            Approx((std::exp(v[6 * r + i]) / sum - (c[r] == double(i) ? 1 : 0)) / 9).margin(1e-15));
  }
}

TEST_CASE("gradients of every loss") {
  const auto l = labels<std::int64_t, 5>(4);
  const auto x = spread<double, 5, 4>(4), y = spread<double, 5, 4>(5);
  check_statement([&](const auto& x) { return nn::cross_entropy(x, l); }, x);
  check_statement([&](const auto& x) { return nn::cross_entropy(x, l, 0.2f); }, x);
  check_statement([&](const auto& x) { return nn::cross_entropy_rows(x, l); }, x);
  check_statement([](const auto& x, const auto& y) { return nn::mse_loss(x, y); }, x, y);
}

TEST_CASE("cross entropy is one kernel forward and one backward") {
  const auto x = spread<float, 64, 10>(1);
  const auto l = labels<std::int64_t, 64>(10);
  const kernel::Counters c = counted(
      [&] { value_and_gradients([&](const auto& x) { return nn::cross_entropy(x, l); }, x); });
  CHECK(c.forward == 1);
  CHECK(c.backward == 1);
  CHECK(c.single == 0);
}

TEST_CASE("a label out of range is an index error with the label and the number of classes") {
  const auto x = spread<float, 3, 10>(1);
  for (double bad : {10.0, -1.0, 1e18}) {
    const Tensor<std::int64_t, Shape<3>> l(of(Dtype::i64, extents({3}), {0, bad, 9}));
    const Failure f = failure([&] { Tensor y = nn::cross_entropy(x, l); });
    CHECK(f.code == Error::index);
    CHECK_THAT(f.text, ContainsSubstring(std::to_string(static_cast<long long>(bad))) &&
                           ContainsSubstring("10"));
    const Failure under_tape = failure([&] {
      Tape tape;
      Tensor y = nn::cross_entropy_rows(x, l);
    });
    CHECK(under_tape.code == Error::index);
    WithoutKernels scope;
    CHECK(failure([&] { Tensor y = nn::cross_entropy(x, l); }).code == Error::index);
  }
}

TEST_CASE("mse_loss is the mean of squares") {
  const auto x = spread<double, 7, 3>(1), y = spread<double, 7, 3>(2);
  const auto a = values(x), b = values(y);
  long double sum = 0;
  for (std::size_t i = 0; i < 21; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  CHECK(distance(values(nn::mse_loss(x, y)), {static_cast<double>(sum / 21)}) <= 1e-14);
}

}  // namespace loss_test
