// SPDX-License-Identifier: Apache-2.0
// To integral values; integers stay what they are, and no gradient flows.
#pragma once
#include <tenon/op/op.hpp>

namespace tenon::inline TENON_ISA::op {

/// y = the largest integral value <= x.
struct Floor {
  static constexpr const char* name = "floor";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return floor(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V) {
    return V(0);
  }
};

/// y = the smallest integral value >= x.
struct Ceil {
  static constexpr const char* name = "ceil";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return ceil(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V) {
    return V(0);
  }
};

/// y = the nearest integral value; halves go to the even one.
struct Round {
  static constexpr const char* name = "round";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return round(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V) {
    return V(0);
  }
};

/// y = x without its fraction.
struct Trunc {
  static constexpr const char* name = "trunc";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return trunc(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V) {
    return V(0);
  }
};

}  // namespace tenon::inline TENON_ISA::op
