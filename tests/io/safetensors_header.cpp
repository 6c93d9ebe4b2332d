// SPDX-License-Identifier: Apache-2.0
#include <tenon/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace tenon;
using tests::failure, tests::get, tests::put;

namespace {

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string text(8, '\0');
  std::memcpy(text.data(), &length, 8);
  return text + rest;
}
std::string contents(const std::string& header, std::size_t data = 0) {
  return with_length(header.size(), header + std::string(data, '\1'));
}
// Opens the file and reads all that is in it.
std::size_t read_all(const std::string& path) {
  const io::SafetensorsFile file(path);
  std::size_t bytes = 0;
  for (const std::string& name : file.names()) {
    const AnyTensor x = file.tensor(name);
    bytes += static_cast<std::size_t>(x.size()) * size_of(x.dtype());
  }
  return bytes;
}
std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}
std::string f32(const std::string& shape, const std::string& offsets) {
  return "{" + entry("w", "F32", shape, offsets) + "}";
}
std::string repeated(const char* text, int n) {
  std::string all;
  for (int i = 0; i < n; ++i) all += text;
  return all;
}

struct Bad {
  const char* what;
  std::string contents;
  const char* words;
};

}  // namespace

TEST_CASE("safetensors header: unusual but right ones are read", "[io][safetensors]") {
  tests::TemporaryFolder folder;
  const std::string good[] = {
      contents("{}"),
      contents("{}      "),
      contents("{\"__metadata__\":{}}"),
      contents(" {\n}").replace(8, 1, "{").replace(9, 1, " "),
      contents(
          "{" + entry("b", "U8", "[2]", "[4,6]") + "," + entry("a", "F32", "[]", "[0,4]") + "}", 6),
      contents("{" + entry("a", "F32", "[0]", "[4,4]") + "," + entry("b", "F32", "[1]", "[0,4]") +
                   "," + entry("c", "F32", "[0,7]", "[0,0]") + "}",
               4),
      contents("{\"w\" : { \"data_offsets\" : [ 0 , 4 ] , \"shape\":[1],\"dtype\":\"F32\"} }", 4)};
  for (const std::string& text : good) {
    INFO(text.substr(8));
    put(folder / "a", text);
    auto f = failure([&] { read_all(folder / "a"); });
    CHECK(f.text == "");
  }
}

TEST_CASE("safetensors header: a bad one is an error that names the file and the offset or tensor",
          "[io][safetensors]") {
  const std::string two = entry("a", "U8", "[4]", "[0,4]") + ",";
  const Bad table[] = {
      {"empty", "", "offset 0: not a safetensors file"},
      {"cut in the length", std::string(7, '\1'), "offset 0: not a safetensors file"},
      {"length of 2^64 - 1", with_length(~0ull, "{}"), "offset 0: a header of 1844674407370955161"},
      {"length that wraps around", with_length(~0ull - 7, "{}"), "offset 0: a header of"},
      {"longer than the file", with_length(3, "{}"), "a header of 3 bytes in a file of 10"},
      {"above the limit", with_length(100'000'001, "{}"), "a header of 100000001"},
      {"no header", with_length(0, ""), "offset 8: the header must begin with {"},
      {"not JSON", contents("hello"), "offset 8: the header must begin with {"},
      {"a list", contents("[]"), "offset 8: the header must begin with {"},
      {"a space first", contents(" {}"), "offset 8: the header must begin with {"},
      {"a byte order mark", contents("\xef\xbb\xbf{}"), "offset 8"},
      {"open", contents("{"), "the header is not JSON"},
      {"comma at the end", contents(f32("[1]", "[0,4]").insert(1, ",")), "offset 9: the header"},
      {"text behind", contents("{}x"), "offset 10: the header is not JSON"},
      {"zeros behind", contents("{}" + std::string(2, '\0')), "offset 10: the header is not JSON"},
      {"comment", contents("{/**/}"), "not JSON"},
      {"200,000 objects deep", contents(repeated("{\"a\":", 200000)), "unknown field \"a\""},
      {"200,000 lists deep", contents("{\"a\":" + repeated("[", 200000)), "tensor \"a\" must be"},
      {"deep inside a field", contents("{\"w\":{\"dtype\":" + repeated("{\"a\":", 200000)),
       "an object in the wrong place"},
      {"deep inside a shape", contents(f32(repeated("[", 200000), "[0,4]")),
       "an array in the wrong"},
      {"deep in the metadata", contents("{\"__metadata__\":{\"k\":" + repeated("[", 200000)),
       "must hold texts"},
      {"not UTF-8 in a name", contents("{\"\xff\":1}"), "not JSON in UTF-8"},
      {"an overlong UTF-8 form", contents("{\"\xc0\xaf\":1}"), "not JSON in UTF-8"},
      {"half a surrogate", contents("{\"\\ud800\":1}"), "not JSON in UTF-8"},
      {"metadata a number", contents("{\"__metadata__\":1}"), "\"__metadata__\" must hold texts"},
      {"metadata null", contents("{\"__metadata__\":null}"), "\"__metadata__\" must hold texts"},
      {"metadata text a number", contents("{\"__metadata__\":{\"a\":1}}"),
       "must hold texts, has a"},
      {"metadata text an object", contents("{\"__metadata__\":{\"a\":{}}}"), "must hold texts"},
      {"metadata twice", contents("{\"__metadata__\":{},\"__metadata__\":{}}"), "occurs twice"},
      {"metadata key twice", contents("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}"),
       "two texts \"a\""},
      {"tensor a number", contents("{\"w\":1}"), "tensor \"w\" must be an object, is a number"},
      {"tensor a list", contents("{\"w\":[]}"), "tensor \"w\" must be an object, is an array"},
      {"tensor null", contents("{\"w\":null}"), "tensor \"w\" must be an object"},
      {"tensor empty", contents("{\"w\":{}}"), "tensor \"w\" lacks dtype"},
      {"no offsets", contents("{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4),
       "lacks dtype, shape or"},
      {"another field", contents("{\"w\":{\"x\":[]}}"), "unknown field \"x\""},
      {"a field twice", contents("{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}"),
       "two fields \"dtype\""},
      {"unknown dtype", contents("{" + entry("w", "F33", "[1]", "[0,4]") + "}", 4),
       "dtype \"F33\""},
      {"dtype in small letters", contents("{" + entry("w", "f32", "[1]", "[0,4]") + "}", 4),
       "\"f32\""},
      {"dtype a number", contents("{\"w\":{\"dtype\":1}}"), "tensor \"w\" has a number"},
      {"shape a number", contents(f32("4", "[0,4]"), 4), "tensor \"w\" has a number"},
      {"shape of texts", contents(f32("[\"4\"]", "[0,4]"), 4), "tensor \"w\" has a string"},
      {"negative extent", contents(f32("[-1]", "[0,4]"), 4), "tensor \"w\" has a negative number"},
      {"fraction as extent", contents(f32("[1.0]", "[0,4]"), 4), "that is no integer"},
      {"extent of 2^64", contents(f32("[18446744073709551616]", "[0,4]"), 4), "no integer"},
      {"extent of 2^63", contents(f32("[9223372036854775808]", "[0,4]"), 4), "has the extent"},
      {"nine axes", contents(f32("[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), "more than 8 axes"},
      {"overflowing extents", contents(f32("[4294967296,4294967296]", "[0,0]")), "overflow"},
      {"overflow beside a 0", contents(f32("[0,4294967296,4294967296]", "[0,0]")), "overflow"},
      {"promises 2^60 bytes", contents(f32("[288230376151711744]", "[0,1152921504606846976]"), 4),
       "ends at 1152921504606846976 of 4 bytes"},
      {"one offset", contents(f32("[1]", "[4]"), 4), "needs two data_offsets"},
      {"three offsets", contents(f32("[1]", "[0,4,8]"), 4), "tensor \"w\" has a number"},
      {"reversed offsets", contents(f32("[1]", "[4,0]"), 4), "ends at 0, before it begins"},
      {"negative offset", contents(f32("[1]", "[-4,0]"), 4), "a negative number"},
      {"past the end", contents(f32("[2]", "[0,8]"), 4), "ends at 8 of 4 bytes"},
      {"far past the end", contents(f32("[1]", "[18446744073709551608,18446744073709551612]"), 4),
       "of 4 bytes"},
      {"too few bytes", contents(f32("[2]", "[0,4]"), 4), "has 4 bytes, F32 [2] needs 8"},
      {"too many bytes", contents(f32("[1]", "[0,8]"), 8), "has 8 bytes, F32 [1] needs 4"},
      {"overlap", contents("{" + two + entry("b", "U8", "[4]", "[2,6]") + "}", 6),
       "\"b\" overlaps"},
      {"the same bytes", contents("{" + two + entry("b", "U8", "[4]", "[0,4]") + "}", 4),
       "overlaps"},
      {"a hole", contents("{" + two + entry("b", "U8", "[4]", "[5,9]") + "}", 9),
       "\"b\" leaves a gap"},
      {"a hole in front", contents(f32("[1]", "[4,8]"), 8), "\"w\" leaves a gap"},
      {"bytes behind", contents(f32("[1]", "[0,4]"), 5), "1 bytes belong to no tensor"},
      {"bytes of nobody", contents("{}", 1), "offset 10: 1 bytes belong to no tensor"},
      {"a name twice", contents("{" + two + entry("a", "U8", "[4]", "[4,8]") + "}", 8),
       "two tensors are named \"a\""}};
  tests::TemporaryFolder folder;
  memory::reset_peak();
  const auto before = memory::statistics().live;
  for (const Bad& bad : table) {
    INFO(bad.what);
    put(folder / "a", bad.contents);
    auto f = failure([&] { read_all(folder / "a"); });
    CHECK(f.code == Error::format);
    CHECK_THAT(f.text, ContainsSubstring("tenon::safetensors: " + (folder / "a")));
    CHECK_THAT(f.text, ContainsSubstring(bad.words));
    CHECK(f.text.size() < 1000);
  }
  CHECK(memory::statistics().peak - before < 10000);
}

TEST_CASE("safetensors header: a BOOL that is neither 0 nor 1 is an error with its offset",
          "[io][safetensors]") {
  tests::TemporaryFolder folder;
  std::string text = contents("{" + entry("mask", "BOOL", "[3]", "[0,3]") + "}", 3);
  put(folder / "a", text);
  CHECK(read_all(folder / "a") == 3);
  text.back() = '\2';
  put(folder / "a", text);
  auto f = failure([&] { read_all(folder / "a"); });
  CHECK(f.code == Error::format);
  CHECK_THAT(f.text, ContainsSubstring("offset " + std::to_string(text.size() - 1) + ": a BOOL"));
}

TEST_CASE(
    "safetensors header: cut anywhere it is an error; any changed byte gives an error or "
    "tensors of the file's size",
    "[io][safetensors][fuzz]") {
  tests::TemporaryFolder folder;
  AnyTensor x = AnyTensor::empty(Dtype::f32, Extents{2, {2, 3}}), y = x.to(Dtype::boolean);
  std::memset(x.raw_writable(), 0, 24);
  std::memset(y.raw_writable(), 1, 6);
  const io::NamedTensor all[] = {{"fc.weight", x}, {"mask", y}};
  io::save_safetensors(folder / "good", all, {{"epoch", "3"}});
  const std::string whole = get(folder / "good");
  CHECK(read_all(folder / "good") == 30);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    put(folder / "a", whole.substr(0, n));
    CHECK(failure([&] { read_all(folder / "a"); }).code == Error::format);
  }
  int errors = 0, changes = 0;
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (int change : {1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ change);
      INFO("byte " << i << " change " << change);
      put(folder / "a", changed);
      std::size_t bytes = 0;
      auto f = failure([&] { bytes = read_all(folder / "a"); });
      if (f.code == 0) CHECK(bytes == 30);
      else CHECK((f.code == Error::format || f.code == Error::dtype));
      errors += f.code != 0;
      ++changes;
    }
  // Names, texts and elements may be anything; the rest of the header may not.
  CHECK(errors > changes / 3);
  CHECK(errors < changes);
}
