// SPDX-License-Identifier: Apache-2.0
#include <tenon/kernel/generated.hpp>
#include <tenon/tensor/any_tensor.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

#include <thread>
#include <vector>

using namespace tenon;
using tests::failure;

namespace {

AnyTensor counting(const Extents& e) {
  AnyTensor x = AnyTensor::empty(Dtype::f32, e);
  auto m = x.write<float>();
  for (Index i = 0; i < m.size(); ++i) m[i] = static_cast<float>(i);
  return x;
}
float first(const AnyTensor& x) { return x.data<float>()[0]; }
AnyTensor transposed(const AnyTensor& x) {
  const Index strides[] = {x.stride(1), x.stride(0)};
  return x.view(Extents{2, {x.extent(1), x.extent(0)}}, strides, 0);
}
AnyTensor generated(Index n) {
  AnyTensor x = AnyTensor::own(Record::create());
  Record& r = *x.get();
  r.rank = 1;
  r.extents[0] = n;
  r.generated = true;
  detail::GeneratedKey key{5, 6, 7, 8, kernel::detail::fill_uniform_leaf};
  std::memcpy(r.strides, &key, sizeof key);
  return x;
}

}  // namespace

TEST_CASE("any_tensor: a handle is a pointer; copies share, and nothing is left in the end",
          "[tensor][any_tensor]") {
  const auto live = memory::statistics().live;
  {
    AnyTensor x = counting(Extents{2, {2, 3}});
    AnyTensor y = x, z = std::move(y);
    CHECK(z.id() == x.id());
    CHECK(z.raw() == x.raw());
    CHECK_FALSE(y.defined());
    y = z;
    z = AnyTensor();
    CHECK(y.id() == x.id());
    AnyTensor& self = y;
    y = self;
    CHECK(y.id() == x.id());
    y.swap(z);
    CHECK(z.id() == x.id());
    CHECK_FALSE(y.defined());
    CHECK(x.extents() == Extents{2, {2, 3}});
    CHECK(x.extent(-1) == 3);
    CHECK(x.size() == 6);
    CHECK(x.contiguous());
    CHECK(x.device() == cpu);
  }
  CHECK(memory::statistics().live == live);
}

TEST_CASE("any_tensor: writing detaches, so other handles never see it", "[tensor][any_tensor]") {
  AnyTensor x = counting(Extents{2, {2, 3}}), y = x;
  const auto old = x.id();
  { x.write<float>()(0, 0) = 5; }
  CHECK(first(x) == 5);
  CHECK(first(y) == 0);
  CHECK(y.id() == old);
  CHECK(x.id() != old);
  CHECK(x.data<float>()[5] == 5);
  // The only owner writes in place, and it is another value all the same.
  const void* memory = x.raw();
  const auto before = x.id();
  { x.write<float>()(0, 0) = 6; }
  CHECK(x.raw() == memory);
  CHECK(x.id() != before);
}

TEST_CASE("any_tensor: while a writer lives, a copy has its own elements", "[tensor][any_tensor]") {
  AnyTensor x = counting(Extents{2, {2, 3}});
  AnyTensor y, clone, view;
  {
    auto m = x.write<float>();
    m(0, 0) = 1;
    y = x;
    clone = x.clone();
    const Index stride[] = {1};
    view = x.view(Extents{1, {6}}, stride, 0);
    m(0, 0) = 5;
    CHECK(first(x) == 5);
  }
  CHECK(first(y) == 1);
  CHECK(first(clone) == 1);
  CHECK(first(view) == 1);
  CHECK(first(x) == 5);
  CHECK(y.id() != x.id());
  AnyTensor z = x;
  CHECK(z.raw() == x.raw());
}

TEST_CASE("any_tensor: a writer keeps the elements alive, and its id is new when it ends",
          "[tensor][any_tensor]") {
  const auto live = memory::statistics().live;
  {
    AnyTensor x = counting(Extents{1, {3}});
    const auto before = x.id();
    std::uint64_t during = 0;
    {
      auto m = x.write<float>();
      during = x.id();
      x = AnyTensor();
      m[2] = 7;
      CHECK(m[2] == 7);
    }
    CHECK(during != before);
    x = counting(Extents{1, {3}});
    {
      auto m = x.write<float>();
      during = x.id();
    }
    CHECK(x.id() != during);
  }
  CHECK(memory::statistics().live == live);
}

TEST_CASE("any_tensor: a writer checks rank, index and dtype", "[tensor][any_tensor]") {
  AnyTensor x = counting(Extents{2, {2, 3}});
  auto m = x.write<float>();
  CHECK(m(1, 2) == 5);
  CHECK(m(-1, -1) == 5);
  CHECK(m[3] == 3);
  CHECK(std::span<float>(m).size() == 6);
  CHECK_THAT(failure([&] { m(0, 3); }).text,
             ContainsSubstring("index 3 is out of range on axis 1 of extent 3"));
  CHECK(failure([&] { m(-3, 0); }).code == Error::index);
  CHECK(failure([&] { m(0); }).code == Error::index);
  CHECK(failure([&] { x.write<double>(); }).code == Error::dtype);
  CHECK_THAT(failure([&] { (void)x.data<std::int32_t>(); }).text,
             ContainsSubstring("f32, not i32"));
  AnyTensor scalar = AnyTensor::empty(Dtype::f32, Extents{});
  scalar.write<float>()() = 3;
  CHECK(first(scalar) == 3);
}

TEST_CASE("any_tensor: an empty handle is an error wherever its elements or extents are asked for",
          "[tensor][any_tensor]") {
  AnyTensor x;
  CHECK_FALSE(x.defined());
  CHECK(x.id() == 0);
  CHECK(failure([&] { (void)x.data<float>(); }).code == Error::uninitialised);
  CHECK(failure([&] { x.write<float>(); }).code == Error::uninitialised);
  CHECK(failure([&] { x.extents(); }).code == Error::uninitialised);
  CHECK(failure([&] { x.extent(0); }).code == Error::uninitialised);
  CHECK(failure([&] { x.size(); }).code == Error::uninitialised);
  CHECK(failure([&] { x.clone(); }).code == Error::uninitialised);
  CHECK(failure([&] { x.to_contiguous(); }).code == Error::uninitialised);
  CHECK(failure([&] { x.to(Dtype::f64); }).code == Error::uninitialised);
  CHECK(failure([&] { x.detach(); }).code == Error::uninitialised);
}

TEST_CASE("any_tensor: a clone shares memory under its own id until one side writes",
          "[tensor][any_tensor]") {
  AnyTensor x = counting(Extents{1, {4}}), y = x.clone();
  CHECK(y.id() != x.id());
  CHECK(y.raw() == x.raw());
  { y.write<float>()[0] = 9; }
  CHECK(first(x) == 0);
  CHECK(first(y) == 9);
  const void* memory = x.raw();
  { x.write<float>()[0] = 8; }
  CHECK(x.raw() == memory);
}

TEST_CASE("any_tensor: a view reads its base's memory; writing either leaves the other",
          "[tensor][any_tensor]") {
  AnyTensor x = counting(Extents{2, {2, 3}}), t = transposed(x);
  CHECK(t.id() != x.id());
  CHECK(t.raw() == x.raw());
  CHECK_FALSE(t.contiguous());
  { x.write<float>()(0, 1) = 50; }
  CHECK(t.data<float>()[t.stride(0)] == 1);
  {
    auto m = t.write<float>();
    CHECK(m(1, 0) == 1);
    CHECK(m(2, 1) == 5);
    m(1, 0) = 60;
  }
  CHECK(t.contiguous());
  CHECK(x.data<float>()[1] == 50);
  CHECK(t.data<float>()[2] == 60);
  // A view of a view that starts later; the base is gone.
  const Index stride[] = {2};
  AnyTensor odd = counting(Extents{1, {10}}).view(Extents{1, {5}}, stride, 1);
  AnyTensor part = odd.view(Extents{1, {2}}, stride, 1);
  CHECK(first(odd) == 1);
  CHECK(first(part) == 2);  // offsets count elements of memory
}

TEST_CASE("any_tensor: detach makes the only owner of contiguous memory, whatever it was before",
          "[tensor][any_tensor]") {
  const float foreign[6] = {0, 1, 2, 3, 4, 5};
  const Index zero[] = {0, 0};
  AnyTensor x = counting(Extents{2, {2, 3}});
  AnyTensor cases[] = {counting(Extents{2, {2, 3}}),
                       x,
                       x.clone(),
                       transposed(x),
                       transposed(counting(Extents{2, {2, 3}})),  // sole owner, but strided
                       counting(Extents{1, {1}}).view(Extents{2, {2, 2}}, zero, 0),
                       AnyTensor::adopt(Dtype::f32, Extents{2, {2, 3}}, foreign),
                       generated(10)};
  for (bool copy : {true, false})
    for (AnyTensor& c : cases) {
      AnyTensor before = c, mine = std::move(c);
      const AnyTensor expected = before.to_contiguous();
      if (!copy) before = AnyTensor();
      mine.detach(copy);
      CHECK(mine.contiguous());
      CHECK(mine.get()->references.load() == 1);
      CHECK(mine.get()->buffer->references.load() == 1);
      CHECK_FALSE(mine.get()->buffer->adopted);
      CHECK_FALSE(mine.get()->generated);
      CHECK(mine.id() != expected.id());
      CHECK(mine.extents() == expected.extents());
      if (copy)
        CHECK(std::memcmp(mine.raw(), expected.raw(), static_cast<std::size_t>(mine.size()) * 4) ==
              0);
      c = before;
      if (!copy) c = expected;
    }
}

TEST_CASE("any_tensor: adopted memory is read in place, never written, and released at the end",
          "[tensor][any_tensor]") {
  int released = 0;
  float data[3] = {1, 2, 3};
  auto release = [](void* context) { ++*static_cast<int*>(context); };
  {
    AnyTensor x = AnyTensor::adopt(Dtype::f32, Extents{1, {3}}, data, release, &released);
    CHECK(x.raw() == data);
    data[0] = 10;
    CHECK(first(x) == 10);
    AnyTensor y = x;
    { x.write<float>()[0] = 99; }
    CHECK(data[0] == 10);
    CHECK(first(x) == 99);
    CHECK(y.raw() == data);
    CHECK(released == 0);
  }
  CHECK(released == 1);
}

TEST_CASE("any_tensor: impossible extents are errors before any memory is asked for",
          "[tensor][any_tensor]") {
  auto empty = [](const Extents& e) { return failure([&] { AnyTensor::empty(Dtype::f64, e); }); };
  CHECK(empty(Extents{1, {-1}}).code == Error::shape);
  CHECK(empty(Extents{1, {INT64_MAX}}).code == Error::memory);
  CHECK(empty(Extents{3, {1 << 20, 1 << 20, 1 << 20}}).code == Error::memory);
  CHECK(empty(Extents{3, {0, Index{1} << 40, Index{1} << 40}}).code == Error::memory);
  CHECK(empty(Extents{3, {Index{1} << 40, Index{1} << 40, 0}}).code == Error::memory);
  CHECK(empty(Extents{2, {0, Index{1} << 40}}).code == 0);
  CHECK(AnyTensor::empty(Dtype::f32, Extents{8, {1, 1, 1, 1, 1, 1, 1, 2}}).size() == 2);
}

TEST_CASE("any_tensor: of a value of which only extents were kept, extents can be asked for",
          "[tensor][any_tensor]") {
  const AnyTensor x = counting(Extents{2, {2, 3}});
  AnyTensor v = AnyTensor::valueless(x);
  CHECK(v.extents() == x.extents());
  CHECK(v.id() == x.id());
  CHECK_FALSE(v.contiguous());
  CHECK(transposed(v).extents() == Extents{2, {3, 2}});
  CHECK(failure([&] { (void)v.data<float>(); }).code == Error::tape);
  CHECK(failure([&] { v.to_contiguous(); }).code == Error::tape);
  CHECK(failure([&] { v.to(Dtype::f64); }).code == Error::tape);
  CHECK(failure([&] { v.write<float>(); }).code == Error::tape);
}

TEST_CASE("any_tensor: host access asks the hook in force, with the record and the access",
          "[tensor][any_tensor]") {
  static int asked = 0;
  static const Record* record = nullptr;
  AnyTensor x = counting(Extents{1, {3}});
  Ambient mine;
  mine.host_access = [](const Record& r, const char*) { ++asked, record = &r; };
  {
    AttachAmbient attach(mine);
    (void)x.data<float>();
    CHECK(record == x.get());
    { x.write<float>()[0] = 1; }
    x.host_access("print");
  }
  (void)x.data<float>();
  CHECK(asked == 3);
}

TEST_CASE("any_tensor: threads copy, clone and drop one value", "[tensor][any_tensor]") {
  const auto live = memory::statistics().live;
  {
    const AnyTensor x = counting(Extents{1, {100}});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          AnyTensor y = x, z = y.clone();
          { z.write<float>()[1] = 5; }
          if (y.data<float>()[1] != 1) std::abort();
        }
      });
    for (std::thread& t : threads) t.join();
    CHECK(x.get()->references.load() == 1);
    CHECK(x.get()->buffer->references.load() == 1);
  }
  CHECK(memory::statistics().live == live);
}
