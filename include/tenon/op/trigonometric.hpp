// SPDX-License-Identifier: Apache-2.0
// Sine and cosine.
#pragma once
#include <tenon/op/op.hpp>

namespace tenon::inline TENON_ISA::op {

/// y = sin x, x in radians; NaN at infinity.
struct Sin {
  static constexpr const char* name = "sin";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 2;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return sin(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy * cos(x);
  }
};

/// y = cos x, x in radians; NaN at infinity.
struct Cos {
  static constexpr const char* name = "cos";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 2;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return cos(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return -dy * sin(x);
  }
};

}  // namespace tenon::inline TENON_ISA::op
