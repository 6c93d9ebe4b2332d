// SPDX-License-Identifier: Apache-2.0
#include <tenon/io/idx.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

#include <cmath>

using namespace tenon;
using tests::bytes, tests::failure, tests::get, tests::put;

namespace idx_test {

namespace {

AnyTensor read(const tests::TemporaryFolder& folder, const std::string& contents) {
  put(folder / "a", contents);
  return io::read_idx(folder / "a");
}
template <class T>
std::vector<T> elements(const AnyTensor& x) {
  return std::vector<T>(x.data<T>(), x.data<T>() + x.size());
}
std::string pack(const tests::TemporaryFolder& folder, const std::string& text) {
  io::AtomicFile file(folder / "packed");
  io::GzipWriter writer(file);
  writer.write(text.data(), text.size());
  writer.finish();
  file.commit();
  return get(folder / "packed");
}
// 2 x 3 of u8.
const std::string small = bytes("\0\0\x08\x02\0\0\0\2\0\0\0\3abcdef");

}  // namespace

TEST_CASE("idx: each element type is read in big-endian order", "[io][idx]") {
  tests::TemporaryFolder folder;
  const AnyTensor u8 = read(folder, small);
  CHECK(u8.extents() == Extents{2, {2, 3}});
  CHECK(elements<std::uint8_t>(u8) == std::vector<std::uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'});
  using I = std::vector<std::int32_t>;
  CHECK(elements<std::int32_t>(read(folder, bytes("\0\0\x09\1\0\0\0\3\x80\xff\x7f"))) ==
        I{-128, -1, 127});
  CHECK(elements<std::int32_t>(read(folder, bytes("\0\0\x0b\1\0\0\0\3\x80\0\xff\xfe\1\2"))) ==
        I{-32768, -2, 258});
  CHECK(elements<std::int32_t>(read(folder, bytes("\0\0\x0c\1\0\0\0\2\x80\0\0\0\1\2\3\4"))) ==
        I{INT32_MIN, 0x01020304});
  CHECK(elements<float>(read(folder, bytes("\0\0\x0d\1\0\0\0\2\x3f\xc0\0\0\xff\x80\0\0"))) ==
        std::vector<float>{1.5f, -INFINITY});
  CHECK(
      elements<double>(read(folder, bytes("\0\0\x0e\1\0\0\0\1\xc0\x09\x21\xfb\x54\x44\x2d\x18"))) ==
      std::vector<double>{-M_PI});
}

TEST_CASE("idx: rank 0, rank 8 and extents 0 are tensors too", "[io][idx]") {
  tests::TemporaryFolder folder;
  CHECK(read(folder, bytes("\0\0\x08\0x")).rank() == 0);
  std::string deep = bytes("\0\0\x08\x08");
  for (int i = 0; i < 8; ++i) deep += bytes("\0\0\0\1");
  CHECK(read(folder, deep + "x").rank() == 8);
  const AnyTensor none = read(folder, bytes("\0\0\x0d\2\0\0\0\0\0\0\0\5"));
  CHECK(none.extents() == Extents{2, {0, 5}});
}

TEST_CASE("idx: reading what was written gives the same tensor, packed or not", "[io][idx]") {
  tests::TemporaryFolder folder;
  for (Dtype d : {Dtype::u8, Dtype::i32, Dtype::f32, Dtype::f64})
    for (const char* name : {"a", "a.gz"}) {
      INFO(name_of(d) << " " << name);
      AnyTensor x = AnyTensor::empty(Dtype::f64, Extents{3, {5, 7, 1001}});
      auto* p = static_cast<double*>(x.raw_writable());
      for (Index i = 0; i < x.size(); ++i) p[i] = static_cast<double>(i % 251);
      x = x.to(d);
      const Index strides[] = {1001, 5 * 1001, 1};
      const AnyTensor view = x.view(Extents{3, {7, 5, 1001}}, strides, 0);  // not contiguous
      for (const AnyTensor& t : {x, view}) {
        io::write_idx(folder / name, t);
        const AnyTensor y = io::read_idx(folder / name), c = t.to_contiguous();
        CHECK(y.extents() == t.extents());
        REQUIRE(y.dtype() == d);
        CHECK(std::memcmp(y.raw(), c.raw(), static_cast<std::size_t>(x.size()) * size_of(d)) == 0);
      }
    }
  CHECK(get(folder / "a.gz").substr(0, 2) == "\x1f\x8b");
  CHECK(folder.entries() == 2);
  AnyTensor wrong = AnyTensor::empty(Dtype::i64, Extents{1, {2}});
  CHECK(failure([&] { io::write_idx(folder / "a", wrong); }).code == Error::dtype);
  CHECK(failure([&] { io::write_idx(folder / "a", AnyTensor()); }).code == Error::uninitialised);
}

TEST_CASE("idx: a bad file is an error that names file and offset", "[io][idx]") {
  struct Bad {
    const char* what;
    std::string contents;
    const char* words;
  };
  const Bad table[] = {
      {"empty", "", "offset 0: magic number"},
      {"magic cut", bytes("\0\0\x08"), "offset 0: magic number"},
      {"not idx", "P5 28 28", "offset 0: not an idx file"},
      {"unknown type", bytes("\0\0\x0a\1\0\0\0\1x"), "offset 2: unknown type 10"},
      {"rank 9", bytes("\0\0\x08\x09"), "offset 3: rank 9"},
      {"rank 255", bytes("\0\0\x08\xff"), "offset 3: rank 255"},
      {"extents cut", bytes("\0\0\x08\2\0\0\0\2\0\0"), "offset 4: extents"},
      {"one byte short", small.substr(0, small.size() - 1), "[2, 3] announce 6 bytes"},
      {"one byte more", small + "x", "the file holds 7"},
      {"promises 4 GB", bytes("\0\0\x08\1\xff\xff\xff\xffx"), "announce 4294967295 bytes"},
      {"promises 2^45 doubles", bytes("\0\0\x0e\2\0\x80\0\0\0\x40\0\0x"), "announce"},
      {"product overflows", bytes("\0\0\x08\3\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\3x"),
       "offset 4: extents overflow"},
      {"product is 0 modulo 2^64", bytes("\0\0\x08\2\x80\0\0\0\x80\0\0\0"), "extents overflow"},
      {"overflow beside a 0",
       bytes("\0\0\x08\4\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
       "extents overflow"}};
  tests::TemporaryFolder folder;
  memory::reset_peak();
  const auto before = memory::statistics().live;
  for (const Bad& bad : table)
    for (bool packed : {false, true}) {
      if (packed && bad.contents.empty()) continue;
      INFO(bad.what << (packed ? " packed" : ""));
      const std::string contents = packed ? pack(folder, bad.contents) : bad.contents;
      auto f = failure([&] { read(folder, contents); });
      CHECK(f.code == Error::format);
      CHECK_THAT(f.text, ContainsSubstring("tenon::read_idx: " + (folder / "a") + ", offset "));
      if (!packed) CHECK_THAT(f.text, ContainsSubstring(bad.words));
    }
  CHECK(memory::statistics().peak - before < 100000);
  CHECK(failure([&] { io::read_idx(folder / "none.gz"); }).code == Error::file);
}

TEST_CASE("idx: cut at any byte, plain or packed, it is an error", "[io][idx]") {
  tests::TemporaryFolder folder;
  const std::string packed = pack(folder, small);
  for (std::size_t n = 0; n < small.size(); ++n)
    CHECK(failure([&] { read(folder, small.substr(0, n)); }).code == Error::format);
  for (std::size_t n = 0; n < packed.size(); ++n)
    CHECK(failure([&] { read(folder, packed.substr(0, n)); }).code == Error::format);
  CHECK(failure([&] { read(folder, packed + "x"); }).code == Error::format);
  CHECK(failure([&] { read(folder, packed + packed); }).code == Error::format);
}

TEST_CASE("idx: any changed byte gives an error or a tensor of what is there", "[io][idx][fuzz]") {
  tests::TemporaryFolder folder;
  const std::string packed = pack(folder, small);
  for (const std::string& whole : {small, packed})
    for (std::size_t i = 0; i < whole.size(); ++i)
      for (int change : {1, 2, 4, 8, 0x10, 0x80, 0xff}) {
        std::string changed = whole;
        changed[i] = static_cast<char>(changed[i] ^ change);
        INFO("byte " << i << " change " << change);
        AnyTensor x;
        auto f = failure([&] { x = read(folder, changed); });
        if (f.code == 0)
          CHECK(static_cast<std::size_t>(x.size()) * size_of(x.dtype()) <= 4 * small.size());
        else CHECK(f.code == Error::format);
      }
}

}  // namespace idx_test
