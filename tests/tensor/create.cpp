// SPDX-License-Identifier: Apache-2.0
#include <tenon/core/reflect.hpp>
#include <tenon/tensor/create.hpp>

#include "support/catch.hpp"

#include <numeric>
using namespace tenon;

template <class T, class S>
static std::vector<T> listed(const Tensor<T, S>& x) {
  const auto dense = x.to_contiguous();
  return {dense.span().begin(), dense.span().end()};
}

TEST_CASE("create: zeros, ones, full and eye for every dtype", "[tensor]") {
  for (int d = 0; d < dtype_count; ++d) {
    const auto dtype = static_cast<Dtype>(d);
    const AnyTensor f = full(dtype, {2, {2, 3}}, 1).to(Dtype::f64),
                    z = zeros(dtype, {1, {5}}).to(Dtype::f64);
    for (Index i = 0; i < 6; ++i) CHECK(f.data<double>()[i] == 1);
    for (Index i = 0; i < 5; ++i) CHECK(z.data<double>()[i] == 0);
    const AnyTensor e = eye(dtype, 3, 4).to(Dtype::f64);
    for (Index i = 0; i < 12; ++i) CHECK(e.data<double>()[i] == (i / 4 == i % 4 ? 1 : 0));
  }
  CHECK(eye(Dtype::f32, 4, 2).extents() == Extents{2, {4, 2}});
  auto x = full<double>(Shape<2, dyn>{3}, 0.5);
  static_assert(std::is_same_v<decltype(x), Tensor<double, Shape<2, dyn>>>);
  CHECK(listed(ones_like(x)) == std::vector<double>(6, 1));
  CHECK(zeros<int>(Shape<0, 3>{}).size() == 0);
  CHECK(zeros(Shape<>{}).item() == 0);
}

TEST_CASE("create: arange has ceil((stop - start) / step) elements, linspace ends at stop",
          "[tensor]") {
  CHECK(listed(arange<double>(1, 2, 0.25)) == std::vector<double>{1, 1.25, 1.5, 1.75});
  CHECK(listed(arange<int>(5, 0, -2)) == std::vector<int>{5, 3, 1});
  CHECK(arange<int>(5, 0).size() == 0);
  CHECK(listed(arange<std::int64_t>(600)).back() == 599);
  const auto l = listed(linspace<double>(-1, 2, 7));
  CHECK(l.front() == -1);
  CHECK(l.back() == 2);
  for (int i = 0; i < 7; ++i) CHECK(l[static_cast<std::size_t>(i)] == Approx(-1 + 0.5 * i));
  CHECK(listed(linspace<float>(3, 9, 1)) == std::vector<float>{3});
  CHECK(linspace<float>(3, 9, 0).size() == 0);
  CHECK_THROWS_WITH(arange<float>(0, 1, 0), ContainsSubstring("arange"));
  CHECK_THROWS_WITH(arange<float>(0, HUGE_VAL, 1), ContainsSubstring("arange"));
  CHECK_THROWS_WITH(linspace<float>(0, 1, -1), ContainsSubstring("linspace"));
}

TEST_CASE("create: numbers written down have their static shape", "[tensor]") {
  auto x = tensor<float>({{1, 2, 3}, {4, 5, 6}});
  static_assert(std::is_same_v<decltype(x), Tensor<float, Shape<2, 3>>>);
  CHECK(listed(x) == std::vector<float>{1, 2, 3, 4, 5, 6});
  static_assert(std::is_same_v<decltype(tensor<double>({1, 2})), Tensor<double, Shape<2>>>);
  static_assert(std::is_same_v<decltype(tensor<int>({{{1}, {2}}})), Tensor<int, Shape<1, 2, 1>>>);
  static_assert(
      std::is_same_v<decltype(tensor<int>({{{{1, 2, 3}}}})), Tensor<int, Shape<1, 1, 1, 3>>>);
  CHECK(tensor(2.5).item() == 2.5);
  CHECK(listed(tensor<bool>({true, false})) == std::vector<bool>{true, false});
  CHECK(listed(tensor(Shape<dyn, 2>{2}, {1, 2, 3, 4})) == std::vector<int>{1, 2, 3, 4});
  CHECK_THROWS_WITH(tensor(Shape<dyn, 2>{2}, {1, 2, 3}),
                    ContainsSubstring("3 elements for a tensor [2, 2] of 4"));
}

TEST_CASE("create: nested lists give element type and static extents, ranks 1 to 4", "[tensor]") {
  const Tensor a = {1.f, 2.f, 3.f};
  const Tensor b = {{1., 2.}, {3., 4.}};
  const Tensor c = {{{1, 2, 3}, {4, 5, 6}}};
  const Tensor d = {{{{true}, {false}}, {{false}, {false}}, {{true}, {true}}}};
  const Tensor one_row = {{1.f, 2.f}};
  const Tensor one_column = {{1.f}, {2.f}};
  static_assert(std::is_same_v<decltype(a), const Tensor<float, Shape<3>>>);
  static_assert(std::is_same_v<decltype(b), const Tensor<double, Shape<2, 2>>>);
  static_assert(std::is_same_v<decltype(c), const Tensor<int, Shape<1, 2, 3>>>);
  static_assert(std::is_same_v<decltype(d), const Tensor<bool, Shape<1, 3, 2, 1>>>);
  static_assert(std::is_same_v<decltype(one_row), const Tensor<float, Shape<1, 2>>>);
  static_assert(std::is_same_v<decltype(one_column), const Tensor<float, Shape<2, 1>>>);
  CHECK(listed(a) == std::vector<float>{1, 2, 3});
  CHECK(listed(b) == std::vector<double>{1, 2, 3, 4});
  CHECK(listed(c) == std::vector<int>{1, 2, 3, 4, 5, 6});
  CHECK(listed(d) == std::vector<bool>{true, false, false, false, true, true});
  CHECK(listed(one_row) == std::vector<float>{1, 2});
  CHECK(listed(one_column) == std::vector<float>{1, 2});
  const Tensor copy = {b};  // not a list of numbers: a copy
  static_assert(std::is_same_v<decltype(copy), const Tensor<double, Shape<2, 2>>>);
  CHECK(copy.id() == b.id());
}

TEST_CASE("create: a list takes the element type and fills the dyn extents of a named tensor type",
          "[tensor]") {
  const int i = 7;
  Tensor<float, Shape<2, 2>> x = {{1, 2}, {3, i}};
  CHECK(listed(x) == std::vector<float>{1, 2, 3, 7});
  x = {{5, 6}, {7.5, 8}};
  CHECK(listed(x) == std::vector<float>{5, 6, 7.5f, 8});
  const Tensor<double, Shape<dyn, 3>> rows = {{1, 2, 3}};
  CHECK(rows.extents() == Extents{2, {1, 3}});
  const Tensor<std::int64_t, Shape<dyn>> many = {4, 5, 6}, one = {4};
  CHECK(listed(many) == std::vector<std::int64_t>{4, 5, 6});
  CHECK(listed(one) == std::vector<std::int64_t>{4});
  const Tensor<bf16, Shape<2, 1, 1>> stored = {{{1.5}}, {{-2}}};
  CHECK(static_cast<float>(stored.span()[0]) == 1.5f);
  CHECK(static_cast<float>(stored.span()[1]) == -2);
  const Tensor<float, Shape<1, 2, 1, 2>> four = {{{{1, 2}}, {{3, 4}}}};
  CHECK(listed(four) == std::vector<float>{1, 2, 3, 4});
  const auto total = [](const Tensor<float, Shape<2, 2>>& t) {
    const auto v = listed(t);
    return v[0] + v[1] + v[2] + v[3];
  };
  CHECK(total({{1, 2}, {3, 4}}) == 10);
  // A number never turns into a tensor by itself.
  static_assert(!std::is_convertible_v<float, Tensor<float, Shape<1>>>);
  static_assert(!std::is_convertible_v<float, Tensor<float, Shape<dyn>>>);
}

TEST_CASE("create: members of models are still told apart when tensors take lists", "[tensor]") {
  struct Pair {
    Tensor<float, Shape<2>> a;
    Tensor<float, Shape<dyn, 2>> b;
    Tensor<float, Shape<dyn>> c;
    int d;
  };
  static_assert(member_count<Pair> == 4);
  const Pair p = {{1, 2}, {{1, 2}, {3, 4}, {5, 6}}, {1, 2, 3}, 4};
  CHECK(listed(p.b) == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(p.d == 4);
}

TEST_CASE("create: memory of the caller is read in place and never written", "[tensor]") {
  std::vector<float> memory = {1, 2, 3, 4};
  auto x = from_span(std::span<const float>(memory), Shape<2, 2>{});
  CHECK(x.data() == memory.data());
  auto y = x;
  { y.write()(0, 0) = 9; }
  CHECK(memory[0] == 1);
  CHECK(x.data() == memory.data());
  CHECK(y.data() != memory.data());
  CHECK(copy_of(std::span<const float>(memory), Shape<4>{}).data() != memory.data());
  CHECK_THROWS_WITH(from_span(std::span(memory), Shape<3>{}),
                    ContainsSubstring("4 elements for a tensor [3]"));
}

TEST_CASE("create: an adopted vector is not copied and is freed with the last tensor", "[tensor]") {
  std::vector<double> own(100);
  std::iota(own.begin(), own.end(), 0.0);
  const double* where = own.data();
  auto x = adopt(std::move(own), Shape<dyn, 10>{10});
  CHECK(x.data() == where);
  auto y = x;
  x = {};
  CHECK(y.data()[99] == 99);
  static int released = 0;
  float one = 1;
  {
    auto z = from_pointer<float>(
        &one, Shape<1>{}, [](void* p) { ++*static_cast<int*>(p); }, &released);
    auto w = z;
    CHECK(released == 0);
  }
  CHECK(released == 1);
}

TEST_CASE("create: results leave into the caller's memory in row-major order", "[tensor]") {
  auto x = tensor<float>({{1, 2, 3}, {4, 5, 6}});
  const Index strides[] = {1, 3};
  std::vector<float> out(6);
  into(std::span(out)) = x.any().view({2, {3, 2}}, strides, 0);
  CHECK(out == std::vector<float>{1, 4, 2, 5, 3, 6});
  into(out.data(), 6) = x;
  CHECK(out[1] == 2);
  CHECK_THROWS_WITH(into(out.data(), 5) = x, ContainsSubstring("5 elements for a tensor [2, 3]"));
}

TEST_CASE("create: a generator gives other numbers each time, a stream always the same",
          "[tensor]") {
  Rng rng(7);
  const auto a = uniform(rng, Shape<1000>{}, -2, 3), b = uniform(rng, Shape<1000>{}, -2, 3);
  CHECK(listed(a) != listed(b));
  CHECK(listed(uniform(Rng(7), Shape<1000>{}, -2, 3)) == listed(a));
  CHECK(listed(normal(rng.stream("w"), Shape<8>{})) == listed(normal(rng.stream("w"), Shape<8>{})));
  double sum = 0, square = 0;
  for (float v : listed(a)) {
    CHECK((v >= -2 && v < 3));
    sum += v;
  }
  CHECK(std::abs(sum / 1000 - 0.5) < 5 * (5 / std::sqrt(12.0)) / std::sqrt(1000.0));
  for (double v : listed(normal<double>(rng, Shape<dyn>{4000}, 1, 2))) square += (v - 1) * (v - 1);
  CHECK(std::abs(square / 4000 - 4) < 5 * 4 * std::sqrt(2.0 / 4000));
  for (auto v : listed(randint(rng, 3, 6, Shape<100>{}))) CHECK((v >= 3 && v < 6));
  auto p = listed(permutation(rng, 50));
  std::sort(p.begin(), p.end());
  for (std::size_t i = 0; i < 50; ++i) CHECK(p[i] == static_cast<std::int64_t>(i));
  CHECK_THROWS_AS(uniform(rng, Shape<2>{}, 1, 0), Error);
}

TEST_CASE("create: one_hot is 1 at the index", "[tensor]") {
  auto index = tensor<int>({{2, 0}, {1, 1}});
  auto y = one_hot<3>(index);
  static_assert(std::is_same_v<decltype(y), Tensor<float, Shape<2, 2, 3>>>);
  CHECK(listed(y) == std::vector<float>{0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0});
  CHECK(one_hot<double>(index, 5).extents() == Extents{3, {2, 2, 5}});
  CHECK_THROWS_WITH(one_hot<2>(index),
                    ContainsSubstring("index 2 at position 0") && ContainsSubstring("2 classes"));
  CHECK_THROWS_WITH(one_hot(ones(Dtype::f32, {1, {1}}), 2), ContainsSubstring("integer"));
}
