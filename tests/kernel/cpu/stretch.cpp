// SPDX-License-Identifier: Apache-2.0
// Rows in stretches: whatever of a row lies aside, values and gradients are those of the operations
// one by one. Lengths lie around a register, around what lies aside together, and beyond.
#include <tenon/function/softmax.hpp>
#include <tenon/kernel/cpu/stretch.hpp>

#include "support/statements.hpp"

using namespace tenon;
using tests::spread;

namespace {

using F = double;
constexpr Index lanes = scalar::lanes<F>, together = kernel::detail::aside_steps * lanes;

// b is a number a row or for all rows, c a value a column; every statement has them on both sides
// of what is nonlinear, so that some gradients are summed up and others are written.
template <class Check>
void each_statement(const Check& check) {
  check([](const auto& a, const auto& b, const auto& c) { return a * b + c; });
  check([](const auto& a, const auto& b, const auto& c) { return tanh(a * b + c) * c - b; });
  check(
      [](const auto& a, const auto& b, const auto& c) { return softmax(a * b + c, axis<-1>) * c; });
  check([](const auto& a, const auto& b, const auto& c) {
    return mean(square(a - mean(a, axis<-1>, keepdims)) * c, axis<-1>, keepdims) * b + a * c;
  });
}

}  // namespace

TEST_CASE("operands that are constant along a row, gradients that are summed up or added") {
  for (Index n : {Index(1), lanes - 1, lanes, lanes + 1, together - 1, together, together + 1,
                  3 * together + 5}) {
    CAPTURE(n);
    const Tensor<F, Shape<dyn, dyn>> a(spread(Dtype::f64, Extents{2, {3, n}}, 1, 0.5, 1.5));
    const auto row = spread<F, 3, 1>(2, 0.5, 1.5);
    const auto all = spread<F, 1, 1>(3, 0.5, 1.5);
    const Tensor<F, Shape<dyn>> c(spread(Dtype::f64, Extents{1, {n}}, 4, 0.5, 1.5));
    each_statement([&](const auto& f) {
      CHECK(tests::fused_against_single(1e-12, f, a, row, c) <= 1);
      CHECK(tests::fused_against_single(1e-12, f, a, all, c) <= 1);
      // Gradients that nobody asks for are left out and leave the others as they are.
      const auto of_all = tests::value_and_gradients(f, a, row, c);
      const auto of_c = tests::value_and_gradients([&](const auto& c) { return f(a, row, c); }, c);
      CHECK(tests::distance(of_c[1], of_all[3]) == 0);
    });
  }
}

TEST_CASE("a gradient of -0 is one wherever it lies in its row") {
  const Index n = lanes + 3;
  std::vector<F> zeros(static_cast<std::size_t>(n), -F(0));
  const Tensor<F, Shape<dyn>> x(AnyTensor::adopt(Dtype::f64, Extents{1, {n}}, zeros.data())),
      y = x.clone();
  const auto ones = spread(Dtype::f64, Extents{1, {n}}, 1, 1, 1);
  const AnyTensor wrt[] = {x.any()};
  AnyTensor g[1];
  Tape tape;
  Tensor first = x * y, second = x * y;
  Tensor z = first + second;
  tape.gradient(z.any(), wrt, g, ones);
  bool all = true;
  for (Index i = 0; i < n; ++i) all &= std::signbit(g[0].data<F>()[i]);
  CHECK(all);
}

TEST_CASE("the place of a stretch") {
  using namespace kernel::detail;
  std::vector<F> x(static_cast<std::size_t>(2 * together + 3)), y = x;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<F>(i), y[i] = -x[i];
  const auto n = static_cast<Index>(x.size());
  const std::uintptr_t row[] = {reinterpret_cast<std::uintptr_t>(x.data()),
                                reinterpret_cast<std::uintptr_t>(y.data())};
  Aside aside[2];
  kernel::detail::Operands p{row, aside, 2, 0, 0};
  auto at = [](std::uintptr_t base, Index j) {
    return *reinterpret_cast<const F*>(base + static_cast<std::uintptr_t>(j) * sizeof(F));
  };
  std::uintptr_t base[2];
  // In pieces, because something else lies aside: in place until the rest.
  CHECK(place_stretch<F>(p, base, 0, n) == together);
  CHECK((base[0] == row[0] && base[1] == row[1]));
  CHECK(place_stretch<F>(p, base, together, n) == 2 * together);
  CHECK(place_stretch<F>(p, base, 2 * together, n) == n);
  CHECK((at(base[0], n - 1) == x.back() && at(base[1], n - 3) == y[x.size() - 3]));
  CHECK((base[0] != row[0] && base[1] != row[1]));
  // A constant one is read from its copies anywhere.
  repeat<F>(p, 1, F(7), n);
  for (Index j : {Index(0), together, 2 * together}) {
    const Index end = place_stretch<F>(p, base, j, n);
    bool right = true;
    for (Index k = j; k < end; ++k) right &= at(base[1], k) == 7 && at(base[0], k) == F(k);
    CHECK(right);
  }
  // What nobody reads is not touched.
  p.unread = 1, aside[0] = Aside{};
  place_stretch<F>(p, base, 2 * together, n);
  CHECK((base[0] == row[0] && aside[0].bytes[4] == 0));
}
