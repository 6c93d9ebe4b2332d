// SPDX-License-Identifier: Apache-2.0
#include <tenon/io/safetensors.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

#include <thread>

using namespace tenon;
using io::NamedTensor, io::SafetensorsFile, io::save_safetensors;
using tests::failure, tests::get, tests::put;

namespace safetensors_test {

namespace {

// Written by the Python package safetensors 0.6 from NumPy arrays.
const std::string reference = tests::bytes(
    "\340\001\000\000\000\000\000\000{\"__metadata__\":{\"made by\":\"numpy\"},\"n\":{\"dtype\""
    ":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},\"b\":{\"dtype\":\"F64\",\"shape\":[2],\"d"
    "ata_offsets\":[16,32]},\"e\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[32,32]},"
    "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[32,56]},\"i\":{\"dtype\":\"I32"
    "\",\"shape\":[],\"data_offsets\":[56,60]},\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_of"
    "fsets\":[60,64]},\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[64,67]},\"t\":{\""
    "dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[67,70]}}  \377\377\377\377\377\377\377"
    "\377\000\000\000\000\000\001\000\000\232\231\231\231\231\231\271?\000\000\000\000\000\000"
    "\034\300\000\000\300?\000\000\000\300\000\000@@\000\000\200@\000\000\240@\246\233\304;\373"
    "\377\377\377\000>\000\264\000\377\007\001\000\001");

template <class T>
std::vector<T> elements(const AnyTensor& x) {
  return std::vector<T>(x.data<T>(), x.data<T>() + x.size());
}
// Elements 0, 1, 2, ... of any dtype; 0 and 1 where it is bool.
AnyTensor counting(Dtype d, const Extents& e) {
  AnyTensor x = AnyTensor::empty(Dtype::i64, e);
  auto* p = static_cast<std::int64_t*>(x.raw_writable());
  for (Index i = 0; i < x.size(); ++i) p[i] = d == Dtype::boolean ? i % 2 : i % 100;
  return x.to(d);
}
bool same(const AnyTensor& a, const AnyTensor& b) {
  const AnyTensor x = a.to_contiguous(), y = b.to_contiguous();
  return x.dtype() == y.dtype() && x.extents() == y.extents() &&
         (x.size() == 0 ||
          std::memcmp(x.raw(), y.raw(), static_cast<std::size_t>(x.size()) * size_of(x.dtype())) ==
              0);
}

}  // namespace

TEST_CASE("safetensors: a file of the reference implementation is read", "[io][safetensors]") {
  tests::TemporaryFolder folder;
  put(folder / "a", reference);
  const SafetensorsFile file(folder / "a");
  CHECK(file.names() == std::vector<std::string>{"n", "b", "e", "w", "i", "h", "u", "t"});
  CHECK(file.metadata() == std::map<std::string, std::string>{{"made by", "numpy"}});
  CHECK(elements<std::int64_t>(file.tensor("n")) == std::vector<std::int64_t>{-1, 1ll << 40});
  CHECK(elements<double>(file.tensor("b")) == std::vector<double>{0.1, -7});
  CHECK(file.tensor("e").extents() == Extents{2, {0, 3}});
  CHECK(file.extents("w") == Extents{2, {2, 3}});
  CHECK(file.dtype("w") == Dtype::f32);
  CHECK(elements<float>(file.tensor("w")) == std::vector<float>{1.5f, -2, 3, 4, 5, 6e-3f});
  CHECK(file.tensor("i").rank() == 0);
  CHECK(elements<std::int32_t>(file.tensor("i")) == std::vector<std::int32_t>{-5});
  CHECK(elements<float>(file.tensor("h").to(Dtype::f32)) == std::vector<float>{1.5f, -0.25f});
  CHECK(elements<std::uint8_t>(file.tensor("u")) == std::vector<std::uint8_t>{0, 255, 7});
  CHECK(elements<bool>(file.tensor("t")) == std::vector<bool>{true, false, true});
  CHECK(file.contains("t"));
  CHECK_FALSE(file.contains("__metadata__"));
}

TEST_CASE("safetensors: a missing tensor and a dtype that no tensor has are errors",
          "[io][safetensors]") {
  tests::TemporaryFolder folder;
  put(folder / "a", reference);
  const SafetensorsFile file(folder / "a");
  auto f = failure([&] { file.tensor("weight"); });
  CHECK(f.code == Error::format);
  CHECK_THAT(f.text, ContainsSubstring((folder / "a") + ": holds no tensor \"weight\""));
  std::string other = reference;
  other.replace(other.find("\"I32\""), 5, "\"U32\"");
  put(folder / "b", other);
  const SafetensorsFile unsigned_file(folder / "b");
  CHECK(unsigned_file.type_name("i") == std::string("U32"));
  CHECK(unsigned_file.tensor("w").size() == 6);
  f = failure([&] { unsigned_file.tensor("i"); });
  CHECK(f.code == Error::dtype);
  CHECK_THAT(f.text, ContainsSubstring("\"i\" holds U32"));
  CHECK(failure([&] { SafetensorsFile none(folder / "none"); }).code == Error::file);
}

TEST_CASE("safetensors: reading what was saved gives the same tensors, names and texts",
          "[io][safetensors]") {
  tests::TemporaryFolder folder;
  std::vector<NamedTensor> all;
  for (int d = 0; d < dtype_count; ++d) {
    const Dtype dtype = static_cast<Dtype>(d);
    all.push_back({std::string(name_of(dtype)) + ".cube", counting(dtype, Extents{3, {3, 5, 7}})});
    all.push_back({std::string(name_of(dtype)) + ".none", counting(dtype, Extents{2, {4, 0}})});
    all.push_back({std::string(name_of(dtype)) + ".scalar", counting(dtype, Extents{})});
    all.push_back({std::string(name_of(dtype)) + ".deep",
                   counting(dtype, Extents{8, {1, 2, 1, 2, 1, 2, 1, 3}})});
  }
  all.push_back({"", counting(Dtype::f32, Extents{1, {2}})});
  all.push_back({"quote \" backslash \\ newline \n zero \x01 umlaut \xc3\xa4",
                 counting(Dtype::u8, Extents{1, {3}})});
  const std::map<std::string, std::string> texts{{"a\"b", "{\"epoch\": 3}"}, {"", "\xe2\x82\xac"}};
  save_safetensors(folder / "a", all, texts);
  const SafetensorsFile file(folder / "a");
  CHECK(file.names().size() == all.size());
  CHECK(file.metadata() == texts);
  for (const NamedTensor& t : all) {
    INFO(t.name);
    CHECK(same(file.tensor(t.name), t.tensor));
  }
  CHECK(folder.entries() == 1);
}

TEST_CASE("safetensors: views are written in their logical order", "[io][safetensors]") {
  tests::TemporaryFolder folder;
  const AnyTensor x = counting(Dtype::f32, Extents{2, {4, 6}});
  const Index transposed[] = {1, 6}, backwards[] = {-6, 2}, repeated[] = {0, 1};
  const NamedTensor all[] = {{"transposed", x.view(Extents{2, {6, 4}}, transposed, 0)},
                             {"backwards", x.view(Extents{2, {4, 3}}, backwards, 18)},
                             {"repeated", x.view(Extents{2, {3, 6}}, repeated, 6)},
                             {"x", x}};
  save_safetensors(folder / "a", all);
  const SafetensorsFile file(folder / "a");
  for (const NamedTensor& t : all) CHECK(same(file.tensor(t.name), t.tensor));
  CHECK(elements<float>(file.tensor("backwards")) ==
        std::vector<float>{18, 20, 22, 12, 14, 16, 6, 8, 10, 0, 2, 4});
}

TEST_CASE("safetensors: every tensor lies at a multiple of its element's size",
          "[io][safetensors]") {
  tests::TemporaryFolder folder;
  for (int length = 1; length < 10; ++length) {
    const NamedTensor all[] = {
        {std::string(static_cast<std::size_t>(length), 'n'), counting(Dtype::u8, Extents{1, {3}})},
        {"half", counting(Dtype::bf16, Extents{1, {3}})},
        {"double", counting(Dtype::f64, Extents{1, {1}})}};
    save_safetensors(folder / "a", all);
    const std::string contents = get(folder / "a");
    std::uint64_t header = 0;
    std::memcpy(&header, contents.data(), 8);
    CHECK(header % 8 == 0);
    CHECK(contents[8] == '{');
    CHECK(SafetensorsFile(folder / "a").names() ==
          std::vector<std::string>{"double", "half", all[0].name});
  }
}

TEST_CASE("safetensors: what cannot be saved leaves the old file", "[io][safetensors]") {
  tests::TemporaryFolder folder;
  const AnyTensor x = counting(Dtype::f32, Extents{1, {2}});
  const NamedTensor good[] = {{"x", x}};
  save_safetensors(folder / "a", good);
  const std::string before = get(folder / "a");
  const NamedTensor twice[] = {{"x", x}, {"y", x}, {"x", x}}, kept[] = {{"__metadata__", x}},
                    no_text[] = {{"\xff", x}}, empty[] = {{"fc1.weight", AnyTensor()}},
                    valueless[] = {{"x", AnyTensor::valueless(x)}};
  auto save = [&](std::span<const NamedTensor> t) {
    return failure([&] { save_safetensors(folder / "a", t); });
  };
  CHECK(save(twice).code == Error::value);
  CHECK(save(kept).code == Error::value);
  CHECK(save(no_text).code == Error::value);
  CHECK(save(empty).code == Error::uninitialised);
  CHECK_THAT(save(empty).text, ContainsSubstring("\"fc1.weight\""));
  CHECK(save(valueless).code == Error::tape);
  CHECK(failure([&] {
          save_safetensors(folder / "a", good, {{"k", "\x80"}});
        }).code == Error::value);
  CHECK(get(folder / "a") == before);
  CHECK(folder.entries() == 1);
}

TEST_CASE("safetensors: one file may be read by several threads, and replaced meanwhile",
          "[io][safetensors]") {
  tests::TemporaryFolder folder;
  const AnyTensor x = counting(Dtype::f32, Extents{1, {100000}});
  const NamedTensor all[] = {{"x", x}, {"y", counting(Dtype::i64, Extents{1, {1000}})}};
  save_safetensors(folder / "a", all);
  const SafetensorsFile file(folder / "a");
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i)
        right += same(file.tensor("x"), all[0].tensor) && same(file.tensor("y"), all[1].tensor);
    });
  const NamedTensor other[] = {{"z", x}};
  save_safetensors(folder / "a", other);
  for (std::thread& t : threads) t.join();
  CHECK(right == 30);
}

}  // namespace safetensors_test
