// SPDX-License-Identifier: Apache-2.0
// The one exception type, with a code that stays the same between versions.
#pragma once
#include <tenon/core/config.hpp>

#include <stdexcept>
#include <string>

namespace tenon::inline TENON_ISA {

/// What every failure at run time throws. what() names function, rule, shapes and axis; code() is stable.
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
    unsupported = 12    ///< a combination the library does not offer
  };

  Error(Code code, const std::string& text) : std::runtime_error("tenon::" + text), code_(code) {}
  Code code() const noexcept { return code_; }

 private:
  Code code_;
};

/// Throws; out of line, so that checks cost their callers one branch. `text` begins with the function's name.
[[noreturn]] TENON_COLD inline void fail(Error::Code code, const std::string& text) {
  throw Error(code, text);
}

}  // namespace tenon
