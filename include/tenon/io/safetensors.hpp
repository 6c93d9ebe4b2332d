// SPDX-License-Identifier: Apache-2.0
// safetensors: named tensors in one file, written as a whole or not at all, read with every check.
#pragma once
#include <tenon/io/file.hpp>
#include <tenon/io/safetensors_header.hpp>
#include <tenon/tensor/any_tensor.hpp>

#include <map>
#include <span>

namespace tenon::inline TENON_ISA::io {

/// A tensor with the name that it has in a file.
struct NamedTensor {
  std::string name;
  AnyTensor tensor;
};

namespace detail {

/// The JSON text in front of the elements: 8 bytes of length, then text, padded to whole 8 bytes.
inline std::string safetensors_header(std::span<const NamedTensor* const> tensors,
                                      const std::map<std::string, std::string>& metadata) {
  auto quoted = [](const std::string& text) {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception&) {
      fail(Error::value, {"save_safetensors: a name or metadata text is not UTF-8"});
    }
  };
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":";
    char before = '{';
    for (const auto& [key, value] : metadata) {
      text += before + quoted(key) + ":" + quoted(value);
      before = ',';
    }
    text += "}";
  }
  std::uint64_t offset = 0;
  for (const NamedTensor* t : tensors) {
    const Extents e = t->tensor.extents();
    const std::uint64_t end =
        offset + static_cast<std::uint64_t>(e.size()) * size_of(t->tensor.dtype());
    text += (text.size() > 1 ? "," : "") + quoted(t->name) + ":{\"dtype\":\"" +
            safetensors_name(t->tensor.dtype()) + "\",\"shape\":[";
    for (int i = 0; i < e.rank; ++i) text += (i ? "," : "") + std::to_string(e.extent[i]);
    text += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]}";
    offset = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > safetensors_header_limit)
    fail(Error::value, {"save_safetensors: names and metadata need ", text.size(),
                        " bytes, a file may have 100,000,000"});
  return text;
}

/// By size of element, then as given: so every tensor lies at a multiple of its element's size.
inline std::vector<const NamedTensor*> safetensors_order(std::span<const NamedTensor> tensors) {
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& t : tensors) {
    if (t.name == "__metadata__")
      fail(Error::value, {"save_safetensors: the format keeps the name __metadata__ for itself"});
    if (!t.tensor.defined())
      fail(Error::uninitialised,
           {"save_safetensors: tensor \"", t.name, "\" was never given a value"});
    t.tensor.host_access("save_safetensors");
    order.push_back(&t);
  }
  auto by_name = [](auto* a, auto* b) { return a->name < b->name; };
  std::sort(order.begin(), order.end(), by_name);
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i]->name == order[i - 1]->name)
      fail(Error::value, {"save_safetensors: two tensors are named \"", order[i]->name, "\""});
  std::sort(order.begin(), order.end(), [](auto* a, auto* b) {
    const std::size_t sa = size_of(a->tensor.dtype()), sb = size_of(b->tensor.dtype());
    return sa != sb ? sa > sb : a < b;
  });
  return order;
}

}  // namespace detail

/// Writes the tensors, whatever their strides, and free text beside them. The old file stays until
/// the new one is whole and on the disk.
/// Errors: equal names, a name that is not UTF-8 -> Error::value; an empty handle ->
/// Error::uninitialised; Error::file.
/// Source: Hugging Face, safetensors, format description in its README.
inline void save_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                             const std::map<std::string, std::string>& metadata = {}) {
  const std::vector<const NamedTensor*> order = detail::safetensors_order(tensors);
  const std::string header = detail::safetensors_header(order, metadata);
  AtomicFile file(path, "save_safetensors");
  const std::uint64_t length = header.size();
  file.write(&length, sizeof length);
  file.write(header);
  for (const NamedTensor* t : order) {
    const AnyTensor x = t->tensor.to(cpu).to_contiguous();
    file.write(x.raw(), static_cast<std::size_t>(x.size()) * size_of(x.dtype()));
  }
  file.commit();
}

/// A safetensors file whose header has been read and checked; tensors are read when asked for, also
/// by several threads at once. Memory: the header's, and that of the tensors asked for.
/// Errors of the constructor: not openable -> Error::file; anything against the format ->
/// Error::format naming the file and the offset or the tensor.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path)
      : file_(path, "safetensors"), header_(detail::read_safetensors_header(file_)) {}

  const std::string& path() const { return file_.path(); }
  /// Names in the order of the elements in the file.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const detail::SafetensorsEntry& entry : header_.entries) all.push_back(entry.name);
    return all;
  }
  bool contains(const std::string& name) const { return header_.find(name) != nullptr; }
  /// The file's name for the element type: "F32", ..., also those that no tensor can hold.
  const char* type_name(const std::string& name) const { return entry(name).type->name; }
  /// Errors: no such tensor -> Error::format; a type without Dtype (I8, U32, ...) -> Error::dtype.
  Dtype dtype(const std::string& name) const { return known(entry(name)); }
  Extents extents(const std::string& name) const { return entry(name).extents; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  /// A tensor of its own memory. Errors: as dtype(); a BOOL that is neither 0 nor 1 ->
  /// Error::format; a file that has become shorter -> Error::file.
  AnyTensor tensor(const std::string& name) const {
    const detail::SafetensorsEntry& e = entry(name);
    AnyTensor x = AnyTensor::empty(known(e), e.extents);
    const std::size_t bytes = static_cast<std::size_t>(e.end - e.begin);
    file_.read(header_.bytes + e.begin, x.raw_writable(), bytes);
    if (x.dtype() == Dtype::boolean) {
      const unsigned char* b = static_cast<const unsigned char*>(x.raw());
      for (std::size_t i = 0; i < bytes; ++i)
        if (b[i] > 1)
          fail_format("safetensors", path(), header_.bytes + e.begin + i,
                      "a BOOL of tensor \"" + name + "\" is " + std::to_string(b[i]));
    }
    return x;
  }

 private:
  const detail::SafetensorsEntry& entry(const std::string& name) const {
    const detail::SafetensorsEntry* e = header_.find(name);
    if (!e) fail(Error::format, {"safetensors: ", path(), ": holds no tensor \"", name, "\""});
    return *e;
  }
  Dtype known(const detail::SafetensorsEntry& e) const {
    if (e.type->dtype < 0)
      fail(Error::dtype, {"safetensors: ", path(), ": tensor \"", e.name, "\" holds ", e.type->name,
                          ", which no tensor can hold"});
    return static_cast<Dtype>(e.type->dtype);
  }

  File file_;
  detail::SafetensorsHeader header_;
};

}  // namespace tenon::io
