// SPDX-License-Identifier: Apache-2.0
// The typed view: what it accepts of an AnyTensor and in which words it refuses.
#include <tenon/tensor/tensor.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

TEST_CASE("a tensor takes a value of its dtype, rank and static extents, without a copy") {
  const AnyTensor a = spread(Dtype::f32, extents({2, 3}), 1);
  const Tensor<float, Shape<dyn, 3>> t(a);
  const Tensor<float, Shape<2, 3>> s = t;
  CHECK(t.id() == a.id());
  CHECK(s.data() == static_cast<const float*>(a.raw()));
  CHECK(t.extent(0) == 2);
  CHECK(t.extent(-1) == 3);
}

TEST_CASE("what does not fit is refused with axis and both extents") {
  const AnyTensor a = spread(Dtype::f32, extents({2, 3}), 1);
  using A = Tensor<float, Shape<2, 4>>;
  using B = Tensor<float, Shape<6>>;
  using C = Tensor<double, Shape<2, 3>>;
  CHECK_THROWS_WITH(A(a), ContainsSubstring("axis 1: the value is [2, 3] (3 vs 4)"));
  CHECK_THROWS_WITH(B(a), ContainsSubstring("has rank 2, the tensor's type has rank 1"));
  CHECK_THROWS_WITH(C(a), ContainsSubstring("holds f32, the tensor's type is f64"));
  CHECK_THROWS_WITH(A(AnyTensor{}), ContainsSubstring("never given a value"));
}

TEST_CASE("item is for one element, span for elements without gaps") {
  const auto x = spread<float, 2, 3>(1);
  CHECK_THROWS_WITH(x.item(), ContainsSubstring("[2, 3] has 6 elements"));
  CHECK(x.span().size() == 6);
  const Tensor<float, Shape<3, 2>> t(swapped(x.any(), 0, 1));
  CHECK_THROWS_AS(t.span(), Error);
  CHECK(values(t)[1] == values(x)[3]);
}

TEST_CASE("a copy shares elements until one is written") {
  auto x = spread<float, 2, 3>(1);
  const auto y = x;
  CHECK(x.id() == y.id());
  x.write()[0] = 9;
  CHECK(x.id() != y.id());
  CHECK(y.span()[0] != 9);
}
