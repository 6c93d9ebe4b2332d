// SPDX-License-Identifier: Apache-2.0
// A number that a step computed is read when it is asked for.
#include <tenon/optim/scalar.hpp>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using namespace tests;

TEST_CASE("scalar: a double, or the element of a tensor of any dtype") {
  CHECK(double(Scalar(2.5)) == 2.5);
  for (Dtype d : {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::i64, Dtype::boolean})
    CHECK(double(Scalar(made(d, extents({}), [](Index) { return 1; }))) == 1);
  CHECK(double(Scalar(made(Dtype::f32, extents({1, 1}), [](Index) { return -3; }))) == -3);
  CHECK_THROWS_WITH(Scalar(made(Dtype::f32, extents({2}), [](Index) { return 0; })),
                    ContainsSubstring("is not one number"));
  Scalar s(made(Dtype::f32, extents({}), [](Index) { return 4; }));
  s += 2, s *= 3, s /= 9;
  CHECK(double(s) == 2);
  CHECK_FALSE(s.tensor().defined());
}
