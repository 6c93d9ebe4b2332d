// SPDX-License-Identifier: Apache-2.0
#include <tenon/registry/contract.hpp>

#include "registry/help.hpp"

using namespace tests;

TEST_CASE("contract: matmul of ranks 1, 2 and more has PyTorch's extents") {
  auto of = [](std::initializer_list<Index> e) {
    AnyTensor t = AnyTensor::empty(Dtype::f64, extents(e));
    for (Index i = 0; i < t.size(); ++i)
      static_cast<double*>(t.raw_writable())[i] = double(i % 5) - 2;
    return t;
  };
  auto shape = [&](const AnyTensor& a, const AnyTensor& b) {
    return one("matmul", {a, b}).extents();
  };
  CHECK(shape(of({3}), of({3})) == Extents{});
  CHECK(shape(of({2, 3}), of({3})) == extents({2}));
  CHECK(shape(of({3}), of({3, 4})) == extents({4}));
  CHECK(shape(of({5, 2, 3}), of({3, 4})) == extents({5, 2, 4}));
  CHECK(shape(of({5, 1, 2, 3}), of({6, 3, 4})) == extents({5, 6, 2, 4}));
  CHECK(shape(of({5, 2, 3}), of({3})) == extents({5, 2}));
  CHECK(shape(of({0, 3}), of({3, 4})) == extents({0, 4}));
  CHECK(result("matmul", {of({2, 0}), of({0, 2})}) == Numbers(4, 0));
  CHECK(failing("matmul", {of({2, 3}), of({4, 2})}).text ==
        "tenon::matmul: inner extents differ on axis 1: [2, 3] and [4, 2] (3 vs 4)");
  CHECK(failing("matmul", {of({2, 2, 3}), of({3, 3, 2})}).code == Error::shape);
  CHECK(failing("matmul", {of({}), of({3})}).code == Error::shape);
  CHECK(failing("linear", {of({2, 3}), of({4, 3}), of({3})}).code == Error::shape);
  const AnyTensor a = of({2, 1, 2, 3}), b = of({2, 3, 2});
  for (int i : {0, 1})
    CHECK(near(gradient("matmul", {a, b}, i), differences("matmul", {a, b}, i), 1e-6));
}
TEST_CASE("contract: einsum agrees with sums written out") {
  const AnyTensor a = tensor({2, 3}, {1, 2, 3, 4, 5, 6}), b = tensor({3, 2}, {1, -1, 2, 0, 0.5, 3});
  CHECK(near(result("einsum", {a, b}, {{"equation", "ij,jk->ik"}}), result("matmul", {a, b})));
  CHECK(near(result("einsum", {a, b}, {{"equation", "ij, jk -> ki"}}),
             result("transpose", {one("matmul", {a, b})})));
  CHECK(near(result("einsum", {a, a}, {{"equation", "ij,ij->"}}), {91}));
  CHECK(near(result("einsum", {tensor({2, 2}, {1, 2, 3, 4})}, {{"equation", "ii->"}}), {5}));
  CHECK(failing("einsum", {a, a}, {{"equation", "ij,jk->ik"}}).code == Error::shape);
  CHECK(failing("einsum", {a}, {{"equation", "ij"}}).code == Error::value);
  CHECK(failing("einsum", {a}, {{"equation", "ij->k"}}).code == Error::value);
  CHECK(failing("einsum", {a}, {{"equation", "ij->ii"}}).code == Error::value);
  CHECK(failing("einsum", {a}, {{"equation", "ijk->i"}}).code == Error::shape);
  CHECK(failing("einsum", {a}, {{"equation", "i1->i"}}).code == Error::value);
  CHECK(near(result("tensordot", {a, b}, {{"axes", std::vector<Index>{0, 1, 1, 0}}}),
             {result("einsum", {a, b}, {{"equation", "ij,ji->"}})}));
  CHECK(failing("tensordot", {a, b}, {{"axes", 3}}).code == Error::index);
}
