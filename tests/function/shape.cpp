// SPDX-License-Identifier: Apache-2.0
#include <tenon/function/shape.hpp>

#include "function/gradients.hpp"
#include "support/catch.hpp"
using namespace tenon;
using gradients::same;

template <class T, class S>
static bool is(const Tensor<T, S>&) {
  return true;
}
template <class Want, class X>
static constexpr bool typed = std::is_same_v<shape_of<X>, Want>;

static Tensor<double, Shape<2, 3, 4>> cube() {
  return Tensor<double, Shape<2, 3, 4>>(gradients::counted({3, {2, 3, 4}}));
}
static Tensor<double, Shape<dyn, 3>> table(Index rows) {
  return Tensor<double, Shape<dyn, 3>>(gradients::counted({2, {rows, 3}}));
}

TEST_CASE("shape: what is static stays static, and the elements are those of the erased function",
          "[function]") {
  const auto x = cube();
  const auto t = table(4);
  const int order[] = {2, 0, 1};
  auto p = permute(x, axis<-1, 0, 1>);
  static_assert(typed<Shape<4, 2, 3>, decltype(p)>);
  CHECK(same(p, permute(x.any(), order)));
  static_assert(typed<Shape<3, dyn>, decltype(permute(t, axis<1, 0>))>);
  auto w = swapaxes(x, axis<0, -1>);
  static_assert(typed<Shape<4, 3, 2>, decltype(w)>);
  CHECK(same(w, swapaxes(x.any(), 0, 2)));
  static_assert(typed<Shape<dyn, 3>, decltype(flip(t, axis<0>))>);
  CHECK(same(flip(t, axis<0>), flip(t.any(), 0)));

  static_assert(typed<Shape<6, dyn>, decltype(reshape<Shape<6, dyn>>(x))>);
  CHECK(same(reshape<Shape<6, dyn>>(x), reshape(x.any(), {2, {6, 4}})));
  CHECK(same(reshape<Shape<dyn, dyn>>(t, -1, 6), reshape(t.any(), {2, {2, 6}})));
  CHECK(same(reshape(t, Shape<12>{}), reshape(t.any(), {1, {12}})));
  CHECK(same(reshape(t, Shape<dyn, 2>{-1}), reshape(t.any(), {2, {6, 2}})));
  CHECK(is(reshape<Shape<2, 3, 4>>(x * 2.0)));

  auto u = unsqueeze(t, axis<-1>);
  static_assert(typed<Shape<dyn, 3, 1>, decltype(u)>);
  static_assert(typed<Shape<1, dyn, 3>, decltype(unsqueeze(t, axis<0>))>);
  static_assert(typed<Shape<dyn, 3>, decltype(squeeze(u, axis<2>))>);
  CHECK(same(squeeze(u, axis<2>), t));
  static_assert(typed<Shape<3>, decltype(squeeze(table(1), axis<0>))>);
  auto b = broadcast_to(u, Shape<dyn, 3, 5>{4});
  CHECK(same(b, broadcast_to(u.any(), {3, {4, 3, 5}})));
}

TEST_CASE("shape: transpose outside a product is a view with its type", "[function]") {
  const auto x = cube();
  Tensor<double, Shape<2, 4, 3>> y = transpose(x);
  CHECK(y.any().raw() == x.any().raw());
  CHECK(same(y, swapaxes(x.any(), 1, 2)));
  CHECK(same(Tensor(transpose(x) * 1.0), y));
}

TEST_CASE("shape: split pieces concatenate to the whole", "[function]") {
  const auto x = cube();
  auto [a, b, c] = split<3>(x, axis<1>);
  static_assert(typed<Shape<2, 1, 4>, decltype(a)>);
  CHECK(same(concatenate(axis<1>, a, b, c), x));
  static_assert(typed<Shape<2, 3, 4>, decltype(concatenate(axis<1>, a, b, c))>);
  auto [front, back] = split<2>(table(4), axis<0>);
  static_assert(typed<Shape<dyn, 3>, decltype(front)>);
  CHECK(same(concatenate(axis<0>, front, back), table(4)));
  auto s = stack(axis<-1>, front, back);
  static_assert(typed<Shape<dyn, 3, 2>, decltype(s)>);
  CHECK(same(select(s, -1, 1), back));
}

TEST_CASE("shape: concatenation knows an extent that any operand knows", "[function]") {
  const Tensor<double, Shape<dyn, dyn>> left(gradients::counted({2, {2, 3}}));
  auto y = concatenate(axis<0>, left, table(2),
                       Tensor<double, Shape<4, 3>>(gradients::counted({2, {4, 3}})));
  static_assert(typed<Shape<dyn, 3>, decltype(y)>);
  CHECK(y.extent(0) == 8);
  const std::vector<Tensor<double, Shape<2, 3, 4>>> list = {cube(), cube()};
  static_assert(typed<Shape<dyn, 3, 4>, decltype(concatenate(axis<0>, list))>);
  CHECK(same(concatenate(axis<0>, list), concatenate(axis<0>, cube(), cube())));
  static_assert(typed<Shape<2, dyn, 3, 4>, decltype(stack(axis<1>, list))>);
  CHECK(same(stack(axis<1>, list), stack(axis<1>, cube(), cube())));
}

TEST_CASE("shape: typed functions are recorded", "[function]") {
  auto x = cube();
  Tape tape;
  auto [a, b] = split<2>(permute(x, axis<2, 1, 0>), axis<0>);
  auto loss = sum(a * flip(b, axis<0>));
  auto g = tape.gradient(loss, x);
  // d/dx of sum x[i, j, k] x[i, j, 3 - k] over k < 2: the partner.
  CHECK(same(g, flip(x, axis<2>)));
}

TEST_CASE("shape: a dyn extent that does not fit is thrown by the statement that wrote it",
          "[function]") {
  const auto t = table(4);
  CHECK_THROWS_WITH(squeeze(t, axis<0>),
                    ContainsSubstring("squeeze") && ContainsSubstring("extent 4, not 1"));
  CHECK_THROWS_WITH(split<3>(t, axis<0>),
                    ContainsSubstring("extent 4 on axis 0") && ContainsSubstring("3 pieces"));
  CHECK_THROWS_WITH(reshape<Shape<dyn>>(t, 11), ContainsSubstring("reshape"));
  CHECK_THROWS_WITH(concatenate(axis<1>, t, table(5)), ContainsSubstring("(4 vs 5)"));
  // A dyn extent that is 1 at run time does not stretch.
  CHECK_THROWS_WITH(broadcast_to(table(1), Shape<4, 3>{}), ContainsSubstring("(1 vs 4)"));
}
