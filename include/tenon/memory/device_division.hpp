// SPDX-License-Identifier: Apache-2.0
// Division by a number that is known when a kernel is launched: a multiplication and a shift. A
// 64-bit division is a call of a hundred instructions on a device.
#pragma once
#include <tenon/core/config.hpp>

namespace tenon::abi {

/// x / d for 0 <= x < 2^62 and 1 <= d < 2^62. With l = ceil(log2 d) and m = floor(2^64 (2^l - d) /
/// d) + 1: x / d = (x m / 2^64 + x) >> l.
/// Source: Granlund, Montgomery, Division by invariant integers using multiplication, 1994, figure
/// 4.1.
struct Divisor {
  std::uint64_t multiplier;
  std::int64_t divisor;
  std::int32_t shift;

  static constexpr Divisor of(std::int64_t d) {
    int l = 0;
    while (std::int64_t{1} << l < d) ++l;
    // floor(2^64 r / d) for r = 2^l - d < d, a bit at a time.
    const auto n = static_cast<std::uint64_t>(d);
    std::uint64_t rest = (std::uint64_t{1} << l) - n, q = 0;
    for (int i = 0; i < 64; ++i) {
      rest *= 2, q *= 2;
      if (rest >= n) rest -= n, ++q;
    }
    return {q + 1, d, l};
  }
  TENON_FN std::int64_t quotient(std::int64_t x) const {
    const auto u = static_cast<std::uint64_t>(x);
    return static_cast<std::int64_t>((high(u, multiplier) + u) >> shift);
  }

 private:
  TENON_FN static std::uint64_t high(std::uint64_t a, std::uint64_t b) {
#if defined(__CUDA_ARCH__)
    return __umul64hi(a, b);
#else
    const std::uint64_t a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
    const std::uint64_t cross = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (cross & 0xffffffffu);
    return a1 * b1 + (cross >> 32) + (other >> 32);
#endif
  }
};

}  // namespace tenon::abi
