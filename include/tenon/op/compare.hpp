// SPDX-License-Identifier: Apache-2.0
// Questions: the result is bool, and no gradient flows.
#pragma once
#include <tenon/op/op.hpp>

namespace tenon::inline TENON_ISA::op {

/// y = (a == b); NaN equals nothing.
struct Equal {
  static constexpr const char* name = "equal";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return select(a == b, V(1), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V) {
    return {V(0), V(0)};
  }
};

/// y = (a != b).
struct NotEqual {
  static constexpr const char* name = "not_equal";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return select(a != b, V(1), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V) {
    return {V(0), V(0)};
  }
};

/// y = (a < b).
struct Less {
  static constexpr const char* name = "less";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return select(a < b, V(1), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V) {
    return {V(0), V(0)};
  }
};

/// y = (a <= b).
struct LessEqual {
  static constexpr const char* name = "less_equal";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return select(a <= b, V(1), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V) {
    return {V(0), V(0)};
  }
};

/// y = (a > b).
struct Greater {
  static constexpr const char* name = "greater";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return select(a > b, V(1), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V) {
    return {V(0), V(0)};
  }
};

/// y = (a >= b).
struct GreaterEqual {
  static constexpr const char* name = "greater_equal";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return select(a >= b, V(1), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V) {
    return {V(0), V(0)};
  }
};

/// y = (a is not 0) and (b is not 0); NaN is not 0.
struct LogicalAnd {
  static constexpr const char* name = "logical_and";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return select(a != V(0), select(b != V(0), V(1), V(0)), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V) {
    return {V(0), V(0)};
  }
};

/// y = (a is not 0) or (b is not 0).
struct LogicalOr {
  static constexpr const char* name = "logical_or";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return select(a != V(0), V(1), select(b != V(0), V(1), V(0)));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V) {
    return {V(0), V(0)};
  }
};

/// y = exactly one of a and b is not 0.
struct LogicalXor {
  static constexpr const char* name = "logical_xor";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return select(a != V(0), select(b != V(0), V(0), V(1)), select(b != V(0), V(1), V(0)));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V) {
    return {V(0), V(0)};
  }
};

/// y = (x is 0).
struct LogicalNot {
  static constexpr const char* name = "logical_not";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return select(x == V(0), V(1), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V) {
    return V(0);
  }
};

/// y = (x is NaN).
struct IsNan {
  static constexpr const char* name = "isnan";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return select(x != x, V(1), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V) {
    return V(0);
  }
};

/// y = (x is +infinity or -infinity).
struct IsInf {
  static constexpr const char* name = "isinf";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return select(x - x == x - x, V(0), select(x == x, V(1), V(0)));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V) {
    return V(0);
  }
};

/// y = (x is neither NaN nor infinite).
struct IsFinite {
  static constexpr const char* name = "isfinite";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::boolean;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return select(x - x == x - x, V(1), V(0));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V) {
    return V(0);
  }
};

}  // namespace tenon::inline TENON_ISA::op
