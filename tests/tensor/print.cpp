// SPDX-License-Identifier: Apache-2.0
#include <tenon/tensor/create.hpp>
#include <tenon/tensor/print.hpp>

#include "print_golden.hpp"
#include "support/catch.hpp"
using namespace tenon;

static AnyTensor made(const golden::Case& c) {
  AnyTensor x = AnyTensor::empty(Dtype::f64, c.extents);
  {
    auto m = x.write<double>();
    for (Index i = 0; i < m.size(); ++i)
      m[i] = c.values.empty() ? static_cast<double>(i) * c.scale + c.offset
                              : c.values[static_cast<std::size_t>(i)];
  }
  return x.to(c.dtype);
}

TEST_CASE("print: the text of a tensor is NumPy's", "[tensor]") {
  int number = 0;
  for (const golden::Case& c : golden::cases) {
    CAPTURE(number++, name_of(c.dtype), to_string(c.extents));
    CHECK(to_string(made(c)) == c.text);
  }
}

TEST_CASE("print: a view prints as its contiguous copy", "[tensor]") {
  const AnyTensor x = arange(Dtype::f32, 0, 3000);
  const Index strides[] = {1, 60};
  const AnyTensor v = x.view({2, {60, 50}}, strides, 0);
  CHECK_FALSE(v.contiguous());
  CHECK(to_string(v) == to_string(v.to_contiguous()));
}

TEST_CASE("print: a typed tensor prints as its value", "[tensor]") {
  auto x = tensor<float>({{1, 2}, {3, 4}});
  CHECK(to_string(x) == "[[1. 2.]\n [3. 4.]]");
  CHECK(to_string(tensor<bf16>({bf16(0.1f), bf16(2.0f)})) == "[0.1 2. ]");
}

TEST_CASE("print: a tensor without a value is an error", "[tensor]") {
  CHECK_THROWS_WITH(to_string(AnyTensor{}), ContainsSubstring("to_string"));
  const AnyTensor x = ones(Dtype::f32, {1, {2}});
  CHECK_THROWS_WITH(to_string(AnyTensor::valueless(x)), ContainsSubstring("extents"));
}
