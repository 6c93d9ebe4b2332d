// SPDX-License-Identifier: Apache-2.0
// What an operation of the registry is called with, and the checks that all of them share.
#pragma once
#include <tenon/registry/attributes.hpp>
#include <tenon/tensor/any_tensor.hpp>

#include <span>

namespace tenon::inline TENON_ISA::registry {

/// Tensors and attributes of one call. Attributes that the operation never asked for are an error.
class Arguments {
 public:
  Arguments(const char* name, std::span<const AnyTensor> inputs, const AttributeMap& attributes)
      : name_(name), inputs_(inputs), attributes_(attributes) {
    if (attributes.size() > 64) wrong("takes at most 64 attributes");
  }

  const char* name() const { return name_; }
  int size() const { return static_cast<int>(inputs_.size()); }
  const AnyTensor& operator[](int i) const {
    takes(i + 1, size() < i + 1 ? i + 1 : size());
    return inputs_[static_cast<std::size_t>(i)];
  }
  std::span<const AnyTensor> inputs() const { return inputs_; }

  /// Errors: another number of tensors -> Error::value.
  void takes(int least, int most) const {
    if (size() >= least && size() <= most) return;
    std::string many = std::to_string(least);
    if (most != least) many += " to " + std::to_string(most);
    wrong("takes " + many + " tensors, not " + std::to_string(size()));
  }
  void takes(int count) const { takes(count, count); }

  bool has(std::string_view key) const { return attributes_.find(key) >= 0; }
  bool flag(std::string_view key, bool otherwise) const {
    const Attribute* a = get(key);
    if (!a) return otherwise;
    if (const bool* b = std::get_if<bool>(a)) return *b;
    wrong_type(key, "true or false");
  }
  Index integer(std::string_view key) const {
    const Attribute* a = get(key);
    if (!a) missing(key);
    return as_integer(key, *a);
  }
  Index integer(std::string_view key, Index otherwise) const {
    const Attribute* a = get(key);
    return a ? as_integer(key, *a) : otherwise;
  }
  double number(std::string_view key) const {
    const Attribute* a = get(key);
    if (!a) missing(key);
    return as_number(key, *a);
  }
  double number(std::string_view key, double otherwise) const {
    const Attribute* a = get(key);
    return a ? as_number(key, *a) : otherwise;
  }
  std::string text(std::string_view key, const char* otherwise) const {
    const Attribute* a = get(key);
    if (!a) return otherwise;
    if (const std::string* s = std::get_if<std::string>(a)) return *s;
    wrong_type(key, "a text");
  }
  /// A list of integers; one integer is a list of one.
  std::vector<Index> list(std::string_view key) const {
    const Attribute* a = get(key);
    if (!a) return {};
    if (const Index* i = std::get_if<Index>(a)) return {in_range(key, *i)};
    if (const auto* l = std::get_if<std::vector<Index>>(a)) {
      for (Index i : *l) in_range(key, i);
      return *l;
    }
    wrong_type(key, "a list of integers");
  }
  std::vector<double> numbers(std::string_view key, std::vector<double> otherwise) const {
    const Attribute* a = get(key);
    if (!a) return otherwise;
    if (const auto* l = std::get_if<std::vector<double>>(a)) return *l;
    if (const auto* l = std::get_if<std::vector<Index>>(a)) return {l->begin(), l->end()};
    wrong_type(key, "a list of numbers");
  }
  /// An axis of a tensor of this rank, counted from the front. Errors: Error::index.
  int axis(std::string_view key, int rank) const { return axis_of(integer(key), rank); }
  int axis(std::string_view key, int rank, Index otherwise) const {
    return axis_of(integer(key, otherwise), rank);
  }
  /// The axes as bits; absent or empty means all of them. Errors: out of range or named twice ->
  /// Error::index.
  std::uint32_t axes(std::string_view key, int rank) const {
    std::uint32_t bits = 0;
    for (Index a : list(key)) {
      const int i = axis_of(a, rank);
      if (bits >> i & 1) fail(Error::index, {name_, ": axis ", a, " is named twice"});
      bits |= 1u << i;
    }
    return bits ? bits : (1u << rank) - 1;
  }
  int axis_of(Index a, int rank) const {
    if (a < -rank || a >= rank)
      fail(Error::index, {name_, ": axis ", a, " is out of range for a tensor of rank ", rank});
    return static_cast<int>(a < 0 ? a + rank : a);
  }

  [[noreturn]] void wrong(const std::string& what, Error::Code code = Error::value) const {
    fail(code, {name_, ": ", what});
  }
  /// Errors: an attribute nobody asked for -> Error::value.
  void check_all_read() const {
    for (int i = 0; i < attributes_.size(); ++i)
      if (!(read_ >> i & 1)) wrong("takes no attribute \"" + attributes_[i].first + "\"");
  }

 private:
  const Attribute* get(std::string_view key) const {
    const int i = attributes_.find(key);
    if (i < 0) return nullptr;
    read_ |= std::uint64_t{1} << (i & 63);
    return &attributes_[i].second;
  }
  Index as_integer(std::string_view key, const Attribute& a) const {
    if (const Index* i = std::get_if<Index>(&a)) return in_range(key, *i);
    wrong_type(key, "an integer");
  }
  double as_number(std::string_view key, const Attribute& a) const {
    if (const double* x = std::get_if<double>(&a)) return *x;
    if (const Index* i = std::get_if<Index>(&a)) return static_cast<double>(*i);
    wrong_type(key, "a number");
  }
  // So that sums of a few of them, and of extents, cannot overflow.
  Index in_range(std::string_view key, Index i) const {
    constexpr Index most = Index{1} << 40;
    if (i < -most || i > most)
      wrong("attribute \"" + std::string(key) + "\" is out of range: " + std::to_string(i));
    return i;
  }
  [[noreturn]] void missing(std::string_view key) const {
    wrong("needs the attribute \"" + std::string(key) + "\"");
  }
  [[noreturn]] void wrong_type(std::string_view key, const char* what) const {
    wrong("attribute \"" + std::string(key) + "\" must be " + what);
  }

  const char* name_;
  std::span<const AnyTensor> inputs_;
  const AttributeMap& attributes_;
  mutable std::uint64_t read_ = 0;
};

}  // namespace tenon::inline TENON_ISA::registry
