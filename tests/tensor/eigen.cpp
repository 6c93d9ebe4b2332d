// SPDX-License-Identifier: Apache-2.0
#include <tenon/eigen.hpp>

#include <tenon/tensor/create.hpp>

#include "support/catch.hpp"
using namespace tenon;

TEST_CASE("eigen: a tensor is read in place, at its strides", "[tensor]") {
  auto x = tensor<double>({{1, 2, 3}, {4, 5, 6}});
  auto m = as_eigen(x);
  CHECK(m.data() == x.data());
  CHECK(m.rows() == 2);
  CHECK(m(1, 0) == 4);
  const Index strides[] = {1, 3};
  const Tensor<double, Shape<dyn, 2>> t(x.any().view({2, {3, 2}}, strides, 0));
  CHECK(as_eigen(t) == as_eigen(x).transpose());
  CHECK((as_eigen(x) * as_eigen(t)).eval()(0, 1) == 32);
  auto v = tensor<float>({1, 2, 3});
  CHECK(as_eigen(v).sum() == 6);
  const Tensor<float, Shape<3, 1>> column(v.any().view({2, {3, 1}}, Extents{2, {1, 1}}.extent, 0));
  CHECK(as_eigen(column)(2, 0) == 3);
}

TEST_CASE("eigen: writing detaches", "[tensor]") {
  auto x = tensor<double>({{1, 2}, {3, 4}});
  const auto before = x;
  {
    auto m = write_eigen(x);
    m->row(0) *= 10;
    (*m)(1, 1) = 0;
  }
  CHECK(x.data()[1] == 20);
  CHECK(x.data()[3] == 0);
  CHECK(before.data()[3] == 4);
}

TEST_CASE("eigen: matrices, blocks and maps are read in place, whichever their order", "[tensor]") {
  Eigen::MatrixXd columns(3, 4);
  for (int i = 0; i < 12; ++i) columns(i / 4, i % 4) = i;
  Eigen::Matrix<double, 3, 4, Eigen::RowMajor> rows = columns;
  auto check = [](const auto& x, const auto& m) {
    REQUIRE(x.extent(0) == m.rows());
    CHECK(x.any().raw() == m.data());
    for (Index i = 0; i < m.rows(); ++i)
      for (Index j = 0; j < m.cols(); ++j)
        CHECK(x.data()[i * x.any().stride(0) + j * x.any().stride(1)] == m(i, j));
  };
  check(view_of_eigen(columns), columns);
  check(view_of_eigen(rows), rows);
  check(view_of_eigen(columns.block(1, 1, 2, 2)), columns.block(1, 1, 2, 2));
  check(view_of_eigen(rows.block(0, 2, 3, 2)), rows.block(0, 2, 3, 2));
  static_assert(std::is_same_v<decltype(view_of_eigen(rows)), Tensor<double, Shape<3, 4>>>);
  static_assert(std::is_same_v<decltype(view_of_eigen(columns)), Tensor<double, Shape<dyn, dyn>>>);
  Eigen::VectorXf v = Eigen::VectorXf::LinSpaced(5, 0, 4);
  auto x = view_of_eigen(v);
  static_assert(std::is_same_v<decltype(x), Tensor<float, Shape<dyn>>>);
  CHECK(x.span()[4] == 4);
  { x.write()[0] = 7; }
  CHECK(v[0] == 0);
  const Eigen::MatrixXd none(0, 3);
  CHECK(view_of_eigen(none).size() == 0);
}

TEST_CASE("eigen: a matrix moved in is not copied, an expression is evaluated once", "[tensor]") {
  Eigen::MatrixXf m = Eigen::MatrixXf::Identity(3, 3);
  const float* where = m.data();
  auto x = from_eigen(std::move(m));
  CHECK(x.any().raw() == where);
  Eigen::Matrix2d a;
  a << 1, 2, 3, 4;
  auto y = from_eigen(a.transpose() * 2);
  static_assert(std::is_same_v<decltype(y), Tensor<double, Shape<2, 2>>>);
  CHECK(y.contiguous());
  CHECK(y.span()[1] == 6);
}
