// SPDX-License-Identifier: Apache-2.0
#include <tenon/io/gzip.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tenon;
using tests::failure, tests::get, tests::put;

namespace {

const std::string plain = "the quick brown fox jumps over the lazy dog, the quick brown fox";
// Made by Python: gzip.compress(plain, 9, mtime=0).
const std::string packed = tests::bytes(
    "\037\213\010\000\000\000\000\000\002\003+\311HU(,\315L\316VH*\312/\317SH\313\257P\310*\315"
    "-(V\310/K-R(\001J\347$VU*\244\344\247\353\200yh\212\001\035\304\264\264@\000\000\000");

std::string unpack(const tests::TemporaryFolder& folder, const std::string& bytes,
                   std::uint64_t limit = 1 << 20) {
  put(folder / "a", bytes);
  return io::read_gzip(folder / "a", limit);
}
std::string pack(const tests::TemporaryFolder& folder, const std::string& text) {
  io::AtomicFile file(folder / "packed");
  io::GzipWriter writer(file);
  writer.write(text.data(), text.size());
  writer.finish();
  file.commit();
  return get(folder / "packed");
}

}  // namespace

TEST_CASE("gzip: packed, plain and joined files give their contents", "[io][gzip]") {
  tests::TemporaryFolder folder;
  CHECK(unpack(folder, packed) == plain);
  CHECK(unpack(folder, plain) == plain);
  CHECK(unpack(folder, "").empty());
  CHECK(unpack(folder, "\037") == "\037");
  CHECK(unpack(folder, packed + packed) == plain + plain);
}

TEST_CASE("gzip: what another program's zlib reads back is what was written", "[io][gzip]") {
  tests::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 300000; ++i) text += static_cast<char>(i % 509 * (i % 251));
  for (const std::string& t : {text, std::string(), std::string(1 << 20, '\0')}) {
    const std::string bytes = pack(folder, t);
    CHECK((unpack(folder, bytes, t.size()) == t));
    gzFile file = ::gzopen((folder / "packed").c_str(), "rb");
    REQUIRE(file);
    std::string other(t.size() + 1, '\0');
    CHECK(::gzread(file, other.data(), static_cast<unsigned>(other.size())) ==
          static_cast<int>(t.size()));
    ::gzclose(file);
    other.pop_back();
    CHECK((other == t));
  }
}

TEST_CASE("gzip: a file cut at any byte is an error that names file and offset", "[io][gzip]") {
  tests::TemporaryFolder folder;
  for (std::size_t n = 2; n < packed.size(); ++n) {
    INFO(n);
    auto f = failure([&] { unpack(folder, packed.substr(0, n)); });
    CHECK(f.code == Error::format);
    CHECK_THAT(f.text, ContainsSubstring((folder / "a") + ", offset " + std::to_string(n) +
                                         ": gzip: cut off"));
    CHECK(failure([&] { unpack(folder, packed + packed.substr(0, n)); }).code == Error::format);
  }
}

TEST_CASE("gzip: a flipped bit gives an error or leaves the contents as they were",
          "[io][gzip][fuzz]") {
  tests::TemporaryFolder folder;
  int errors = 0;
  for (std::size_t i = 2; i < packed.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = packed, text;
      bytes[i] = static_cast<char>(bytes[i] ^ 1 << bit);
      INFO("byte " << i << " bit " << bit);
      auto f = failure([&] { text = unpack(folder, bytes); });
      if (f.code == 0) CHECK(text == plain);
      else CHECK(f.code == Error::format);
      errors += f.code != 0;
    }
  // Nothing protects time, system and extra flags: 6 bytes; all data and both checks are protected.
  CHECK(errors >= static_cast<int>(packed.size() - 10) * 8);
}

TEST_CASE("gzip: wrong checksum, wrong length, and bytes behind the end", "[io][gzip]") {
  tests::TemporaryFolder folder;
  std::string crc = packed, length = packed;
  crc[packed.size() - 8] = static_cast<char>(crc[packed.size() - 8] ^ 1);
  length[packed.size() - 1] = 1;
  CHECK_THAT(failure([&] { unpack(folder, crc); }).text, ContainsSubstring("incorrect data check"));
  CHECK_THAT(failure([&] { unpack(folder, length); }).text,
             ContainsSubstring("incorrect length check"));
  CHECK_THAT(failure([&] { unpack(folder, packed + "rest"); }).text,
             ContainsSubstring("offset " + std::to_string(packed.size())) &&
                 ContainsSubstring("no gzip member"));
  CHECK(failure([&] { unpack(folder, packed + std::string(512, '\0')); }).code == Error::format);
}

TEST_CASE("gzip: what unpacks to more than the caller expects ends there", "[io][gzip]") {
  tests::TemporaryFolder folder;
  const std::string bomb = pack(folder, std::string(std::size_t{64} << 20, '\0'));
  CHECK(bomb.size() < 100000);
  auto f = failure([&] { unpack(folder, bomb, 1000000); });
  CHECK(f.code == Error::format);
  CHECK_THAT(f.text, ContainsSubstring("more than 1000000 bytes"));
  // deflate's own limit, on which io::GzipReader::most() relies.
  io::File file(folder / "packed");
  CHECK(io::GzipReader(file).most() >= std::uint64_t{64} << 20);

  put(folder / "a", packed);
  io::File small(folder / "a", "some_reader");
  io::GzipReader reader(small);
  std::string text(plain.size(), '\0');
  reader.read(text.data(), 10, "head");
  CHECK(reader.offset() == 10);
  auto g = failure([&] { reader.expect_end(); });
  CHECK_THAT(g.text, ContainsSubstring("tenon::some_reader: ") && ContainsSubstring("offset 10"));
  auto h = failure([&] { reader.read(text.data(), text.size(), "elements"); });
  CHECK(h.code == Error::format);
  CHECK_THAT(h.text, ContainsSubstring("elements (offsets are unpacked)"));
}
