// SPDX-License-Identifier: Apache-2.0
#include <tenon/data/batches.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

#include <algorithm>

using namespace tenon;
using data::Batches, data::Batch, data::BatchOptions;
using tests::failure;

namespace {

// Row i of images is i, i + 1, ... modulo 256; label i is i modulo 10.
AnyTensor images(Index n, Index width) {
  AnyTensor x = AnyTensor::empty(Dtype::u8, Extents{2, {n, width}});
  auto* p = static_cast<std::uint8_t*>(x.raw_writable());
  for (Index i = 0; i < n * width; ++i) p[i] = static_cast<std::uint8_t>(i / width + i % width);
  return x;
}
AnyTensor labels(Index n) {
  AnyTensor x = AnyTensor::empty(Dtype::u8, Extents{1, {n}});
  auto* p = static_cast<std::uint8_t*>(x.raw_writable());
  for (Index i = 0; i < n; ++i) p[i] = static_cast<std::uint8_t>(i);
  return x;
}
std::vector<std::int64_t> label_list(const Batch& b) {
  return {b.label.data<std::int64_t>(), b.label.data<std::int64_t>() + b.label.size()};
}
std::vector<std::int64_t> epoch_labels(Batches& batches, Index epoch) {
  std::vector<std::int64_t> all;
  for (const Batch& b : batches.epoch(epoch))
    for (std::int64_t l : label_list(b)) all.push_back(l);
  return all;
}

}  // namespace

TEST_CASE("batches: each row of an epoch comes once, its label beside it", "[data][batches]") {
  Batches batches(images(250, 3), labels(250), 64, 7);
  CHECK(batches.steps_per_epoch() == 4);
  std::vector<std::int64_t> seen, rows;
  for (const auto& [x, label] : batches.epoch(0)) {
    REQUIRE(x.dtype() == Dtype::f32);
    REQUIRE(label.dtype() == Dtype::i64);
    rows.push_back(x.extent(0));
    REQUIRE(x.extents() == Extents{2, {rows.back(), 3}});
    REQUIRE(label.extents() == Extents{1, {rows.back()}});
    for (Index i = 0; i < rows.back(); ++i) {
      const std::int64_t l = label.data<std::int64_t>()[i];
      seen.push_back(l);
      for (Index k = 0; k < 3; ++k)
        REQUIRE(x.data<float>()[3 * i + k] == static_cast<float>((l + k) % 256) / 255.0f);
    }
  }
  CHECK(rows == std::vector<std::int64_t>{64, 64, 64, 58});
  std::vector<std::int64_t> sorted = seen;
  std::sort(sorted.begin(), sorted.end());
  for (Index i = 0; i < 250; ++i) REQUIRE(sorted[static_cast<std::size_t>(i)] == i);
  CHECK(seen != sorted);
}

TEST_CASE("batches: pixels become the float nearest to pixel / 255, whatever the width",
          "[data][batches]") {
  for (Index width : {1, 63, 64, 65, 256, 784}) {
    AnyTensor x = AnyTensor::empty(Dtype::u8, Extents{2, {256, width}});
    auto* p = static_cast<std::uint8_t*>(x.raw_writable());
    for (Index i = 0; i < 256 * width; ++i) p[i] = static_cast<std::uint8_t>(i / width + i % 3);
    Batches batches(x, labels(256), 256, 1, BatchOptions{.shuffle = false});
    const Batch b = batches.at(0, 0);
    int wrong = 0;
    for (Index i = 0; i < 256 * width; ++i)
      wrong += b.x.data<float>()[i] != static_cast<float>(p[i]) / 255.0f;
    CHECK(wrong == 0);
  }
  Batches plain(images(4, 2), labels(4), 4, 1, BatchOptions{.shuffle = false, .scale = 1});
  CHECK(plain.at(0, 0).x.data<float>()[7] == 4);
}

TEST_CASE("batches: the order follows from seed and epoch alone, so any batch can be made alone",
          "[data][batches]") {
  Batches whole(images(100, 1), labels(100), 8, 3), parts(images(100, 1), labels(100), 8, 3);
  std::vector<std::vector<std::int64_t>> expected;
  for (Index e = 0; e < 3; ++e)
    for (const Batch& b : whole.epoch(e)) expected.push_back(label_list(b));
  for (std::size_t i = expected.size(); i-- > 0;)
    CHECK(label_list(parts.at(static_cast<Index>(i / 13), static_cast<Index>(i % 13))) ==
          expected[i]);
  std::size_t at = 13 + 5;
  for (const Batch& b : parts.epoch(1, 5)) CHECK(label_list(b) == expected[at++]);
  CHECK(at == 26);

  // The permutation is the one that core/random.hpp publishes for this key.
  std::int64_t order[100];
  permutation(RandomKey{Rng(3).stream("batches").seed(), 2, 0, 0}, 100, order);
  CHECK(epoch_labels(whole, 2) == std::vector<std::int64_t>(order, order + 100));

  CHECK(epoch_labels(whole, 0) != epoch_labels(whole, 1));
  Batches other(images(100, 1), labels(100), 8, 4), larger(images(100, 1), labels(100), 50, 3);
  CHECK(epoch_labels(other, 0) != epoch_labels(whole, 0));
  CHECK(epoch_labels(larger, 0) == epoch_labels(whole, 0));
}

TEST_CASE("batches: the options keep the order of rows, and leave out a smaller last batch",
          "[data][batches]") {
  Batches ordered(images(10, 1), labels(10), 4, 1, BatchOptions{.shuffle = false});
  CHECK(epoch_labels(ordered, 5) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  Batches full(images(10, 1), labels(10), 4, 1, BatchOptions{.drop_last = true});
  CHECK(full.steps_per_epoch() == 2);
  CHECK(epoch_labels(full, 0).size() == 8);
  Batches exact(images(8, 1), labels(8), 4, 1);
  CHECK(exact.steps_per_epoch() == 2);
  Batches large(images(3, 1), labels(3), 100, 1);
  CHECK(large.at(0, 0).x.extent(0) == 3);
  Batches none(images(0, 5), labels(0), 4, 1);
  CHECK(none.steps_per_epoch() == 0);
  CHECK(epoch_labels(none, 0).empty());
}

TEST_CASE("batches: other dtypes, more axes and views of a larger tensor", "[data][batches]") {
  AnyTensor x = AnyTensor::empty(Dtype::f64, Extents{3, {6, 2, 3}});
  for (Index i = 0; i < 36; ++i) static_cast<double*>(x.raw_writable())[i] = static_cast<double>(i);
  AnyTensor target = AnyTensor::empty(Dtype::f32, Extents{2, {6, 2}});
  for (Index i = 0; i < 12; ++i)
    static_cast<float*>(target.raw_writable())[i] = static_cast<float>(i);
  Batches batches(x, target, 2, 1, BatchOptions{.shuffle = false});
  Batch b = batches.at(0, 1);
  CHECK(b.x.dtype() == Dtype::f64);
  CHECK(b.x.extents() == Extents{3, {2, 2, 3}});
  CHECK(b.x.data<double>()[0] == 12);
  CHECK(b.label.dtype() == Dtype::f32);
  CHECK(b.label.data<float>()[0] == 4);

  const Index strides[] = {-6, 1, 2};  // rows backwards, the other two axes exchanged
  Batches views(x.view(Extents{3, {6, 3, 2}}, strides, 30), labels(6), 6, 1,
                BatchOptions{.shuffle = false});
  b = views.at(0, 0);
  CHECK(b.x.extents() == Extents{3, {6, 3, 2}});
  CHECK(b.x.data<double>()[0] == 30);
  CHECK(b.x.data<double>()[1] == 32);
  CHECK(b.x.data<double>()[35] == 4);
}

TEST_CASE("batches: a batch is nobody else's memory, and memory is used again", "[data][batches]") {
  AnyTensor source = images(64, 100);
  Batches batches(source, labels(64), 16, 1);
  const Batch kept = batches.at(0, 0);
  const std::vector<std::int64_t> before = label_list(kept);
  { source.write<std::uint8_t>()[0] = 77; }
  for (const Batch& b : batches.epoch(1)) CHECK(b.x.id() != kept.x.id());
  CHECK(label_list(kept) == before);
  const auto calls = memory::statistics().system_calls;
  for (Index e = 2; e < 5; ++e)
    for (const Batch& b : batches.epoch(e)) CHECK(b.x.defined());
  CHECK(memory::statistics().system_calls == calls);
  Batches fresh(images(64, 100), labels(64), 16, 1);
  const Batch again = fresh.at(4, 3), same = batches.at(4, 3);
  CHECK(std::memcmp(again.x.raw(), same.x.raw(), 16 * 100 * 4) == 0);
}

TEST_CASE("batches: what does not fit is an error in the usual words", "[data][batches]") {
  auto f = failure([] { Batches b(images(10, 2), labels(9), 4, 1); });
  CHECK(f.code == Error::shape);
  CHECK_THAT(f.text, ContainsSubstring("tenon::Batches: images and labels differ on axis 0") &&
                         ContainsSubstring("[10, 2] and [9] (10 vs 9)"));
  CHECK(failure([] { Batches b(images(10, 2), labels(10), 0, 1); }).code == Error::value);
  CHECK(failure([] { Batches b(images(10, 2), labels(10), -5, 1); }).code == Error::value);
  CHECK(failure([] { Batches b(AnyTensor(), labels(10), 5, 1); }).code == Error::uninitialised);
  CHECK(failure([] { Batches b(images(10, 2), AnyTensor(), 5, 1); }).code == Error::uninitialised);
  const AnyTensor scalar = AnyTensor::empty(Dtype::u8, Extents{});
  CHECK(failure([&] { Batches b(scalar, scalar, 5, 1); }).code == Error::shape);
  Batches batches(images(10, 2), labels(10), 4, 1);
  CHECK(failure([&] { batches.at(0, 3); }).code == Error::index);
  CHECK(failure([&] { batches.at(0, -1); }).code == Error::index);
  CHECK(failure([&] { batches.at(-1, 0); }).code == Error::index);
  CHECK(failure([&] { batches.at(Index{1} << 48, 0); }).code == Error::index);
}
