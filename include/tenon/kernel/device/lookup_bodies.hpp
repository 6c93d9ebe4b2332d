// SPDX-License-Identifier: Apache-2.0
// The kernels of indices on a device, as bodies: rows of a table, their sums, checks, extremes.
#pragma once
#include <tenon/kernel/device/bodies.hpp>

namespace tenon::inline TENON_ISA::kernel {

namespace detail {
/// The first lane that finds a fault leaves it; later ones change nothing that the host relies on.
TENON_FN void leave_fault(abi::DeviceFault* fault, std::int32_t what, std::int64_t index,
                          std::int64_t position, std::int64_t extent) {
  if (fault->code) return;
  fault->index = index, fault->position = position, fault->extent = extent, fault->what = what;
  fault->code = 3;  // Error::index
}
}  // namespace detail

/// Out of range: a fault, and zeros.
struct TakeBody {
  using Arguments = abi::DeviceTake;
  struct Lane {
    const Arguments& a;
    std::int64_t i;
    TENON_FN void operator()(int lane) const {
      const std::int64_t r = a.index[i];
      char* to = static_cast<char*>(a.target) + i * a.width;
      const bool inside = r >= 0 && r < a.rows;
      if (!inside && lane == 0) detail::leave_fault(a.fault, 1, r, i, a.rows);
      const char* from = static_cast<const char*>(a.source) + (inside ? r : 0) * a.width;
      if (a.width % 4 == 0) {
        for (std::int64_t k = lane; k < a.width / 4; k += 32)
          reinterpret_cast<std::uint32_t*>(to)[k] =
              inside ? reinterpret_cast<const std::uint32_t*>(from)[k] : 0;
      } else {
        for (std::int64_t k = lane; k < a.width; k += 32) to[k] = inside ? from[k] : char(0);
      }
    }
  };
  static TENON_FN int lanes(const Arguments&) { return 32; }
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    for (std::int64_t i = team.index(); i < a.count; i += team.count()) team.each(Lane{a, i});
  }
};

struct ScatterBody {
  using Arguments = abi::DeviceScatter;
  template <class T>
  struct Lane {
    const Arguments& a;
    std::int64_t row, first, last;
    TENON_FN void operator()(int lane) const {
      const T* from = static_cast<const T*>(a.source);
      T* to = static_cast<T*>(a.target) + row * a.width;
      for (std::int64_t j = lane; j < a.width; j += 32) {
        T sum = T(0);
        for (std::int64_t k = first; k < last; ++k) sum = sum + from[a.order[k] * a.width + j];
        to[j] = sum;
      }
    }
  };
  /// How many of the sorted positions lie below r.
  static TENON_FN std::int64_t below(const Arguments& a, std::int64_t r) {
    std::int64_t low = 0, high = a.count;
    while (low < high) {
      const std::int64_t mid = low + (high - low) / 2;
      if (a.sorted[mid] < r) low = mid + 1;
      else high = mid;
    }
    return low;
  }
  static TENON_FN int lanes(const Arguments&) { return 32; }
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    for (std::int64_t r = team.index(); r < a.rows; r += team.count()) {
      const std::int64_t first = below(a, r), last = below(a, r + 1);
      if (static_cast<Dtype>(a.type) == Dtype::f64) team.each(Lane<double>{a, r, first, last});
      else team.each(Lane<float>{a, r, first, last});
    }
  }
};

struct CheckBody : EachBody {
  using Arguments = abi::DeviceCheck;
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    for (std::int64_t i = team.index(); i < a.count; i += team.count()) {
      const std::int64_t x = detail::load_integer(a.index, static_cast<Dtype>(a.type), i);
      if (x < 0 || x >= a.extent) detail::leave_fault(a.fault, a.what, x, i, a.extent);
    }
  }
};

/// The first of equal ones; the first NaN counts as extreme.
struct ExtremeBody : EachBody {
  using Arguments = abi::DeviceExtreme;
  template <class Team>
  static TENON_FN void run(const Arguments& a, const Team& team) {
    const bool floating = detail::floating(static_cast<Dtype>(a.type));
    for (std::int64_t i = team.index(); i < a.outer * a.inner; i += team.count())
      a.target[i] = floating ? find<double>(a, i) : find<std::int64_t>(a, i);
  }
  template <class V>
  static TENON_FN V load(const Arguments& a, std::int64_t i) {
    if constexpr (std::is_same_v<V, double>)
      return detail::load_floating(a.x, static_cast<Dtype>(a.type), i);
    else return detail::load_integer(a.x, static_cast<Dtype>(a.type), i);
  }
  template <class V>
  static TENON_FN std::int64_t find(const Arguments& a, std::int64_t i) {
    const std::int64_t o = i / a.inner, base = o * a.n * a.inner + (i - o * a.inner);
    V best = load<V>(a, base);
    std::int64_t at = 0;
    for (std::int64_t k = 1; k < a.n && best == best; ++k) {
      const V x = load<V>(a, base + k * a.inner);
      if ((a.least ? x < best : x > best) || x != x) best = x, at = k;
    }
    return at;
  }
};

}  // namespace tenon::kernel
