// SPDX-License-Identifier: Apache-2.0
// Attributes of an operation that is called by name: axes, modes, numbers.
#pragma once
#include <tenon/core/config.hpp>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tenon::inline TENON_ISA::registry {

/// A truth value, an integer, a number, a text, or a list of integers or numbers.
using Attribute =
    std::variant<bool, Index, double, std::string, std::vector<Index>, std::vector<double>>;

/// Attributes by name, few enough to be searched in turn.   AttributeMap a{{"axis", -1},
/// {"keepdim", true}};
class AttributeMap {
 public:
  using Entry = std::pair<std::string, Attribute>;
  AttributeMap() = default;
  AttributeMap(std::initializer_list<Entry> entries) {
    for (const Entry& e : entries) set(e.first, e.second);
  }
  /// Adds an attribute, or gives it another value.
  void set(std::string_view name, Attribute value) {
    for (Entry& e : entries_) {
      if (e.first != name) continue;
      e.second = std::move(value);
      return;
    }
    entries_.emplace_back(std::string(name), std::move(value));
  }
  /// Its place in the order of addition, or -1.
  int find(std::string_view name) const {
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].first == name) return static_cast<int>(i);
    return -1;
  }
  int size() const { return static_cast<int>(entries_.size()); }
  const Entry& operator[](int i) const { return entries_[static_cast<std::size_t>(i)]; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace tenon::inline TENON_ISA::registry
