// SPDX-License-Identifier: Apache-2.0
// The header of a safetensors file, which may come from anybody: parsed without recursion, checked.
#pragma once
#include <nlohmann/json.hpp>
#include <tenon/core/dtype.hpp>
#include <tenon/io/file.hpp>
#include <tenon/shape/broadcast.hpp>

#include <algorithm>
#include <bit>
#include <map>

namespace tenon::inline TENON_ISA::io::detail {

static_assert(std::endian::native == std::endian::little,
              "tenon: io is for little-endian machines");

/// The reference implementation's limit.
inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

/// An element type of the format; dtype is -1 where no tensor can hold it.
struct SafetensorsType {
  const char* name;
  int dtype;
  std::uint64_t bytes;
};
inline constexpr SafetensorsType safetensors_types[] = {
    {"F32", 0, 4},  {"F64", 1, 8},      {"I64", 2, 8},      {"I32", 3, 4},
    {"U8", 4, 1},   {"BOOL", 5, 1},     {"BF16", 6, 2},     {"F16", 7, 2},
    {"I8", -1, 1},  {"I16", -1, 2},     {"U16", -1, 2},     {"U32", -1, 4},
    {"U64", -1, 8}, {"F8_E4M3", -1, 1}, {"F8_E5M2", -1, 1}, {"C64", -1, 8}};
inline const char* safetensors_name(Dtype d) { return safetensors_types[static_cast<int>(d)].name; }

/// One tensor; begin and end count from the end of the header.
struct SafetensorsEntry {
  std::string name;
  const SafetensorsType* type = nullptr;
  Extents extents;
  std::uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::uint64_t bytes = 0;                ///< the length field and the text
  std::vector<SafetensorsEntry> entries;  ///< in the order of their elements
  std::vector<std::uint32_t> by_name;
  std::map<std::string, std::string> metadata;

  const SafetensorsEntry* find(const std::string& name) const {
    auto less = [&](std::uint32_t i, const std::string& n) { return entries[i].name < n; };
    auto at = std::lower_bound(by_name.begin(), by_name.end(), name, less);
    return at != by_name.end() && entries[*at].name == name ? &entries[*at] : nullptr;
  }
};

/// Takes the parser's events. A header has one form and three levels, so this is a machine of a few
/// places in the text, and deeper nesting ends at its first bracket.
class SafetensorsParser {
 public:
  SafetensorsParser(const File& file, SafetensorsHeader& header) : file_(file), header_(header) {}

  bool start_object(std::size_t) {
    if (place_ == Place::start) place_ = Place::top;
    else if (place_ == Place::tensor) place_ = Place::fields;
    else if (place_ == Place::metadata) place_ = Place::texts;
    else wrong("an object");
    return true;
  }
  bool end_object() {
    if (place_ == Place::fields) finish_entry();
    else if (place_ == Place::texts) place_ = Place::top;
    else place_ = Place::end;
    return true;
  }
  bool key(std::string& k) {
    if (place_ == Place::top) {
      if (k != "__metadata__") {
        place_ = Place::tensor;
        entry_ = {};
        seen_ = 0;
        entry_.name = k;
      } else {
        if (has_metadata_) fail_entry("__metadata__", "occurs twice");
        has_metadata_ = true;
        place_ = Place::metadata;
      }
    } else if (place_ == Place::texts) {
      if (!header_.metadata.emplace(k, "").second)
        fail_entry("__metadata__", "has two texts \"" + excerpt(k) + "\"");
      text_ = k;
      place_ = Place::text;
    } else {
      start_field(k);
    }
    return true;
  }
  bool string(std::string& s) {
    if (place_ == Place::text) {
      header_.metadata[text_] = s;
      place_ = Place::texts;
    } else if (place_ == Place::dtype) {
      for (const SafetensorsType& t : safetensors_types)
        if (s == t.name) entry_.type = &t;
      if (!entry_.type) fail_entry(entry_.name, "has the unknown dtype \"" + excerpt(s) + "\"");
      place_ = Place::fields;
    } else {
      wrong("a string");
    }
    return true;
  }
  bool start_array(std::size_t) {
    if (place_ == Place::shape) place_ = Place::extents;
    else if (place_ == Place::offsets) place_ = Place::bounds;
    else wrong("an array");
    count_ = 0;
    return true;
  }
  bool end_array() {
    if (place_ == Place::extents) entry_.extents.rank = count_;
    else if (count_ != 2) fail_entry(entry_.name, "needs two data_offsets");
    place_ = Place::fields;
    return true;
  }
  bool number_unsigned(std::uint64_t n) {
    if (place_ == Place::extents) {
      if (count_ == max_rank) fail_entry(entry_.name, "has more than 8 axes");
      if (n >> 62) fail_entry(entry_.name, "has the extent " + std::to_string(n));
      entry_.extents.extent[count_++] = static_cast<Index>(n);
    } else if (place_ == Place::bounds && count_ < 2) {
      (count_++ == 0 ? entry_.begin : entry_.end) = n;
    } else {
      wrong("a number");
    }
    return true;
  }
  bool null() { return wrong("null"); }
  bool boolean(bool) { return wrong("a boolean"); }
  bool number_integer(std::int64_t) { return wrong("a negative number"); }
  bool number_float(double, const std::string&) { return wrong("a number that is no integer"); }
  template <class B>
  bool binary(B&) {
    return wrong("binary data");
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    fail_format(file_.name(), file_.path(), 8 + (position > 0 ? position - 1 : 0),
                "the header is not JSON in UTF-8");
  }

 private:
  // Where the parser is: inside an object or array, or behind a key and before its value.
  enum class Place {
    start,
    top,
    metadata,
    texts,
    text,
    tensor,
    fields,
    dtype,
    shape,
    extents,
    offsets,
    bounds,
    end
  };

  void start_field(const std::string& k) {
    const int field = k == "dtype" ? 1 : k == "shape" ? 2 : k == "data_offsets" ? 4 : 0;
    if (field == 0) fail_entry(entry_.name, "has the unknown field \"" + excerpt(k) + "\"");
    if (seen_ & field) fail_entry(entry_.name, "has two fields \"" + k + "\"");
    seen_ |= field;
    place_ = field == 1 ? Place::dtype : field == 2 ? Place::shape : Place::offsets;
  }
  void finish_entry() {
    if (seen_ != 7) fail_entry(entry_.name, "lacks dtype, shape or data_offsets");
    header_.entries.push_back(std::move(entry_));
    place_ = Place::top;
  }
  [[noreturn]] bool wrong(const char* what) {
    switch (place_) {
      case Place::start: fail_format(file_.name(), file_.path(), 8, "the header is no object");
      case Place::metadata:
      case Place::text: fail_entry("__metadata__", std::string("must hold texts, has ") + what);
      case Place::tensor: fail_entry(entry_.name, std::string("must be an object, is ") + what);
      default: fail_entry(entry_.name, std::string("has ") + what + " in the wrong place");
    }
  }
  [[noreturn]] void fail_entry(const std::string& tensor, const std::string& what) const {
    fail(Error::format,
         {file_.name(), ": ", file_.path(), ": tensor \"", excerpt(tensor), "\" ", what});
  }
  static std::string excerpt(const std::string& text) {
    std::string part = text.substr(0, 200);
    if (text.size() > 200) part += "...";
    return part;
  }

  const File& file_;
  SafetensorsHeader& header_;
  Place place_ = Place::start;
  SafetensorsEntry entry_;
  std::string text_;
  int seen_ = 0, count_ = 0;
  bool has_metadata_ = false;
};

/// Elements must lie one tensor behind the other, without gap, from the header to the file's end.
inline void check_safetensors_layout(const File& file, SafetensorsHeader& header) {
  auto wrong = [&](const SafetensorsEntry& e, const std::string& what) {
    fail_format(file.name(), file.path(), header.bytes + e.begin,
                "tensor \"" + e.name.substr(0, 200) + "\" " + what);
  };
  const std::uint64_t room = file.size() - header.bytes;
  for (const SafetensorsEntry& e : header.entries) {
    if (e.begin > e.end) wrong(e, "ends at " + std::to_string(e.end) + ", before it begins");
    if (e.end > room)
      wrong(e, "ends at " + std::to_string(e.end) + " of " + std::to_string(room) + " bytes");
    // Extents beside a 0 count too: strides are made of them.
    std::uint64_t size = e.type->bytes, stretch = 1;
    for (int i = 0; i < e.extents.rank; ++i) {
      const std::uint64_t extent = static_cast<std::uint64_t>(e.extents[i]);
      if (__builtin_mul_overflow(stretch, extent ? extent : 1, &stretch) || stretch >> 46)
        wrong(e, "has extents that overflow: " + to_string(e.extents));
      size *= extent;
    }
    if (size != e.end - e.begin)
      wrong(e, "has " + std::to_string(e.end - e.begin) + " bytes, " + e.type->name + " " +
                   to_string(e.extents) + " needs " + std::to_string(size));
  }
  auto key = [](const SafetensorsEntry& e) { return std::pair(e.begin, e.end); };
  std::sort(header.entries.begin(), header.entries.end(),
            [&](const auto& a, const auto& b) { return key(a) < key(b); });
  std::uint64_t end = 0;
  for (const SafetensorsEntry& e : header.entries) {
    if (e.begin < end) wrong(e, "overlaps the tensor before it");
    if (e.begin > end) wrong(e, "leaves a gap behind the tensor before it");
    end = e.end;
  }
  if (end != room)
    fail_format(file.name(), file.path(), header.bytes + end,
                std::to_string(room - end) + " bytes belong to no tensor");
}

/// The header of a file, all of it checked.
inline SafetensorsHeader read_safetensors_header(const File& file) {
  SafetensorsHeader header;
  std::uint64_t length = 0;
  if (file.size() < 8)
    fail_format(file.name(), file.path(), 0,
                "not a safetensors file: it has " + std::to_string(file.size()) + " bytes");
  file.read(0, &length, 8);
  if (length > safetensors_header_limit || length > file.size() - 8)
    fail_format(file.name(), file.path(), 0,
                "a header of " + std::to_string(length) + " bytes in a file of " +
                    std::to_string(file.size()) + " (limit: 100,000,000)");
  header.bytes = 8 + length;
  std::string text(static_cast<std::size_t>(length), '\0');
  file.read(8, text.data(), text.size());
  if (text.empty() || text[0] != '{')
    fail_format(file.name(), file.path(), 8, "the header must begin with {");
  // The parser takes a zero for the end of its input.
  if (const std::size_t zero = text.find('\0'); zero != std::string::npos)
    fail_format(file.name(), file.path(), 8 + zero, "the header is not JSON in UTF-8");
  SafetensorsParser parser(file, header);
  nlohmann::json::sax_parse(text, &parser);
  check_safetensors_layout(file, header);

  header.by_name.resize(header.entries.size());
  for (std::size_t i = 0; i < header.by_name.size(); ++i)
    header.by_name[i] = static_cast<std::uint32_t>(i);
  auto name = [&](std::uint32_t i) -> const std::string& { return header.entries[i].name; };
  std::sort(header.by_name.begin(), header.by_name.end(),
            [&](auto a, auto b) { return name(a) < name(b); });
  for (std::size_t i = 1; i < header.by_name.size(); ++i)
    if (name(header.by_name[i]) == name(header.by_name[i - 1]))
      fail(Error::format, {file.name(), ": ", file.path(), ": two tensors are named \"",
                           name(header.by_name[i]).substr(0, 200), "\""});
  return header;
}

}  // namespace tenon::io::detail
