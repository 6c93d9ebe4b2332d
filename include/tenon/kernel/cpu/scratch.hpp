// SPDX-License-Identifier: Apache-2.0
// Working memory of a thread that outlives the call: after warm-up a kernel allocates nothing.
#pragma once
#include <tenon/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <new>

namespace tenon::inline TENON_ISA::kernel {

/// A buffer that only grows, aligned to a cache line. Growing loses what it held.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { release(); }

  /// At least `bytes` bytes, at a multiple of 64.   Errors: no memory -> Error::memory.
  void* get(std::size_t bytes) {
    if (bytes > size_) grow(bytes);
    return data_;
  }

 private:
  static constexpr std::align_val_t line{64};

  TENON_COLD void grow(std::size_t bytes) {
    release();
    data_ = bytes > PTRDIFF_MAX ? nullptr : ::operator new(bytes, line, std::nothrow);
    if (data_ == nullptr) {
      fail(Error::memory, {"scratch: no memory for ", bytes, " bytes"});
    }
    size_ = bytes;
  }
  void release() noexcept {
    ::operator delete(data_, line);
    data_ = nullptr;
    size_ = 0;
  }

  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// This thread's buffer for `Use`, a type that names who uses it: two users that are active at the
/// same time must differ.
template <class Use>
void* scratch(std::size_t bytes) {
  static thread_local Scratch buffer;
  return buffer.get(bytes);
}

}  // namespace tenon::inline TENON_ISA::kernel
