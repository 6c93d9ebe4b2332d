// SPDX-License-Identifier: Apache-2.0
// The one exception type, with a code that stays the same between versions.
#pragma once
#include <tenon/core/config.hpp>

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

  Error(Code code, const std::string& text) : std::runtime_error("tenon::" + text), code_(code) {}
  Code code() const noexcept { return code_; }

 private:
  Code code_;
};

/// One piece of a message: text, a number, or anything for which append_text(std::string&, const
/// T&) exists.
/// Messages are put together out of line, so that a check costs its caller little code.
class Piece {
 public:
  Piece(const char* text) : text_(text) {}
  Piece(std::string_view text) : text_(text) {}
  Piece(const std::string& text) : text_(text) {}
  template <class I>
    requires std::is_integral_v<I> Piece(I number)
        : number_(static_cast<long long>(number)), kind_(whole) {}
    Piece(double number) : real_(number), kind_(real) {}
    template <class T>
      requires std::is_class_v<T> Piece(const T& object)
          : object_(&object),
            append_(
                [](std::string& to, const void* o) { append_text(to, *static_cast<const T*>(o)); }),
            kind_(other) {}

      TENON_COLD void append_to(std::string& to) const {
        if (kind_ == words) to.append(text_);
        else if (kind_ == whole) to.append(std::to_string(number_));
        else if (kind_ == real) to.append(std::to_string(real_));
        else append_(to, object_);
      }

     private:
      enum Kind { words, whole, real, other };
      std::string_view text_;
      long long number_ = 0;
      double real_ = 0;
      const void* object_ = nullptr;
      void (*append_)(std::string&, const void*) = nullptr;
      Kind kind_ = words;
};

/// The pieces one after the other.
TENON_COLD inline std::string text_of(std::initializer_list<Piece> pieces) {
  std::string text;
  for (const Piece& p : pieces) p.append_to(text);
  return text;
}

/// Throws; out of line. The text begins with the function's name.
[[noreturn]] TENON_COLD inline void fail(Error::Code code, std::initializer_list<Piece> pieces) {
  throw Error(code, text_of(pieces));
}
[[noreturn]] TENON_COLD inline void fail(Error::Code code, const std::string& text) {
  throw Error(code, text);
}

}  // namespace tenon
