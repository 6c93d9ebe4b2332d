// SPDX-License-Identifier: Apache-2.0
#include <tenon/kernel/generated.hpp>
#include <tenon/tensor/copy.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

#include <vector>

using namespace tenon;

namespace {

// The position in memory, in elements, of element `i` in row-major order.
Index place(const Extents& e, const Index* strides, Index i) {
  Index at = 0;
  for (int a = e.rank - 1; a >= 0; --a) {
    at += i % e[a] * strides[a];
    i /= e[a];
  }
  return at;
}
// 0, 1, 2, ... as any dtype that holds them.
AnyTensor counting(Dtype d, Index n) {
  AnyTensor x = AnyTensor::empty(Dtype::i64, Extents{1, {n}});
  for (Index i = 0; i < n; ++i) static_cast<std::int64_t*>(x.raw_writable())[i] = i;
  return x.to(d);
}
struct Layout {
  Extents e;
  Index strides[max_rank] = {};
  Index offset;
};
const Layout layouts[] = {{{}, {}, 3},
                          {{1, {0}}, {1}, 0},
                          {{1, {100}}, {1}, 5},
                          {{1, {50}}, {-2}, 110},
                          {{1, {7}}, {0}, 9},
                          {{2, {5, 7}}, {1, 5}, 0},
                          {{2, {5, 7}}, {10, 1}, 3},
                          {{2, {3, 40}}, {0, 1}, 0},
                          {{2, {40, 3}}, {1, 0}, 0},
                          {{3, {2, 3, 4}}, {12, 4, 1}, 50},
                          {{3, {2, 3, 4}}, {1, 8, 2}, 0},
                          {{3, {1, 30, 1}}, {99, 2, 77}, 1},
                          {{3, {4, 1, 6}}, {6, -5, 1}, 2},
                          {{4, {2, 2, 3, 3}}, {-1, 40, -4, 12}, 50},
                          {{8, {2, 1, 2, 1, 2, 1, 2, 3}}, {1, 0, 2, 0, 4, 0, 8, 16}, 0},
                          {{3, {3, 0, 2}}, {1, 2, 3}, 0}};

}  // namespace

TEST_CASE("copy: a contiguous copy of any layout has its elements in row-major order",
          "[tensor][copy]") {
  for (int d = 0; d < dtype_count; ++d) {
    const Dtype dtype = static_cast<Dtype>(d);
    const AnyTensor base = counting(dtype, 120);
    const std::size_t bytes = size_of(dtype);
    const char* from = static_cast<const char*>(base.raw());
    for (const Layout& l : layouts) {
      const AnyTensor x = base.view(l.e, l.strides, l.offset), y = x.to_contiguous();
      REQUIRE(y.contiguous());
      REQUIRE(y.extents() == l.e);
      for (Index i = 0; i < l.e.size(); ++i)
        REQUIRE(
            std::memcmp(static_cast<const char*>(y.raw()) + static_cast<std::size_t>(i) * bytes,
                        from + (l.offset + place(l.e, l.strides, i)) * static_cast<Index>(bytes),
                        bytes) == 0);
    }
  }
}

TEST_CASE(
    "copy: a contiguous tensor is its own contiguous copy, and the same dtype its own conversion",
    "[tensor][copy]") {
  const AnyTensor x = counting(Dtype::f32, 10);
  CHECK(x.to_contiguous().id() == x.id());
  CHECK(x.to(Dtype::f32).id() == x.id());
}

TEST_CASE("copy: converting a view is converting its contiguous copy", "[tensor][copy]") {
  for (int s = 0; s < dtype_count; ++s)
    for (int t = 0; t < dtype_count; ++t) {
      const Dtype from = static_cast<Dtype>(s), to = static_cast<Dtype>(t);
      const AnyTensor base = counting(from, 120);
      for (const Layout& l : layouts) {
        const AnyTensor x = base.view(l.e, l.strides, l.offset), y = x.to(to);
        INFO(name_of(from) << " to " << name_of(to) << " " << to_string(l.e) << " offset "
                           << l.offset);
        REQUIRE(y.dtype() == to);
        REQUIRE(y.extents() == l.e);
        for (Index i = 0; i < l.e.size(); ++i) {
          Index expected = l.offset + place(l.e, l.strides, i);
          if (from == Dtype::boolean || to == Dtype::boolean) expected = expected != 0;
          const AnyTensor z = y.to(Dtype::i64).to_contiguous();
          REQUIRE(z.data<std::int64_t>()[i] == expected);
          if (i > 20) break;
        }
      }
    }
}

TEST_CASE("copy: a strided target receives each element at its place", "[tensor][copy]") {
  for (const Layout& l : layouts) {
    const AnyTensor source = counting(Dtype::i32, l.e.size());
    Index contiguous[max_rank];
    contiguous_strides(l.e, contiguous);
    bool overlaps = false;
    for (int a = 0; a < l.e.rank; ++a) overlaps = overlaps || (l.strides[a] == 0 && l.e[a] > 1);
    if (overlaps) continue;
    for (Dtype to : {Dtype::i32, Dtype::f32}) {
      AnyTensor target = AnyTensor::empty(to, Extents{1, {120}});
      std::memset(target.raw_writable(), 0xff, 480);
      char* t = static_cast<char*>(target.raw_writable()) + l.offset * 4;
      detail::copy_strided(l.e, Dtype::i32, source.raw(), contiguous, to, t, l.strides);
      const AnyTensor back = AnyTensor::adopt(to, Extents{1, {120}}, target.raw());
      const Index one[] = {1};
      Index touched = 0;
      for (Index i = 0; i < l.e.size(); ++i, ++touched) {
        const AnyTensor cell =
            back.view(Extents{1, {1}}, one, l.offset + place(l.e, l.strides, i)).to(Dtype::i64);
        REQUIRE(cell.data<std::int64_t>()[0] == i);
      }
      Index untouched = 0;
      for (Index i = 0; i < 120; ++i) {
        std::uint32_t word;
        std::memcpy(&word, static_cast<const char*>(target.raw()) + 4 * i, 4);
        untouched += word == 0xffffffffu;
      }
      CHECK(touched + untouched == 120);
    }
  }
}

TEST_CASE("copy: random numbers that were not yet made are made by a copy", "[tensor][copy]") {
  for (Dtype d : {Dtype::f32, Dtype::f64}) {
    AnyTensor x = AnyTensor::own(Record::create());
    Record& r = *x.get();
    r.dtype = d;
    r.rank = 2;
    r.extents[0] = 10, r.extents[1] = 33;
    r.generated = true;
    const detail::GeneratedKey key{1, 2, 3, 4, kernel::detail::fill_uniform_leaf};
    std::memcpy(r.strides, &key, sizeof key);
    CHECK_FALSE(x.contiguous());
    AnyTensor expected = AnyTensor::empty(d, Extents{2, {10, 33}});
    if (d == Dtype::f32)
      fill_uniform(RandomKey{1, 2, 3, 4}, 0, 330, static_cast<float*>(expected.raw_writable()));
    else fill_uniform(RandomKey{1, 2, 3, 4}, 0, 330, static_cast<double*>(expected.raw_writable()));
    auto same = [&](const AnyTensor& a, const AnyTensor& b) {
      return a.extents() == b.extents() && a.dtype() == b.dtype() &&
             std::memcmp(a.raw(), b.raw(),
                         static_cast<std::size_t>(a.size()) * size_of(a.dtype())) == 0;
    };
    CHECK(same(x.to_contiguous(), expected));
    CHECK(same(x.to(Dtype::f16), expected.to(Dtype::f16)));
    CHECK(tests::failure([&] {
            d == Dtype::f32 ? (void)x.data<float>() : (void)x.data<double>();
          }).code == Error::tape);
    AnyTensor y = x;
    y.detach();
    CHECK(same(y, expected));
    CHECK(x.get()->generated);
  }
}
