// SPDX-License-Identifier: Apache-2.0
// What chooses among values: the larger, the smaller, by a condition, within bounds, in between.
#pragma once
#include <tenon/op/op.hpp>

namespace tenon::inline TENON_ISA::op {

/// y = the larger; NaN if either is NaN. Equal operands share the gradient half and half.
struct Maximum {
  static constexpr const char* name = "maximum";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return max(a, b);
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V a, V b, V, V dy) {
    V half = V(0.5) * dy;
    return {select(a > b, dy, select(a == b, half, V(0))),
            select(a < b, dy, select(a == b, half, V(0)))};
  }
};

/// y = the smaller; NaN if either is NaN. Equal operands share the gradient half and half.
struct Minimum {
  static constexpr const char* name = "minimum";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return min(a, b);
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V a, V b, V, V dy) {
    V half = V(0.5) * dy;
    return {select(a < b, dy, select(a == b, half, V(0))),
            select(a > b, dy, select(a == b, half, V(0)))};
  }
};

/// y = c ? a : b; c is true where it is not 0.
struct Where {
  static constexpr const char* name = "where";
  static constexpr int arity = 3;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[3] = {{-8.0, 8.0}, {-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V c, V a, V b) {
    return select(c != V(0), a, b);
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 3> backward(V c, V, V, V, V dy) {
    return {V(0), select(c != V(0), dy, V(0)), select(c != V(0), V(0), dy)};
  }
};

/// y = min(max(x, low), high): high where low > high.
/// Gradient: to x where low <= x <= high, bounds included; to a bound where x is beyond it.
struct Clamp {
  static constexpr const char* name = "clamp";
  static constexpr int arity = 3;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[3] = {{-8.0, 8.0}, {-4.0, -1.0}, {1.0, 4.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x, V low, V high) {
    return min(max(x, low), high);
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 3> backward(V x, V low, V high, V, V dy) {
    V zero = V(0);
    V inside = select(x >= low, select(x <= high, dy, zero), zero);
    V below = select(x < low, select(low < high, dy, zero), zero);
    return {inside, below, select(x > high, dy, select(high < low, dy, zero))};
  }
};

/// y = a + w (b - a), from the nearer end: exact at w = 0 and w = 1.
struct Lerp {
  static constexpr const char* name = "lerp";
  static constexpr int arity = 3;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[3] = {{-8.0, 8.0}, {-8.0, 8.0}, {0.0, 1.0}};
  static constexpr double ulp = 2;
  static constexpr double absolute = 2e-6;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b, V w) {
    V d = b - a;
    return select(abs(w) < V(0.5), a + w * d, b - d * (V(1) - w));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 3> backward(V a, V b, V w, V, V dy) {
    return {dy * (V(1) - w), dy * w, dy * (b - a)};
  }
};

}  // namespace tenon::inline TENON_ISA::op
