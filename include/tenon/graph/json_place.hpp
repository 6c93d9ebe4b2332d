// SPDX-License-Identifier: Apache-2.0
// Where a field lies in a JSON text, for errors that name its offset.
#pragma once
#include <tenon/core/config.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace tenon::inline TENON_ISA::graph {

/// The way to a field: names of members and numbers of elements.
class Place {
 public:
  Place(const char* name) : step_{{name, 0}} {}
  Place at(const char* name) const { return with({name, 0}); }
  Place at(std::size_t element) const { return with({"", element}); }
  Place at(int element) const { return at(static_cast<std::size_t>(element)); }
  /// "nodes[3].in[1]"
  std::string text() const {
    std::string t;
    for (const Step& s : step_) {
      if (s.name.empty()) t += "[" + std::to_string(s.element) + "]";
      else t += (t.empty() ? "" : ".") + s.name;
    }
    return t;
  }
  const std::string& last() const { return step_.back().name; }

  struct Step {
    std::string name;  ///< empty: an element
    std::size_t element;
  };
  const std::vector<Step>& steps() const { return step_; }

 private:
  Place with(Step s) const {
    Place p = *this;
    p.step_.push_back(std::move(s));
    return p;
  }
  std::vector<Step> step_;
};

namespace detail {

/// Reads over a JSON text that has been parsed once.
class JsonWalk {
 public:
  explicit JsonWalk(std::string_view text) : t_(text) {}
  std::size_t position() const { return i_; }
  char next() {
    while (i_ < t_.size() && (t_[i_] == ' ' || t_[i_] == '\n' || t_[i_] == '\t' || t_[i_] == '\r' ||
                              t_[i_] == ',' || t_[i_] == ':'))
      ++i_;
    return i_ < t_.size() ? t_[i_] : '\0';
  }
  void enter() { ++i_; }
  std::string_view word() {  // the text of a string, its quotes left out
    const std::size_t from = ++i_;
    while (i_ < t_.size() && t_[i_] != '"') i_ += t_[i_] == '\\' ? 2 : 1;
    const std::string_view w = t_.substr(from, i_ - from);
    ++i_;
    return w;
  }
  void skip() {  // one value
    int depth = 0;
    do {
      const char c = next();
      if (c == '\0') return;
      if (c == '"') word();
      else if (c == '{' || c == '[') ++depth, ++i_;
      else if (c == '}' || c == ']') --depth, ++i_;
      else
        while (i_ < t_.size() &&
               std::string_view(",:]} \n\t\r").find(t_[i_]) == std::string_view::npos)
          ++i_;
    } while (depth > 0);
  }

 private:
  std::string_view t_;
  std::size_t i_ = 0;
};

}  // namespace detail

/// The offset of a field in a JSON text, or of the last part of its way that exists.
inline std::size_t place_in(std::string_view text, const Place& place) {
  detail::JsonWalk w(text);
  std::size_t at = 0;
  for (const Place::Step& s : place.steps()) {
    const char c = w.next();
    if (c != (s.name.empty() ? '[' : '{')) return at;
    at = w.position();
    w.enter();
    bool found = false;
    for (std::size_t k = 0; !found; ++k) {
      const char e = w.next();
      if (e == '}' || e == ']' || e == '\0') return at;
      if (s.name.empty()) {
        found = k == s.element;
      } else {
        found = w.word() == s.name;
      }
      if (!found) w.skip();
    }
    w.next();
    at = w.position();
  }
  return at;
}

}  // namespace tenon::graph
