// SPDX-License-Identifier: Apache-2.0
// An array of handles whose memory is kept and whose elements go together.
#pragma once
#include <tenon/tensor/handle.hpp>

#include <vector>

namespace tenon::inline TENON_ISA::detail {

/// Many handles, which come and go together: what the tape keeps.
class Handles {
 public:
  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() { clear(); }
  std::size_t size() const { return count_; }
  AnyTensor* data() { return reinterpret_cast<AnyTensor*>(records_.data()); }
  AnyTensor& operator[](std::size_t i) { return data()[i]; }
  /// `count` empty ones in place of what was there.
  void renew(std::size_t count) {
    clear();
    extend(count);
  }
  /// `count` further ones, empty.
  Record** extend(std::size_t count) {
    const std::size_t at = count_;
    if (records_.size() - at < count) [[unlikely]]
      records_.resize(2 * (at + count));
    count_ = at + count;
    return records_.data() + at;
  }
  /// Leaves those from `first` on empty.
  void release(std::size_t first, std::size_t count) noexcept {
    if (count == 0) return;
    release_handles(records_.data() + first, count);
    std::memset(records_.data() + first, 0, count * sizeof(Record*));
  }
  void clear() noexcept {
    release(0, count_);
    count_ = 0;
  }

 private:
  std::vector<Record*> records_;  // null from count_ on
  std::size_t count_ = 0;
};

}  // namespace tenon::detail
