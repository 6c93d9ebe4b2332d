// SPDX-License-Identifier: Apache-2.0
#include <tenon/data/fashion_mnist.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

#include <algorithm>
#include <vector>

using namespace tenon;
using data::load_digits, data::load_fashion_mnist;
using tests::failure, tests::put;

namespace {

AnyTensor counting(Dtype d, const Extents& e, int modulus) {
  AnyTensor x = AnyTensor::empty(Dtype::i64, e);
  for (Index i = 0; i < x.size(); ++i)
    static_cast<std::int64_t*>(x.raw_writable())[i] = i % modulus;
  return x.to(d);
}
constexpr const char* names[] = {"/train-images-idx3-ubyte", "/train-labels-idx1-ubyte",
                                 "/t10k-images-idx3-ubyte", "/t10k-labels-idx1-ubyte"};
void write_set(const std::string& folder, const char* end = "") {
  io::write_idx(folder + names[0] + end, counting(Dtype::u8, Extents{3, {12, 28, 28}}, 251));
  io::write_idx(folder + names[1] + end, counting(Dtype::u8, Extents{1, {12}}, 10));
  io::write_idx(folder + names[2] + end, counting(Dtype::u8, Extents{3, {3, 28, 28}}, 241));
  io::write_idx(folder + names[3] + end, counting(Dtype::u8, Extents{1, {3}}, 10));
}
std::string digit_line(int pixel, int label) {
  std::string text;
  for (int i = 0; i < 64; ++i) text += std::to_string(pixel) + ",";
  return text + std::to_string(label) + "\n";
}

}  // namespace

TEST_CASE("fashion_mnist: four files, packed or plain, give pictures as rows and their labels",
          "[data][fashion_mnist]") {
  tests::TemporaryFolder folder;
  for (const char* end : {".gz", ""}) {
    write_set(folder.path(), end);
    const data::ImageSet s = load_fashion_mnist(folder.path());
    CHECK(s.train_images.extents() == Extents{2, {12, 784}});
    CHECK(s.train_images.contiguous());
    CHECK(s.train_images.data<std::uint8_t>()[784] == 784 % 251);
    CHECK(s.train_labels.extents() == Extents{1, {12}});
    CHECK(s.train_labels.data<std::uint8_t>()[11] == 1);
    CHECK(s.test_images.extents() == Extents{2, {3, 784}});
    CHECK(s.test_images.data<std::uint8_t>()[783] == 783 % 241);
    CHECK(s.test_labels.extents() == Extents{1, {3}});
  }
}

TEST_CASE("fashion_mnist: a file that is missing or does not fit is named",
          "[data][fashion_mnist]") {
  struct Bad {
    int file;
    AnyTensor contents;  // none: the file is removed
    int code;
    const char* words;
  };
  AnyTensor ten = counting(Dtype::u8, Extents{1, {12}}, 10);
  { ten.write<std::uint8_t>()[7] = 10; }
  const Bad table[] = {
      {0, {}, Error::file, "train-images-idx3-ubyte.gz: cannot be opened"},
      {3, {}, Error::file, "t10k-labels-idx1-ubyte.gz: cannot be opened"},
      {0, counting(Dtype::i32, Extents{3, {12, 28, 28}}, 9), Error::format, "holds i32 of rank 3"},
      {1, counting(Dtype::u8, Extents{2, {12, 1}}, 9), Error::format, "expected u8 of rank 1"},
      {1, counting(Dtype::u8, Extents{3, {12, 28, 28}}, 9), Error::format, "u8 of rank 3"},
      {2, counting(Dtype::u8, Extents{3, {3, 28, 27}}, 9), Error::format, "got [3, 28, 27]"},
      {0, counting(Dtype::u8, Extents{3, {12, 784, 1}}, 9), Error::format, "28 x 28 expected"},
      {1, counting(Dtype::u8, Extents{1, {11}}, 10), Error::format, "axis 0"},
      {0, counting(Dtype::u8, Extents{3, {13, 28, 28}}, 9), Error::format, "(13 vs 12)"},
      {1, ten, Error::format, "train-labels-idx1-ubyte, offset 15: label 10 is out of range"}};
  for (const Bad& bad : table) {
    tests::TemporaryFolder folder;
    write_set(folder.path());
    const std::string path = folder.path() + names[bad.file];
    if (bad.contents.defined()) io::write_idx(path, bad.contents);
    else std::filesystem::remove(path);
    INFO(path << ": " << bad.words);
    auto f = failure([&] { load_fashion_mnist(folder.path()); });
    CHECK(f.code == bad.code);
    CHECK_THAT(f.text, ContainsSubstring(folder.path()) && ContainsSubstring(bad.words));
  }
  CHECK(failure([] { load_fashion_mnist("/none"); }).code == Error::file);
  CHECK(failure([] { load_fashion_mnist(""); }).code == Error::file);
}

TEST_CASE(
    "fashion_mnist: the installed data set has 60,000 and 10,000 pictures, a tenth of each class",
    "[data][fashion_mnist]") {
  const std::string folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder)) {
    WARN("skipped: the package dataset-fashion-mnist is not installed");
    return;
  }
  const data::ImageSet s = load_fashion_mnist(folder);
  CHECK(s.train_images.extents() == Extents{2, {60000, 784}});
  CHECK(s.test_images.extents() == Extents{2, {10000, 784}});
  const auto* train = s.train_labels.data<std::uint8_t>();
  const auto* test = s.test_labels.data<std::uint8_t>();
  for (std::uint8_t c = 0; c < 10; ++c) {
    CHECK(std::count(train, train + 60000, c) == 6000);
    CHECK(std::count(test, test + 10000, c) == 1000);
  }
}

TEST_CASE("digits: the repository's file has 1,797, the last fifth of them for testing",
          "[data][digits]") {
  const data::ImageSet s =
      load_digits(std::string(TESTS_SOURCE_DIR) + "/examples/data/digits.csv.gz");
  CHECK(s.train_images.extents() == Extents{2, {1438, 784}});
  CHECK(s.test_images.extents() == Extents{2, {359, 784}});
  CHECK(s.train_labels.extents() == Extents{1, {1438}});
  CHECK(s.test_labels.extents() == Extents{1, {359}});
  // The counts of the classes as the data set's description gives them.
  int counts[10] = {};
  for (const AnyTensor& labels : {s.train_labels, s.test_labels})
    for (Index i = 0; i < labels.size(); ++i) ++counts[labels.data<std::uint8_t>()[i]];
  const int published[10] = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
  for (int c = 0; c < 10; ++c) CHECK(counts[c] == published[c]);
  const auto* p = s.train_images.data<std::uint8_t>();
  CHECK(*std::max_element(p, p + 1438 * 784) == 255);
  // The first picture: columns 2 to 5 of its first row hold 5, 13, 9, 1 of 16. Column k of 8 is
  // nearest to the columns of 28 whose middles lie in [3.5 k, 3.5 k + 3.5).
  const int row[28] = {0,   0,   0,   0,  0,  0,  0,  80, 80, 80, 207, 207, 207, 207,
                       143, 143, 143, 16, 16, 16, 16, 0,  0,  0,  0,   0,   0,   0};
  for (int c = 0; c < 28; ++c) CHECK(int(p[c]) == row[c]);
}

TEST_CASE("digits: a bad line is an error that names the offset", "[data][digits]") {
  tests::TemporaryFolder folder;
  std::string good;
  for (int i = 0; i < 5; ++i) good += digit_line(16, i);
  auto load = [&](const std::string& text) {
    put(folder / "d", text);
    return failure([&] { load_digits(folder / "d"); });
  };
  CHECK(load(good).text == "");
  CHECK(load(good.substr(0, good.size() - 1)).text == "");
  std::string pixel = good, letter = good, label = good, comma = good, huge = good;
  pixel.replace(3, 2, "17");
  letter.replace(3, 1, "x");
  label.replace(64 * 3, 1, "a");
  comma.replace(2, 1, ";");
  huge.replace(3, 2, "99999999999");
  CHECK_THAT(load(pixel).text, ContainsSubstring("offset 3: a pixel from 0 to 16"));
  CHECK_THAT(load(letter).text, ContainsSubstring("offset 3: a pixel"));
  CHECK_THAT(load(label).text, ContainsSubstring("offset 192: a label"));
  CHECK_THAT(load(comma).text, ContainsSubstring("offset 2: 64 pixels"));
  CHECK(load(huge).code == Error::format);
  CHECK(load(good + "\n").code == Error::format);
  CHECK(load("").code == Error::format);
  CHECK(failure([&] { load_digits(folder / "none"); }).code == Error::file);
  for (std::size_t n = 0; n < good.size() - 1; ++n)
    CHECK(load(good.substr(0, n)).code == Error::format);
}
