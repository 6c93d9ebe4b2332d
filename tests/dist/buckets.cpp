// SPDX-License-Identifier: Apache-2.0
// Buckets hold every byte of a gradient once, and add as batch_gradient of one process does.
#include <tenon/dist/buckets.hpp>

#include <tenon/optim/step.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tensors.hpp"

using namespace tests;
using dist::BucketPiece;

namespace {
std::span<const std::byte> content(const dist::Bytes& b) { return dist::content_of(b); }
}  // namespace

TEST_CASE("every byte of every parameter is in one piece; pieces hold whole elements") {
  const std::vector<AnyTensor> parameters = {
      spread(Dtype::f32, extents({100, 7}), 1), spread(Dtype::f64, extents({3}), 2),
      spread(Dtype::bf16, extents({5}), 3), spread(Dtype::f32, extents({0}), 4),
      spread(Dtype::f64, extents({1}), 5)};
  for (std::size_t bytes : {1u, 64u, 100u, 1000u, 1u << 20}) {
    CAPTURE(bytes);
    std::vector<std::size_t> reached(parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) reached[i] = 0;
    int last = static_cast<int>(parameters.size());
    for (const auto& bucket : dist::cut_into_buckets(parameters, bytes)) {
      CHECK_FALSE(bucket.empty());
      std::size_t size = 0;
      for (const BucketPiece& p : bucket) {
        const auto i = static_cast<std::size_t>(p.parameter);
        CHECK(p.parameter <= last);  // from the last to the first
        last = p.parameter;
        CHECK(p.begin == reached.at(i));
        CHECK(p.end > p.begin);
        CHECK(p.end % size_of(parameters[i].dtype()) == 0);
        reached[i] = p.end;
        size += p.end - p.begin;
      }
      CHECK(size <= (bytes + 63) / 64 * 64);
    }
    for (std::size_t i = 0; i < parameters.size(); ++i)
      CHECK(reached[i] ==
            static_cast<std::size_t>(parameters[i].size()) * size_of(parameters[i].dtype()));
  }
}

TEST_CASE("elements are added with the bits of combine_into") {
  for (Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::f16})
    for (Index n : {Index{1}, Index{255}, Index{1000}}) {
      CAPTURE(name_of(dtype), n);
      const AnyTensor a = spread(dtype, extents({n}), 1), b = spread(dtype, extents({n}), 2, -1, 1);
      AnyTensor want = a.clone(), got = a.clone();
      detail::combine_into(want, 1, b, 1);
      got.detach();
      auto* to = static_cast<std::byte*>(got.raw_writable());
      dist::add_elements(dtype, to, to, static_cast<const std::byte*>(b.raw()),
                         static_cast<std::size_t>(n) * size_of(dtype));
      CHECK(same_bits(got, want));
    }
}

TEST_CASE("integers are added with the bits of add_state, beyond the range of their type too") {
  for (Dtype dtype : {Dtype::i64, Dtype::i32, Dtype::u8, Dtype::boolean}) {
    CAPTURE(name_of(dtype));
    const AnyTensor a = made(dtype, extents({300}), [](Index i) { return i % 3 ? i * 7919 : 0; }),
                    b = dtype == Dtype::i64 ? full(dtype, extents({300}), 0x1p62) : a;
    AnyTensor want = b, got = b.clone();
    detail::add_state(want, a, 1);
    detail::add_state(want, b, 1);
    got.detach();
    auto* to = static_cast<std::byte*>(got.raw_writable());
    for (const AnyTensor& t : {a, b})
      dist::add_elements(dtype, to, to, static_cast<const std::byte*>(t.raw()),
                         300 * size_of(dtype));
    CHECK(same_bits(got, want));
  }
}

TEST_CASE("states have buckets of their own; of those that take the first the left one stands") {
  const std::vector<AnyTensor> tensors = {
      spread(Dtype::f32, extents({3}), 1), spread(Dtype::f64, extents({2}), 2),
      made(Dtype::i32, extents({2}), [](Index i) { return i; })};
  const Join joins[] = {Join::first, Join::sum};
  const auto pieces = dist::cut_with_states(tensors, joins, 1000);
  REQUIRE(pieces.size() == 2);
  REQUIRE(pieces[1].size() == 2);
  CHECK_FALSE(pieces[0][0].first);
  CHECK((pieces[1][0].parameter == 2 && !pieces[1][0].first));
  CHECK((pieces[1][1].parameter == 1 && pieces[1][1].first));
  dist::GradientMemory memory;
  memory.slots.assign(2, tensors);
  for (std::size_t slot = 0; slot < 2; ++slot)
    for (AnyTensor& t : memory.slots[slot])
      t = slot ? full(t.dtype(), t.extents(), 5) : t.to_contiguous().clone(), t.detach();
  const std::vector<Dtype> dtypes = {Dtype::f32, Dtype::f64, Dtype::i32};
  dist::TensorBucket bucket(memory, pieces[1], dtypes);
  const auto left = bucket.pack({dist::Tag::part}, 1);
  bucket.add(0, 1);
  CHECK(same_bits(memory.slots[0][1], tensors[1]));
  CHECK(values(memory.slots[0][2]) == std::vector<double>{5, 6});
  bucket.add(0, content(left), false);
  CHECK(same_bits(memory.slots[0][1], tensors[1]));
  bucket.add(0, content(left), true);
  CHECK(values(memory.slots[0][1]) == std::vector<double>{5, 5});
  CHECK(values(memory.slots[0][2]) == std::vector<double>{15, 16});
}

TEST_CASE("a tensor bucket packs, adds from either side, and puts the total into slot 0") {
  const std::vector<Dtype> dtypes = {Dtype::f32, Dtype::f64};
  dist::GradientMemory memory, other;
  for (unsigned slot = 0; slot < 2; ++slot) {
    memory.slots.push_back(
        {spread(Dtype::f32, extents({10}), slot), spread(Dtype::f64, extents({4}), slot + 7)});
    other.slots.push_back(
        {memory.slots[slot][0].to_contiguous().clone(), memory.slots[slot][1].clone()});
  }
  const auto before = memory.slots;
  for (auto& slot : memory.slots)
    for (AnyTensor& t : slot) t.detach();
  const std::vector<BucketPiece> pieces = {{1, 8, 24}, {0, 0, 12}};
  dist::TensorBucket bucket(memory, pieces, dtypes);
  const dist::Bytes message = bucket.pack({dist::Tag::part, 3, 4, 5}, 1);
  CHECK(dist::tag_of(message) == dist::Tag{dist::Tag::part, 3, 4, 5});
  CHECK(content(message).size() == 28);
  bucket.add(0, content(message), true);
  const auto a = values(before[0][0]), b = values(before[1][0]), c = values(memory.slots[0][0]);
  for (std::size_t i = 0; i < 10; ++i)
    CHECK(c[i] == (i < 3 ? double(float(a[i]) + float(b[i])) : a[i]));
  bucket.total(1, nullptr);
  const auto d = values(memory.slots[0][0]), e = values(memory.slots[0][1]);
  for (std::size_t i = 0; i < 10; ++i) CHECK(d[i] == (i < 3 ? b[i] : a[i]));
  CHECK(e[0] == values(before[0][1])[0]);
  CHECK(e[1] == values(before[1][1])[1]);
  const auto cut = content(message).subspan(1);
  CHECK(failure([&] { bucket.add(0, cut, true); }).code == Error::format);
  CHECK(failure([&] { bucket.total(-1, &cut); }).code == Error::format);
}

TEST_CASE("counts: what has changed travels before the metrics") {
  dist::CountBucket left(7, 40, 0, 1, 2), right(7, 40, 1, 1, 2);
  left.set(0, {{}, 1, 2, {{"seen", 4}}, 0, {}, {0, 1}});
  right.set(0, {{}, 1, 2, {{"seen", 5}}, 0, {}, {0, 1}});
  const dist::Tag tag{dist::Tag::part};
  left.add(0, content(right.pack(tag, 0)), false);
  left.total(0, nullptr);
  GradientSum sum;
  left.read_total(sum);
  CHECK(sum.changed == std::vector<double>{0, 2});
  REQUIRE(sum.metrics.size() == 1);
  CHECK(sum.metrics[0].value == 9);
}

TEST_CASE("counts: an absent side is not added, and bytes that are none are refused") {
  dist::CountBucket left(7, 40, 0, 2), right(7, 40, 1, 1), strange(7, 48, 2, 1);
  left.set(0, {{}, 1.5, 2, {{"right", 3}, {"seen", 4}}});
  right.set(0, {{}, 0.25, 1, {{"right", 5}, {"seen", 6}}});
  const dist::Tag tag{dist::Tag::part};
  left.add(0, 1);  // slot 1 is empty
  left.add(0, content(right.pack(tag, 0)), false);
  left.total(0, nullptr);
  GradientSum sum;
  left.read_total(sum);
  CHECK(sum.loss == 1.75);
  CHECK(sum.weight == 3);
  REQUIRE(sum.metrics.size() == 2);
  CHECK(sum.metrics[1].name == "seen");
  CHECK(sum.metrics[1].value == 10);
  const Failure differ = failure([&] { left.add(0, content(strange.pack(tag, 0)), true); });
  CHECK(differ.code == Error::peer);
  CHECK_THAT(differ.text, ContainsSubstring("rank 2 has a batch of 48 rows"));
  const dist::Bytes whole = right.pack(tag, 0);
  for (std::size_t n = 0; n < 5 * 8; ++n)
    CHECK(failure([&] { left.add(0, content(whole).first(n), true); }).code == Error::format);
}
