// SPDX-License-Identifier: Apache-2.0
#include <tenon/function/softmax.hpp>

#include "function/gradients.hpp"
#include "support/catch.hpp"
using namespace tenon;
using namespace gradients;
using Matrix = Tensor<double, Shape<dyn, dyn>>;

template <class F>
static Function on_matrix(F f) {
  return [f](const Tensors& x) { return Tensor(f(Matrix(x[0]))).any(); };
}

TEST_CASE("softmax: exp(x) over its sum along the axis", "[function]") {
  const Matrix x(numbers({2, {4, 7}}, 1));
  const auto rows = softmax(x, axis<-1>), columns = softmax(x, axis<0>),
             logs = log_softmax(x, axis<1>);
  for (Index i = 0; i < 4; ++i) {
    double sum = 0;
    for (Index j = 0; j < 7; ++j) sum += std::exp(x.data()[i * 7 + j]);
    for (Index j = 0; j < 7; ++j) {
      CHECK(rows.data()[i * 7 + j] == Approx(std::exp(x.data()[i * 7 + j]) / sum).epsilon(1e-14));
      CHECK(logs.data()[i * 7 + j] == Approx(x.data()[i * 7 + j] - std::log(sum)).epsilon(1e-14));
    }
  }
  for (Index j = 0; j < 7; ++j) {
    double sum = 0;
    for (Index i = 0; i < 4; ++i) sum += columns.data()[i * 7 + j];
    CHECK(sum == Approx(1).epsilon(1e-14));
  }
}

TEST_CASE("softmax: adding a constant changes nothing, however large", "[function]") {
  const auto x = tensor<float>({{1, 2, 3}, {-1, 0, 4}});
  const Tensor y = x + 1024.0f * 1024.0f;
  CHECK(same(softmax(x, axis<1>), softmax(y, axis<1>)));
  const auto far = tensor<float>({-HUGE_VALF, 0.0f});
  CHECK(same(softmax(far, axis<0>), tensor<float>({0, 1})));
}

TEST_CASE("softmax: gradients equal central differences, also of the second order", "[function]") {
  const bool compiled = GENERATE(true, false);
  use_compiled_kernels(compiled);
  const Tensors x = {numbers({2, {3, 5}}, 2)};
  for (const Function& f : {on_matrix([](const Matrix& m) { return softmax(m, axis<-1>); }),
                            on_matrix([](const Matrix& m) { return softmax(m, axis<0>); }),
                            on_matrix([](const Matrix& m) { return log_softmax(m, axis<-1>); })}) {
    CHECK(error(f, x) < 1e-8);
    CHECK(second_error(f, x) < 1e-7);
  }
  use_compiled_kernels(true);
}

TEST_CASE("softmax: it is one forward kernel, also of an expression, and works inside fuse",
          "[function]") {
  const Matrix x(numbers({2, {3, 5}}, 3));
  const auto before = kernel::counters().forward;
  const auto y = softmax(x, axis<-1>);
  CHECK(kernel::counters().forward == before + 1);
  const auto z = fuse([](auto v) { return softmax(v * 2, axis<-1>); }, x);
  CHECK(kernel::counters().forward == before + 2);
  const auto w = softmax(x * 2, axis<-1>);
  for (Index i = 0; i < 15; ++i) CHECK(z.data()[i] == Approx(w.data()[i]).epsilon(1e-14));
  CHECK(y.extents() == x.extents());
}
