// SPDX-License-Identifier: Apache-2.0
#include <tenon/tensor/any_tensor.hpp>

#include "support/catch.hpp"

using namespace tenon;

TEST_CASE("record: a buffer's elements are aligned, with readable bytes behind them",
          "[tensor][record]") {
  for (std::size_t n : {0u, 1u, 64u, 1000u, 100000u}) {
    Buffer* b = Buffer::create(n);
    CHECK(reinterpret_cast<std::uintptr_t>(b->data) % 64 == 0);
    CHECK(b->bytes == n);
    std::memset(b->data, 1, n + Buffer::margin);
    b->drop();
  }
}

TEST_CASE("record: the last owner gives memory back, an adopted buffer is released once",
          "[tensor][record]") {
  const auto live = memory::statistics().live;
  Buffer* b = Buffer::create(1000);
  b->references.fetch_add(1);
  b->drop();
  CHECK(memory::statistics().live > live);
  b->drop();
  CHECK(memory::statistics().live == live);

  int released = 0;
  float data[4] = {};
  auto release = [](void* context) { ++*static_cast<int*>(context); };
  Buffer* adopted = Buffer::adopt(data, sizeof data, release, &released);
  CHECK(adopted->data == data);
  adopted->drop();
  CHECK(released == 1);
  CHECK(memory::statistics().live == live);
}

TEST_CASE("record: size and contiguity follow from extents and strides", "[tensor][record]") {
  Record* r = Record::create();
  auto set = [&](const Extents& e, std::initializer_list<Index> strides) {
    r->rank = static_cast<std::uint8_t>(e.rank);
    for (int i = 0; i < e.rank; ++i) {
      r->extents[i] = e[i];
      r->strides[i] = strides.begin()[i];
    }
  };
  set(Extents{}, {});
  CHECK(r->size() == 1);
  CHECK(r->contiguous());
  set(Extents{2, {2, 3}}, {3, 1});
  CHECK(r->contiguous());
  CHECK(r->shape() == Extents{2, {2, 3}});
  set(Extents{2, {2, 3}}, {1, 2});
  CHECK_FALSE(r->contiguous());
  set(Extents{2, {2, 3}}, {0, 1});
  CHECK_FALSE(r->contiguous());
  set(Extents{2, {2, 3}}, {-3, 1});
  CHECK_FALSE(r->contiguous());
  set(Extents{2, {2, 3}}, {4, 1});
  CHECK_FALSE(r->contiguous());
  set(Extents{3, {1, 3, 1}}, {77, 1, -5});  // the stride of an axis of extent 1 says nothing
  CHECK(r->contiguous());
  set(Extents{2, {0, 3}}, {3, 1});
  CHECK(r->contiguous());
  CHECK(r->size() == 0);
  r->drop();
}

TEST_CASE("record: only memory of our own may be loaded past its end", "[tensor][record]") {
  const float data[3] = {};
  CHECK(AnyTensor::empty(Dtype::f32, Extents{1, {3}}).get()->padded());
  CHECK_FALSE(AnyTensor::adopt(Dtype::f32, Extents{1, {3}}, data).get()->padded());
  CHECK_FALSE(
      AnyTensor::valueless(AnyTensor::adopt(Dtype::f32, Extents{1, {3}}, data)).get()->padded());
}
