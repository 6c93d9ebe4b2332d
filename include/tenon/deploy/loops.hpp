// SPDX-License-Identifier: Apache-2.0
// Nested loops over several operands, as few as their strides allow, written in C.
#pragma once
#include <tenon/shape/shape.hpp>

#include <string>
#include <vector>

namespace tenon::inline TENON_ISA::deploy {

/// Where an operand of extents e lies in a row-major loop over `over`: elements from one index to
/// the next of each axis, 0 where it is broadcast.
inline std::vector<Index> strides_in(const Extents& e, const Extents& over) {
  std::vector<Index> s(static_cast<std::size_t>(over.rank), 0);
  Index step = 1;
  for (int i = e.rank - 1, j = over.rank - 1; i >= 0 && j >= 0; --i, --j) {
    s[static_cast<std::size_t>(j)] = e.extent[i] == 1 ? 0 : step;
    step *= e.extent[i];
  }
  return s;
}

/// The axes of a loop, the outermost first, and each operand's strides along them.
class Loops {
 public:
  /// inner: bit i: axis i lies inside those without a bit. operand: strides along all axes.
  Loops(const Extents& over, std::uint32_t inner, std::vector<std::vector<Index>> operand)
      : strides_(operand.size()) {
    for (bool reduced : {false, true}) {
      const std::size_t begin = extent_.size();
      for (int i = 0; i < over.rank; ++i) {
        if ((inner >> i & 1) != reduced || over.extent[i] == 1) continue;
        if (extent_.size() > begin && follows(operand, i, over.extent[i])) {
          extent_.back() *= over.extent[i];
          for (std::size_t k = 0; k < operand.size(); ++k)
            strides_[k].back() = operand[k][static_cast<std::size_t>(i)];
        } else {
          extent_.push_back(over.extent[i]);
          for (std::size_t k = 0; k < operand.size(); ++k)
            strides_[k].push_back(operand[k][static_cast<std::size_t>(i)]);
        }
      }
      if (!reduced) outer_ = extent_.size();
    }
  }
  std::size_t outer() const { return outer_; }
  std::size_t depth() const { return extent_.size(); }

  /// "i0 * 10 + i1".
  std::string index(std::size_t operand) const { return sum(strides_[operand], 0, extent_.size()); }
  /// The position in the inner loops alone, row-major.
  std::string inner_position() const {
    std::vector<Index> s(extent_.size(), 0);
    Index step = 1;
    for (std::size_t i = extent_.size(); i-- > outer_;) s[i] = step, step *= extent_[i];
    return sum(s, outer_, extent_.size());
  }
  /// Opens the loops from `first` to `last`, each line `indent` and more spaces in.
  std::string open(std::size_t first, std::size_t last, std::size_t indent) const {
    std::string text;
    for (std::size_t i = first; i < last; ++i) {
      const std::string v = "i" + std::to_string(i);
      text.append(indent + 2 * (i - first), ' ');
      text.append("for (int ").append(v).append(" = 0; ").append(v).append(" < ");
      text.append(std::to_string(extent_[i])).append("; ++").append(v).append(") {\n");
    }
    return text;
  }
  static std::string close(std::size_t first, std::size_t last, std::size_t indent) {
    std::string text;
    for (std::size_t i = last; i-- > first;)
      text += std::string(indent + 2 * (i - first), ' ') + "}\n";
    return text;
  }

 private:
  bool follows(const std::vector<std::vector<Index>>& operand, int axis, Index extent) const {
    for (std::size_t k = 0; k < operand.size(); ++k)
      if (strides_[k].back() != operand[k][static_cast<std::size_t>(axis)] * extent) return false;
    return true;
  }
  static std::string sum(const std::vector<Index>& s, std::size_t first, std::size_t last) {
    std::string text;
    for (std::size_t i = first; i < last; ++i) {
      if (s[i] == 0) continue;
      if (!text.empty()) text += " + ";
      text += "i" + std::to_string(i);
      if (s[i] != 1) text += " * " + std::to_string(s[i]);
    }
    return text.empty() ? "0" : text;
  }

  std::vector<Index> extent_;
  std::vector<std::vector<Index>> strides_;
  std::size_t outer_ = 0;
};

}  // namespace tenon::inline TENON_ISA::deploy
