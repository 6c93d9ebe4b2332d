// SPDX-License-Identifier: Apache-2.0
// Sums, products, powers and what chooses among values.
#pragma once
#include <tenon/op/op.hpp>

namespace tenon::inline TENON_ISA::op {

/// y = -x.
struct Negative {
  static constexpr const char* name = "negative";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return -x;
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V dy) {
    return -dy;
  }
};

/// y = a + b.
struct Add {
  static constexpr const char* name = "add";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return a + b;
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V dy) {
    return {dy, dy};
  }
};

/// y = a - b.
struct Subtract {
  static constexpr const char* name = "subtract";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return a - b;
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V, V, V dy) {
    return {dy, -dy};
  }
};

/// y = a b.
struct Multiply {
  static constexpr const char* name = "multiply";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 0.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return a * b;
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V a, V b, V, V dy) {
    return {dy * b, dy * a};
  }
};

/// y = a / b. Integers are divided as floating-point numbers.
struct Divide {
  static constexpr const char* name = "divide";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[2] = {{-8.0, 8.0}, {0.125, 16.0}};
  static constexpr double ulp = 0.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    return a / b;
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V, V b, V y, V dy) {
    V g = dy / b;
    return {g, -g * y};
  }
};

/// y = 1 / x.
struct Reciprocal {
  static constexpr const char* name = "reciprocal";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{0.125, 16.0}};
  static constexpr double ulp = 0.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return V(1) / x;
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V y, V dy) {
    return -dy * y * y;
  }
};

/// y = x^2.
struct Square {
  static constexpr const char* name = "square";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return x * x;
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy * V(2) * x;
  }
};

/// y = |x|. The slope at 0 is 0.
struct Abs {
  static constexpr const char* name = "abs";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return abs(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy * select(x > V(0), V(1), select(x < V(0), V(-1), V(0)));
  }
};

/// y = -1, 0 or 1; 0 of NaN.
struct Sign {
  static constexpr const char* name = "sign";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = false;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 0;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return select(x > V(0), V(1), select(x < V(0), V(-1), V(0)));
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V, V) {
    return V(0);
  }
};

/// y = sqrt(x); NaN below 0.
struct Sqrt {
  static constexpr const char* name = "sqrt";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{0.125, 16.0}};
  static constexpr double ulp = 0.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return sqrt(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V y, V dy) {
    return dy * V(0.5) / y;
  }
};

/// y = 1 / sqrt(x); infinity at 0, NaN below.
struct Rsqrt {
  static constexpr const char* name = "rsqrt";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = true;
  static constexpr Range range[1] = {{0.125, 16.0}};
  static constexpr double ulp = 1.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return rsqrt(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V y, V dy) {
    return V(-0.5) * dy * y * y * y;
  }
};

/// y = x^p. x^0 = 1 for every x; NaN for x < 0 and a p that is no integer.
/// Gradient: dp is 0 where x = 0 and p >= 0, and NaN where x < 0.
struct Power {
  static constexpr const char* name = "power";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::any;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[2] = {{0.125, 8.0}, {-3.0, 3.0}};
  static constexpr double ulp = 1;

  template <class V>
  TENON_INLINE static constexpr V forward(V x, V p) {
    return pow(x, p);
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V x, V p, V y, V dy) {
    V dx = select(p == V(0), V(0), dy * p * pow(x, p - V(1)));
    V dp = dy * y * log(x);
    dp = select(x == V(0), select(p >= V(0), V(0), dp), dp);
    return {dx, dp};
  }
};

}  // namespace tenon::inline TENON_ISA::op
