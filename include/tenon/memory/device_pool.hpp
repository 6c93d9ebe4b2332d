// SPDX-License-Identifier: Apache-2.0
// Memory of one device: blocks freed are kept by size and handed out again at once, which is safe
// because all work on a device is done in the order in which it was given.
#pragma once
#include <tenon/core/atomic.hpp>
#include <tenon/memory/allocator.hpp>

#include <vector>

namespace tenon::inline TENON_ISA::memory {

/// The caching allocator of a device. Bytes come from `take`, which gives null when there are none
/// left, and go back by `give`.
class DevicePool {
 public:
  using Take = void* (*)(int device, std::size_t bytes);
  using Give = void (*)(int device, void* p);
  DevicePool(int device, Take take, Give give) : device_(device), take_(take), give_(give) {}

  /// At least `bytes`, or null. What the pool keeps is given back before it fails.
  void* allocate(std::size_t bytes) {
    if (bytes > (std::size_t{1} << 46)) return nullptr;
    const std::size_t c = bin_of(bytes), size = size_of_bin(c);
    Locked lock(mutex_);
    if (limit_ > 0 && statistics_.live + static_cast<std::int64_t>(size) > limit_) return nullptr;
    void* p = nullptr;
    if (!bins_[c].empty()) {
      p = bins_[c].back();
      bins_[c].pop_back();
      statistics_.cached -= static_cast<std::int64_t>(size);
    } else {
      ++statistics_.system_calls;
      p = take_(device_, size);
      if (!p) {
        release();
        p = take_(device_, size);
      }
      if (!p) return nullptr;
    }
    statistics_.live += static_cast<std::int64_t>(size);
    if (statistics_.live > statistics_.peak) statistics_.peak = statistics_.live;
    return p;
  }
  void deallocate(void* p, std::size_t bytes) {
    const std::size_t c = bin_of(bytes), size = size_of_bin(c);
    Locked lock(mutex_);
    bins_[c].push_back(p);
    statistics_.live -= static_cast<std::int64_t>(size);
    statistics_.cached += static_cast<std::int64_t>(size);
  }
  void release_cache() {
    Locked lock(mutex_);
    release();
  }
  Statistics statistics() const {
    Locked lock(mutex_);
    return statistics_;
  }
  /// The most bytes that tensors may hold; 0 for no limit.
  void set_limit(std::int64_t bytes) {
    Locked lock(mutex_);
    limit_ = bytes;
  }

 private:
  // As on the host, but no block is smaller than 512 bytes, so that all are aligned to 256.
  static std::size_t bin_of(std::size_t bytes) {
    return static_cast<std::size_t>(detail::size_class(bytes < 512 ? 512 : bytes));
  }
  static std::size_t size_of_bin(std::size_t c) {
    return (detail::class_bytes(static_cast<int>(c)) + 511) / 512 * 512;
  }
  void release() {
    for (auto& bin : bins_) {
      for (void* p : bin) give_(device_, p);
      bin.clear();
    }
    statistics_.cached = 0;
  }

  int device_;
  Take take_;
  Give give_;
  mutable SpinLock mutex_;
  std::vector<void*> bins_[detail::classes];
  Statistics statistics_;
  std::int64_t limit_ = 0;
};

}  // namespace tenon::memory
