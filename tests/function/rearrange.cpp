// SPDX-License-Identifier: Apache-2.0
#include <tenon/function/rearrange.hpp>

#include "function/gradients.hpp"
#include "support/catch.hpp"
using namespace tenon;
using namespace gradients;

static double at(const AnyTensor& x, std::initializer_list<Index> i) {
  Index o = 0;
  int axis = 0;
  for (Index k : i) o += k * x.stride(axis++);
  return x.data<double>()[o];
}
static AnyTensor permuted(const AnyTensor& x, std::initializer_list<int> axes) {
  return permute(x, std::span<const int>(axes.begin(), axes.size()));
}

TEST_CASE("rearrange: element i, j, k of a permuted tensor is element of the permuted index",
          "[function]") {
  const AnyTensor x = counted({3, {2, 3, 4}});
  const AnyTensor y = permuted(x, {2, 0, -2});
  REQUIRE(y.extents() == Extents{3, {4, 2, 3}});
  for (Index i = 0; i < 2; ++i)
    for (Index j = 0; j < 3; ++j)
      for (Index k = 0; k < 4; ++k) CHECK(at(y, {k, i, j}) == at(x, {i, j, k}));
  CHECK(same(permuted(y, {1, 2, 0}), x));
  CHECK(same(transpose_now(transpose_now(x)), x));
  CHECK(same(swapaxes(x, 0, 1), permuted(x, {1, 0, 2})));
}

TEST_CASE("rearrange: views share memory and have ids of their own", "[function]") {
  const AnyTensor x = counted({2, {3, 4}});
  Selection s = Selection::everything(x.extents());
  for (const AnyTensor& y :
       {permuted(x, {1, 0}), select(x, s), unsqueeze(x, 1), broadcast_to(x, {3, {2, 3, 4}}),
        reshape(x, {1, {12}}), slice(x, 0, slice(0, 2))}) {
    CHECK(y.raw() == x.raw());
    CHECK(y.id() != x.id());
  }
  CHECK(at(flip(x, 1), {0, 0}) == 3);
}

TEST_CASE("rearrange: a slice takes start, start + step, ...", "[function]") {
  const AnyTensor x = counted({2, {6, 7}});
  const AnyTensor y = slice(slice(x, 0, slice(-2, -6, -2)), 1, slice(1, open, 3));
  REQUIRE(y.extents() == Extents{2, {2, 2}});
  CHECK(at(y, {0, 0}) == 29);
  CHECK(at(y, {1, 1}) == 18);
  CHECK(slice(x, 1, slice(5, 2)).extents() == Extents{2, {6, 0}});
  CHECK(at(select(x, -1, 6), {2}) == 20);
}

TEST_CASE("rearrange: pieces of a split concatenate to the whole", "[function]") {
  const AnyTensor x = counted({3, {2, 5, 3}});
  const Index sizes[] = {1, 0, 4};
  for (int axis : {1, -2}) CHECK(same(concatenate(split(x, sizes, axis), axis), x));
  const AnyTensor y = stack(Tensors{x, flip(x, 0)}, -1);
  CHECK(y.extents() == Extents{4, {2, 5, 3, 2}});
  CHECK(same(select(y, -1, 0), x));
  CHECK(same(select(y, -1, 1), flip(x, 0)));
}

TEST_CASE("rearrange: more tensors than one statement holds concatenate too", "[function]") {
  Tensors parts;
  for (int i = 0; i < 60; ++i) parts.push_back(full(Dtype::f64, {1, {2}}, i));
  const AnyTensor y = concatenate(parts, 0);
  REQUIRE(y.size() == 120);
  for (Index i = 0; i < 120; ++i) CHECK(at(y, {i}) == static_cast<double>(i / 2));
  CHECK(error([](const Tensors& x) { return squared(concatenate(x, 0)); }, parts) < 1e-8 * 60);
}

TEST_CASE("rearrange: reshape keeps the row-major order, whatever the strides", "[function]") {
  const AnyTensor x = counted({2, {3, 4}});
  CHECK(same(reshape(reshape(x, {3, {2, -1, 3}}), {2, {3, 4}}), x));
  CHECK(same(reshape(transpose_now(x), {1, {12}}),
             reshape(transpose_now(x).to_contiguous(), {1, {-1}})));
  CHECK(reshape(zeros(Dtype::f32, {2, {0, 3}}), {2, {3, 0}}).size() == 0);
}

TEST_CASE("rearrange: broadcasting repeats", "[function]") {
  const AnyTensor x = counted({2, {3, 1}});
  const AnyTensor y = broadcast_to(x, {3, {2, 3, 4}});
  for (Index i = 0; i < 2; ++i)
    for (Index j = 0; j < 3; ++j)
      for (Index k = 0; k < 4; ++k) CHECK(at(y, {i, j, k}) == static_cast<double>(j));
  CHECK(broadcast_to(x, {2, {3, 0}}).size() == 0);
}

TEST_CASE("rearrange: place is the transpose of select", "[function]") {
  const AnyTensor x = numbers({2, {5, 6}}, 1);
  Selection s = select_indices("f", x.extents(), slice(4, open, -2), 3);
  const AnyTensor part = select(x, s), y = numbers(part.extents(), 2);
  const AnyTensor placed = place(y, x.extents(), s);
  auto product = [](const AnyTensor& u, const AnyTensor& v) {
    const Extents flat{1, {u.size()}};
    const Tensor<double, Shape<dyn>> l(reshape(u, flat)), r(reshape(v, flat));
    return sum(l * r).item();
  };
  CHECK(product(part, y) == Approx(product(x, placed)));
  CHECK(same(select(placed, s), y));
}

TEST_CASE("rearrange: gradients equal central differences, also of the second order",
          "[function]") {
  struct Case {
    const char* name;
    Function f;
    Tensors x;
  };
  const AnyTensor a = numbers({3, {2, 3, 4}}, 3), b = numbers({3, {2, 1, 4}}, 4);
  const std::vector<Case> cases = {
      {"permute",
       [](const Tensors& x) {
         return squared(permuted(x[0], {2, 0, 1}));
       },
       {a}},
      {"transpose", [](const Tensors& x) { return squared(transpose_now(x[0])); }, {a}},
      {"flip", [](const Tensors& x) { return squared(flip(x[0], 1)); }, {a}},
      {"slice", [](const Tensors& x) { return squared(slice(x[0], 2, slice(3, 0, -2))); }, {a}},
      {"row", [](const Tensors& x) { return squared(select(x[0], 1, -1)); }, {a}},
      {"reshape",
       [](const Tensors& x) {
         return squared(reshape(x[0], {2, {6, -1}}));
       },
       {a}},
      {"reshape of a view",
       [](const Tensors& x) {
         return squared(reshape(transpose_now(x[0]), {1, {24}}));
       },
       {a}},
      {"squeeze", [](const Tensors& x) { return squared(squeeze(x[0], 1)); }, {b}},
      {"unsqueeze", [](const Tensors& x) { return squared(unsqueeze(x[0], -1)); }, {b}},
      {"broadcast",
       [](const Tensors& x) {
         return squared(broadcast_to(x[0], {4, {2, 2, 3, 4}}));
       },
       {b}},
      {"concatenate",
       [](const Tensors& x) { return squared(concatenate(x, 1)); },
       {a, b, a.clone()}},
      {"the same tensor twice",
       [](const Tensors& x) {
         return squared(concatenate(Tensors{x[0], x[0]}, 0));
       },
       {a}},
      {"stack", [](const Tensors& x) { return squared(stack(x, 1)); }, {a, a.clone()}},
      {"all rows one by one",
       [](const Tensors& x) {
         Tensors rows;
         for (Index i = 0; i < 3; ++i) rows.push_back(squared(select(x[0], 1, i)));
         return stack(rows, 1);
       },
       {a}},
      {"overlapping slices",
       [](const Tensors& x) {
         return multiply(slice(x[0], 2, slice(0, 3)), slice(x[0], 2, slice(1, 4)));
       },
       {a}},
  };
  const bool compiled = GENERATE(true, false);
  use_compiled_kernels(compiled);
  for (const Case& c : cases) {
    CAPTURE(c.name, compiled);
    CHECK(error(c.f, c.x) < 1e-8);
    CHECK(second_error(c.f, c.x) < 1e-7);
  }
  use_compiled_kernels(true);
}

TEST_CASE("rearrange: integers and bools are rearranged without being recorded", "[function]") {
  Tape tape;
  const AnyTensor x = counted({2, {2, 3}}).to(Dtype::i64);
  CHECK(transpose_now(x).extents() == Extents{2, {3, 2}});
  CHECK(concatenate(Tensors{x, x}, 0).dtype() == Dtype::i64);
}

TEST_CASE("rearrange: what does not fit is an error that names function, axis and extents",
          "[function]") {
  const AnyTensor x = counted({2, {3, 4}}), y = counted({2, {2, 5}});
  CHECK_THROWS_WITH(
      concatenate(Tensors{x, y}, 0),
      ContainsSubstring("concatenate: extents differ on axis 1") && ContainsSubstring("(4 vs 5)"));
  CHECK_THROWS_WITH(concatenate(Tensors{x, counted({1, {4}})}, 0),
                    ContainsSubstring("ranks differ"));
  CHECK_THROWS_WITH(concatenate(Tensors{x, x.to(Dtype::f32)}, 0), ContainsSubstring("f64 and f32"));
  CHECK_THROWS_WITH(concatenate(Tensors{}, 0), ContainsSubstring("at least one"));
  CHECK_THROWS_WITH(reshape(x, {2, {5, -1}}), ContainsSubstring("reshape: [3, 4] has 12 elements"));
  CHECK_THROWS_WITH(reshape(x, {2, {-1, -1}}), ContainsSubstring("one extent -1"));
  CHECK_THROWS_WITH(reshape(x, {2, {3, 5}}), ContainsSubstring("15"));
  CHECK_THROWS_WITH(squeeze(x, 0), ContainsSubstring("extent 3, not 1"));
  CHECK_THROWS_WITH(broadcast_to(x, {2, {3, 5}}),
                    ContainsSubstring("on axis 1") && ContainsSubstring("(4 vs 5)"));
  CHECK_THROWS_WITH(broadcast_to(x, {1, {4}}), ContainsSubstring("more axes"));
  CHECK_THROWS_WITH(permuted(x, {0, 0}), ContainsSubstring("axis 0 is named twice"));
  CHECK_THROWS_WITH(permuted(x, {0}), ContainsSubstring("1 axes for a tensor of rank 2"));
  CHECK_THROWS_WITH(select(x, 1, 4),
                    ContainsSubstring("index 4 is out of range on axis 1 of extent 4"));
  CHECK_THROWS_WITH(slice(x, 2, slice(0, 1)), ContainsSubstring("axis 2 is out of range"));
  const Index sizes[] = {1, 1};
  CHECK_THROWS_WITH(split(x, sizes, 0),
                    ContainsSubstring("split") && ContainsSubstring("(2 vs 3)"));
  CHECK_THROWS_WITH(transpose_now(counted({1, {3}})), ContainsSubstring("out of range"));
  CHECK_THROWS_WITH(select(AnyTensor{}, Selection{}), ContainsSubstring("never given a value"));
}
