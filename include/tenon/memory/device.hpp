// SPDX-License-Identifier: Apache-2.0
// Where a buffer lives: a property known at run time.
#pragma once
#include <tenon/core/config.hpp>

namespace tenon::inline TENON_ISA {

/// The processor, or a CUDA device by number.
struct Device {
  enum Kind : std::uint8_t { cpu_kind = 0, cuda_kind = 1 };
  Kind kind = cpu_kind;
  std::uint8_t index = 0;
  constexpr bool operator==(const Device&) const = default;
};
inline constexpr Device cpu{};
constexpr Device cuda(int index) { return {Device::cuda_kind, static_cast<std::uint8_t>(index)}; }

}  // namespace tenon
