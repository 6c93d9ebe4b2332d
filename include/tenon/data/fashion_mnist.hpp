// SPDX-License-Identifier: Apache-2.0
// Data sets of small grey pictures in ten classes: Fashion-MNIST's files, and handwritten digits.
#pragma once
#include <tenon/io/gzip.hpp>
#include <tenon/io/idx.hpp>

namespace tenon::inline TENON_ISA::data {

/// images: [n, 784] u8, 28 rows of 28 pixels, 0 is background   labels: [n] u8, 0 to 9
struct ImageSet {
  AnyTensor train_images, train_labels, test_images, test_labels;
};

namespace detail {

/// folder/name or folder/name.gz, whichever is there; the packed one where neither is, for the
/// error.
inline std::string find_idx(const std::string& folder, const char* name) {
  const std::string plain = (folder.empty() ? "." : folder) + "/" + name;
  return ::access(plain.c_str(), F_OK) == 0 ? plain : plain + ".gz";
}

inline AnyTensor load_idx(const std::string& path, int rank) {
  AnyTensor x = io::read_idx(path);
  if (x.dtype() != Dtype::u8 || x.rank() != rank)
    io::fail_format("load_fashion_mnist", path, 2,
                    std::string("holds ") + name_of(x.dtype()) + " of rank " +
                        std::to_string(x.rank()) + ", expected u8 of rank " + std::to_string(rank));
  return x;
}

/// Pictures as rows of 784 pixels, and their labels.
inline void load_part(const std::string& folder, const char* images_name, const char* labels_name,
                      AnyTensor& images, AnyTensor& labels) {
  constexpr const char* name = "load_fashion_mnist";
  const std::string images_path = find_idx(folder, images_name),
                    labels_path = find_idx(folder, labels_name);
  AnyTensor x = load_idx(images_path, 3);
  labels = load_idx(labels_path, 1);
  const Extents e = x.extents(), l = labels.extents();
  if (e[1] != 28 || e[2] != 28)
    io::fail_format(name, images_path, 8, "pictures of 28 x 28 expected, got " + to_string(e));
  if (e[0] != l[0])
    io::fail_format(name, labels_path, 4,
                    "counts differ on axis 0: " + images_path + " has " + to_string(e) +
                        ", this file " + to_string(l) + " (" + std::to_string(e[0]) + " vs " +
                        std::to_string(l[0]) + ")");
  const std::uint8_t* label = labels.data<std::uint8_t>();
  for (Index i = 0; i < l[0]; ++i)
    if (label[i] > 9)
      io::fail_format(name, labels_path, static_cast<std::uint64_t>(8 + i),
                      "label " + std::to_string(label[i]) + " is out of range: 0 to 9");
  const Index strides[] = {784, 1};
  images = x.view(Extents{2, {e[0], 784}}, strides, 0);
}

/// 65 numbers a line, the last one the label; the line begins at `at`. Returns where it ends.
inline std::size_t parse_digit(const std::string& text, std::size_t at, const std::string& path,
                               std::uint8_t* pixels, std::uint8_t* label) {
  for (int i = 0; i < 65; ++i) {
    const std::size_t from = at;
    int value = 0;
    while (at < text.size() && at - from < 3 && text[at] >= '0' && text[at] <= '9')
      value = value * 10 + (text[at++] - '0');
    if (at == from || value > (i < 64 ? 16 : 9))
      io::fail_format("load_digits", path, from,
                      i < 64 ? "a pixel from 0 to 16 expected" : "a label from 0 to 9 expected");
    if (at == text.size() ? i < 64 : text[at] != (i < 64 ? ',' : '\n'))
      io::fail_format("load_digits", path, at,
                      "64 pixels and a label a line, with commas, expected");
    at += at < text.size() ? 1 : 0;
    *(i < 64 ? pixels + i : label) = static_cast<std::uint8_t>(value);
  }
  return at;
}

/// 8 x 8 pixels of 0 to 16 to 28 x 28 of 0 to 255: each takes the nearest of the small picture.
inline void enlarge_digit(const std::uint8_t* small, std::uint8_t* large) {
  for (int r = 0; r < 28; ++r)
    for (int c = 0; c < 28; ++c) {
      const int value = small[(2 * r + 1) * 8 / 56 * 8 + (2 * c + 1) * 8 / 56];
      large[28 * r + c] = static_cast<std::uint8_t>((value * 255 + 8) / 16);
    }
}

}  // namespace detail

/// The four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
/// t10k-labels-idx1-ubyte of a folder, each plain or with .gz. The MNIST digits have the same form.
/// Errors: missing -> Error::file; wrong type, rank or extents, counts that differ, a label above 9
/// -> Error::format naming file and offset.
/// Source: Xiao, Rasul, Vollgraf, Fashion-MNIST, 2017.
inline ImageSet load_fashion_mnist(const std::string& folder) {
  ImageSet s;
  detail::load_part(folder, "train-images-idx3-ubyte", "train-labels-idx1-ubyte", s.train_images,
                    s.train_labels);
  detail::load_part(folder, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", s.test_images,
                    s.test_labels);
  return s;
}

/// Handwritten digits of 8 x 8 pixels, a line each: 64 numbers 0 to 16 and the label; plain or
/// gzip. They are enlarged to 28 x 28, so that they fit where Fashion-MNIST does. The last fifth of
/// the lines (rounded down) is the test set.
/// Errors: missing -> Error::file; anything wrong inside -> Error::format naming file and offset.
/// Source: Alpaydin, Kaynak, Optical Recognition of Handwritten Digits, 1998.
inline ImageSet load_digits(const std::string& path) {
  const std::string text = io::read_gzip(path, 64u << 20, "load_digits");
  std::vector<std::uint8_t> pixels, labels;
  for (std::size_t at = 0; at < text.size();) {
    pixels.resize(pixels.size() + 64);
    labels.resize(labels.size() + 1);
    at = detail::parse_digit(text, at, path, &pixels[pixels.size() - 64], &labels.back());
  }
  if (labels.size() < 5) io::fail_format("load_digits", path, 0, "fewer than five digits");
  const Index n = static_cast<Index>(labels.size()), test = n / 5, train = n - test;
  ImageSet s;
  auto fill = [&](Index first, Index count, AnyTensor& images, AnyTensor& label) {
    images = AnyTensor::empty(Dtype::u8, Extents{2, {count, 784}});
    label = AnyTensor::empty(Dtype::u8, Extents{1, {count}});
    auto* to = static_cast<std::uint8_t*>(images.raw_writable());
    for (Index i = 0; i < count; ++i)
      detail::enlarge_digit(pixels.data() + (first + i) * 64, to + i * 784);
    std::memcpy(label.raw_writable(), labels.data() + first, static_cast<std::size_t>(count));
  };
  fill(0, train, s.train_images, s.train_labels);
  fill(train, test, s.test_images, s.test_labels);
  return s;
}

}  // namespace tenon::data
