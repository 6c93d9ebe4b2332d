// SPDX-License-Identifier: Apache-2.0
// The one exception type, with a code that stays the same between versions.
#pragma once
#include <tenon/core/config.hpp>

#include <cstddef>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace tenon::inline TENON_ISA {

/// What every failure at run time throws. what() names function, rule, shapes and axis; code() is
/// stable.
class TENON_SHARED Error : public std::runtime_error {
 public:
  /// Stable numbers: new ones are added at the end, none is ever reused.
  enum Code {
    shape = 1,          ///< extents or ranks do not fit
    dtype = 2,          ///< element types do not fit
    index = 3,          ///< an index, a label or an axis is out of range
    value = 4,          ///< an argument outside its domain
    uninitialised = 5,  ///< a tensor or parameter that was never given a value
    tape = 6,           ///< differentiation that the tape cannot do
    memory = 7,         ///< an allocation failed or passed the limit
    file = 8,           ///< a file cannot be opened, read or written
    format = 9,         ///< a file's contents are wrong; the text names file and offset
    device = 10,        ///< a device is missing or failed
    trace = 11,         ///< something a trace cannot record
    unsupported = 12,   ///< a combination the library does not offer
    peer = 13           ///< another rank is gone, silent, late, or runs something else
  };

  /// text: what() as a whole.
  Error(Code code, const char* text) : std::runtime_error(text), code_(code) {}
  Error(Code code, const std::string& text) : std::runtime_error("tenon::" + text), code_(code) {}
  Code code() const noexcept { return code_; }

 private:
  Code code_;
};

/// Where a message is put together: a buffer of fixed size; what does not fit is left out.
/// (std::string costs every file that can fail 0.1 s of compilation.)
class ErrorText {
 public:
  TENON_COLD void add(const char* text, std::size_t length) {
    for (std::size_t i = 0; i < length && size_ + 1 < sizeof text_; ++i) text_[size_++] = text[i];
  }
  TENON_COLD void add(long long number) {
    char digits[24];
    int at = sizeof digits;
    unsigned long long rest = static_cast<unsigned long long>(number);
    if (number < 0) rest = 0 - rest;
    do digits[--at] = static_cast<char>('0' + rest % 10);
    while (rest /= 10);
    if (number < 0) digits[--at] = '-';
    add(digits + at, sizeof digits - static_cast<std::size_t>(at));
  }
  TENON_COLD void add(double number) {
    char digits[40];
    const int n = __builtin_snprintf(digits, sizeof digits, "%g", number);
    add(digits, static_cast<std::size_t>(n));
  }
  const char* text() const { return text_; }

 private:
  char text_[2048] = {};
  std::size_t size_ = 0;
};

/// One piece of a message: text, a number, or anything for which append_text(ErrorText&, const T&)
/// exists.
/// Messages are put together out of line, so that a check costs its caller little code.
class Piece {
  template <class T>
  static void append(ErrorText& to, const void* object) {
    append_text(to, *static_cast<const T*>(object));
  }

 public:
  Piece(const char* text) : Piece(std::string_view(text)) {}
  Piece(std::string_view text) : object_(text.data()), length_(text.size()) {}
  Piece(const std::string& text) : Piece(std::string_view(text)) {}
  template <class I, std::enable_if_t<std::is_integral_v<I>, int> = 0>
  Piece(I number) : number_(static_cast<long long>(number)), kind_(whole) {}
  Piece(double number) : real_(number), kind_(real) {}
  template <class T, std::enable_if_t<std::is_class_v<T>, int> = 0>
  Piece(const T& object) : object_(&object), append_(append<T>), kind_(other) {}

  TENON_COLD void append_to(ErrorText& to) const {
    if (kind_ == words) to.add(static_cast<const char*>(object_), length_);
    else if (kind_ == whole) to.add(number_);
    else if (kind_ == real) to.add(real_);
    else append_(to, object_);
  }

 private:
  enum Kind { words, whole, real, other };
  const void* object_ = nullptr;
  union {
    std::size_t length_ = 0;
    long long number_;
    double real_;
    void (*append_)(ErrorText&, const void*);
  };
  Kind kind_ = words;
};

/// The pieces one after the other.
TENON_COLD inline std::string text_of(std::initializer_list<Piece> pieces) {
  ErrorText t;
  for (const Piece& p : pieces) p.append_to(t);
  return t.text();
}

/// Throws; out of line. The text begins with the function's name.
[[noreturn]] TENON_COLD inline void fail(Error::Code code, std::initializer_list<Piece> pieces) {
  ErrorText m;
  m.add("tenon::", 7);
  for (const Piece& p : pieces) p.append_to(m);
  throw Error(code, m.text());
}
[[noreturn]] TENON_COLD inline void fail(Error::Code code, const std::string& text) {
  throw Error(code, text);
}

}  // namespace tenon
