// SPDX-License-Identifier: Apache-2.0
#include <tenon/tensor/view.hpp>

#include "function/gradients.hpp"
#include "support/catch.hpp"
using namespace tenon;
using gradients::same;

using Matrix = Tensor<double, Shape<2, 3>>;
static Matrix made() { return tensor<double>({{1, 2, 3}, {4, 5, 6}}); }
template <class X>
concept Assignable = requires(X x) {
  static_cast<X&&>(x)(0) = 1.0;
};

TEST_CASE("view: integers drop an axis, slices keep it", "[tensor]") {
  auto x = made();
  static_assert(std::is_base_of_v<Tensor<double, Shape<3>>, decltype(x(0))>);
  static_assert(std::is_base_of_v<Tensor<double, Shape<2, dyn>>, decltype(x(every, slice(0, 2)))>);
  static_assert(std::is_base_of_v<Tensor<double, Shape<2, 2>>, decltype(x(every, slice<0, 2>()))>);
  CHECK(same(x(1), tensor<double>({4, 5, 6})));
  CHECK(same(x(every, slice(open, open, -2)), tensor<double>({{3, 1}, {6, 4}})));
  CHECK(x(-1, 1).item() == 5);
  CHECK(same(Tensor(x(0) * x(1)), tensor<double>({4, 10, 18})));
  CHECK_THROWS_WITH(x(2), ContainsSubstring("index 2 is out of range on axis 0 of extent 2"));
}

TEST_CASE("view: assignment through a temporary writes into x alone, under a new id", "[tensor]") {
  auto x = made();
  const auto before = x;
  const auto id = x.id();
  x(0) = 7;
  CHECK(same(x, tensor<double>({{7, 7, 7}, {4, 5, 6}})));
  CHECK(same(before, made()));
  CHECK(x.id() != id);
  const double* memory = x.data();
  x(1, slice(0, 2)) = tensor<double>({8, 9});
  x(every, 2) = tensor<double>({1, 2}) * 10;
  CHECK(same(x, tensor<double>({{7, 7, 10}, {8, 9, 20}})));
  CHECK(x.data() == memory);  // the only owner writes in place
  x(0) += 1;
  x(1) *= tensor<double>({1, 2, 3});
  x(every, slice<0, 1>()) -= 1.0;
  x(1, 2) /= 2;
  CHECK(same(x, tensor<double>({{7, 8, 11}, {7, 18, 30}})));
  x(every) = tensor<double>({1, 2, 3});  // broadcast along axis 0
  CHECK(same(x, tensor<double>({{1, 2, 3}, {1, 2, 3}})));
}

TEST_CASE("view: what is assigned may be a part of x itself", "[tensor]") {
  auto x = made();
  x(every, slice(1, open)) = x(every, slice(0, 2));
  CHECK(same(x, tensor<double>({{1, 1, 2}, {4, 4, 5}})));
  x(slice(0, 2)) = x(slice(open, open, -1));
  CHECK(same(x, tensor<double>({{4, 4, 5}, {1, 1, 2}})));
  x(0) = x(1);
  CHECK(same(x, tensor<double>({{1, 1, 2}, {1, 1, 2}})));
}

TEST_CASE("view: with a name it is a value, assigning to it never changes x", "[tensor]") {
  auto x = made();
  auto v = x(0);
  v = tensor<double>({9, 9, 9});
  CHECK(same(x, made()));
  CHECK(same(v, tensor<double>({9, 9, 9})));
  v(0) = 1.0;
  CHECK(same(v, tensor<double>({1, 9, 9})));
  auto w = x(0);
  x(0) = 5.0;
  CHECK(same(w, tensor<double>({1, 2, 3})));
  w = x(1);
  x(1) = 0.0;
  CHECK(same(w, tensor<double>({4, 5, 6})));
  auto copy = x(0);
  auto moved = std::move(copy);
  CHECK_THROWS_WITH(std::move(moved) = 1.0, ContainsSubstring("view with a name"));
}

TEST_CASE("view: parts of constants and temporaries cannot be assigned to", "[tensor]") {
  static_assert(Assignable<Matrix&>);
  static_assert(!Assignable<Matrix>);
  static_assert(!Assignable<const Matrix&>);
  const auto x = made();
  auto v = x(1);
  v = tensor<double>({1, 1, 1});  // a value with a name
  CHECK(same(x, made()));
  CHECK(same(made()(1), tensor<double>({4, 5, 6})));
}

TEST_CASE("view: reading is recorded, writing is not", "[tensor]") {
  auto x = made();
  Tape tape;
  auto row = x(0);
  auto loss = sum(row * x(1, slice(open, open, -1))) + sum(x(every, 1));
  x(0) = 100.0;  // the tape keeps what it saw
  auto old = made();
  const AnyTensor wrt[] = {row.any()};
  AnyTensor g[1];
  tape.gradient(Tensor(std::move(loss)).any(), wrt, g);
  CHECK(same(g[0], tensor<double>({6, 5, 4})));
  Tape again;
  auto value = sum(old(0) * old(1)) + sum(old(every, slice<0, 2>()));
  CHECK(same(again.gradient(value, old), tensor<double>({{5, 6, 6}, {2, 3, 3}})));
}

TEST_CASE("view: element types and extents of an assignment must fit", "[tensor]") {
  auto x = made();
  CHECK_THROWS_WITH(x(0) = tensor<double>({1, 2}),
                    ContainsSubstring("assignment to a view") && ContainsSubstring("(3 vs 2)"));
  CHECK_THROWS_WITH(x(0) = made(), ContainsSubstring("more axes"));
  CHECK_THROWS_WITH(x(0) = ones(Dtype::f32, {1, {3}}), ContainsSubstring("f32"));
  CHECK(same(x, made()));
  auto i = tensor<std::int64_t>({1, 2});
  i(0) = std::int64_t{9007199254740993};
  CHECK(i.data()[0] == 9007199254740993);
  auto h = tensor<bf16>({bf16(1.0f), bf16(2.0f)});
  h(0) = 0.1;
  h(1) = bf16(4.0f);
  CHECK(static_cast<float>(h.data()[0]) == 0.10009765625f);
  CHECK(static_cast<float>(h.data()[1]) == 4.0f);
  auto none = zeros<double>(Shape<0, 3>{});
  none(every, 1) = 5.0;
  CHECK(none.size() == 0);
}
