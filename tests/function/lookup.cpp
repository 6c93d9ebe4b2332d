// SPDX-License-Identifier: Apache-2.0
#include <tenon/function/lookup.hpp>

#include "function/gradients.hpp"
#include "support/catch.hpp"
using namespace tenon;
using namespace gradients;

static AnyTensor indices(const Extents& e, Index rows, Dtype dtype = Dtype::i64) {
  Rng rng(5);
  AnyTensor t = AnyTensor::empty(Dtype::i64, e);
  fill_integers(rng.next(), 0, t.size(), static_cast<std::int64_t*>(t.raw_writable()), 0, rows);
  return t.to(dtype);
}

TEST_CASE("take: row i of the result is the row that index i names", "[function]") {
  const AnyTensor table = transpose_now(counted({2, {3, 7}}));
  for (Dtype d : {Dtype::i64, Dtype::i32, Dtype::u8}) {
    const AnyTensor index = indices({2, {4, 5}}, 7, d), y = take(table, index);
    REQUIRE(y.extents() == Extents{3, {4, 5, 3}});
    const AnyTensor wide = index.to(Dtype::i64);
    for (Index i = 0; i < 20; ++i)
      for (Index j = 0; j < 3; ++j)
        CHECK(y.data<double>()[i * 3 + j] ==
              static_cast<double>(j * 7 + wide.data<std::int64_t>()[i]));
  }
  CHECK(take(table, indices({2, {0, 3}}, 7)).extents() == Extents{3, {0, 3, 3}});
  CHECK(take(counted({1, {9}}), full(Dtype::i64, {}, 4)).to_contiguous().data<double>()[0] == 4);
}

TEST_CASE("take: gradients equal central differences, also of the second order", "[function]") {
  const AnyTensor index = indices({2, {3, 4}}, 5), table = numbers({3, {5, 2, 3}}, 1);
  const bool compiled = GENERATE(true, false);
  use_compiled_kernels(compiled);
  auto f = [&](const Tensors& x) { return squared(take(x[0], index)); };
  CHECK(error(f, {table}) < 1e-8);
  CHECK(second_error(f, {table}) < 1e-7);
  auto twice = [&](const Tensors& x) {
    return multiply(take(x[0], index), take(flip(x[0], 0), index));
  };
  CHECK(error(twice, {table}) < 1e-8);
  use_compiled_kernels(true);
}

TEST_CASE("take: the gradient has the same bits for any number of threads", "[function]") {
  const Index rows = 300, width = 96, n = 4000;
  const AnyTensor index = indices({1, {n}}, rows);
  AnyTensor dy = numbers({2, {n, width}}, 3).to(Dtype::f32);
  set_num_threads(1);
  const AnyTensor one = scatter_rows(dy, index, rows);
  set_num_threads(4);
  const AnyTensor four = scatter_rows(dy, index, rows);
  set_num_threads(0);
  CHECK(std::memcmp(one.raw(), four.raw(),
                    sizeof(float) * static_cast<std::size_t>(rows * width)) == 0);
  // Rows summed in the order of the index.
  std::vector<float> sum(static_cast<std::size_t>(rows * width), 0.0f);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < width; ++j)
      sum[static_cast<std::size_t>(index.data<std::int64_t>()[i] * width + j)] +=
          dy.data<float>()[i * width + j];
  CHECK(std::memcmp(one.raw(), sum.data(), sum.size() * sizeof(float)) == 0);
}

TEST_CASE("take: typed, the index's extents replace the first axis of the table", "[function]") {
  Tensor<float, Shape<10, 4>> table(numbers({2, {10, 4}}, 2).to(Dtype::f32));
  Tensor<std::int32_t, Shape<dyn, 3>> words(indices({2, {2, 3}}, 10, Dtype::i32));
  auto y = take(table, words);
  static_assert(std::is_same_v<decltype(y), Tensor<float, Shape<dyn, 3, 4>>>);
  CHECK(same(y, take(table.any(), words.any())));
}

TEST_CASE("take: an index outside the table names itself, its position and the extent",
          "[function]") {
  const AnyTensor table = counted({2, {3, 2}});
  for (Index bad : {-1, 3}) {
    AnyTensor index = zeros(Dtype::i64, {1, {4}});
    { index.write<std::int64_t>()[2] = bad; }
    CHECK_THROWS_WITH(take(table, index),
                      ContainsSubstring("take: index " + std::to_string(bad) + " at position 2") &&
                          ContainsSubstring("extent 3"));
    CHECK_THROWS_AS(scatter_rows(counted({2, {4, 2}}), index, 3), Error);
  }
  CHECK_THROWS_WITH(take(table, table), ContainsSubstring("f64, not integers"));
  CHECK_THROWS_WITH(take(counted({}), indices({1, {2}}, 1)), ContainsSubstring("rank 0"));
  CHECK_THROWS_WITH(scatter_rows(counted({2, {3, 2}}), indices({1, {4}}, 2), 2),
                    ContainsSubstring("begin with"));
}

TEST_CASE("argmax: no element is larger, and none before it is as large", "[function]") {
  for (Dtype d :
       {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i32, Dtype::u8, Dtype::boolean}) {
    AnyTensor x = indices({3, {3, 5, 4}}, 6).to(d);
    const AnyTensor v = x.to(Dtype::f64);
    for (int axis = 0; axis < 3; ++axis) {
      const AnyTensor most = argmax(x, axis, true), least = argmin(x, axis);
      const Index n = x.extent(axis), step = v.stride(axis);
      REQUIRE(most.extent(axis) == 1);
      REQUIRE(least.rank() == 2);
      for (Index i = 0, k = 0; i < x.size(); ++i) {
        if (i / step % n != 0) continue;
        const double* row = v.data<double>() + i;
        const Index a = most.data<std::int64_t>()[k], b = least.data<std::int64_t>()[k];
        for (Index j = 0; j < n; ++j) {
          CHECK((j < a ? row[j * step] < row[a * step] : row[j * step] <= row[a * step]));
          CHECK((j < b ? row[j * step] > row[b * step] : row[j * step] >= row[b * step]));
        }
        ++k;
      }
    }
  }
}

TEST_CASE("argmax: the first NaN is the extreme, as in NumPy", "[function]") {
  const double nan = std::nan("");
  auto x =
      tensor<double>({{1, nan, 3, nan}, {nan, 9, 9, 1}, {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL, nan}});
  auto most = argmax(x, axis<-1>), least = argmin(x, axis<1>);
  static_assert(std::is_same_v<decltype(most), Tensor<std::int64_t, Shape<3>>>);
  CHECK(same(most, tensor<std::int64_t>({1, 0, 3})));
  CHECK(same(least, tensor<std::int64_t>({1, 0, 3})));
  CHECK(argmax(x).item() == 1);
  CHECK(argmin(tensor<int>({3, 1, 1})).item() == 1);
  static_assert(
      std::is_same_v<decltype(argmax(x, axis<0>, keepdims)), Tensor<std::int64_t, Shape<1, 4>>>);
  CHECK_THROWS_WITH(argmax(zeros(Dtype::f32, {2, {2, 0}}), 1), ContainsSubstring("no elements"));
  CHECK(argmax(zeros(Dtype::f32, {2, {0, 2}}), 1).size() == 0);
}

TEST_CASE("cast: gradients pass through in the operand's compute type", "[function]") {
  auto x = tensor<double>({1.5, -2.25, 3});
  Tape tape;
  auto y = cast<float>(x);
  auto z = cast<bf16>(y);
  auto w = cast<double>(z);
  auto loss = sum(w * w * x);
  auto g = tape.gradient(loss, x);
  for (Index i = 0; i < 3; ++i) CHECK(g.data()[i] == 3 * x.data()[i] * x.data()[i]);
  CHECK(cast(x, Dtype::f64).id() == x.id());
  CHECK(same(cast<std::int64_t>(x), tensor<std::int64_t>({1, -2, 3})));
}
