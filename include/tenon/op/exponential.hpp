// SPDX-License-Identifier: Apache-2.0
// Powers of e and logarithms.
#pragma once
#include <tenon/op/op.hpp>

namespace tenon::inline TENON_ISA::op {

/// y = e^x.
struct Exp {
  static constexpr const char* name = "exp";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 1.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return exp(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V y, V dy) {
    return dy * y;
  }
};

/// y = 2^x.
struct Exp2 {
  static constexpr const char* name = "exp2";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 1.5;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return exp2(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V y, V dy) {
    return dy * y * V(0.693147180559945309417);
  }
};

/// y = e^x - 1, without cancellation near 0.
struct Expm1 {
  static constexpr const char* name = "expm1";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-8.0, 8.0}};
  static constexpr double ulp = 2;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return expm1(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V, V y, V dy) {
    return dy * (y + V(1));
  }
};

/// y = ln x; -infinity at 0, NaN below.
struct Log {
  static constexpr const char* name = "log";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{0.125, 16.0}};
  static constexpr double ulp = 1;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return log(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy / x;
  }
};

/// y = log2 x; exact at powers of 2.
struct Log2 {
  static constexpr const char* name = "log2";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{0.125, 16.0}};
  static constexpr double ulp = 2;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return log2(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy / (x * V(0.693147180559945309417));
  }
};

/// y = log10 x.
struct Log10 {
  static constexpr const char* name = "log10";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{0.125, 16.0}};
  static constexpr double ulp = 2;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return log10(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy / (x * V(2.302585092994045684018));
  }
};

/// y = ln(1 + x), without cancellation near 0; -infinity at -1, NaN below.
struct Log1p {
  static constexpr const char* name = "log1p";
  static constexpr int arity = 1;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[1] = {{-0.875, 16.0}};
  static constexpr double ulp = 1;

  template <class V>
  TENON_INLINE static constexpr V forward(V x) {
    return log1p(x);
  }
  template <class V>
  TENON_INLINE static constexpr V backward(V x, V, V dy) {
    return dy / (V(1) + x);
  }
};

/// y = ln(e^a + e^b), without overflow. Equal infinities give themselves.
struct LogAddExp {
  static constexpr const char* name = "logaddexp";
  static constexpr int arity = 2;
  static constexpr Domain domain = Domain::floating;
  static constexpr Result result = Result::same;
  static constexpr bool differentiable = true;
  static constexpr bool cheap = false;
  static constexpr Range range[2] = {{-8.0, 8.0}, {-8.0, 8.0}};
  static constexpr double ulp = 2;
  static constexpr double absolute = 1e-6;

  template <class V>
  TENON_INLINE static constexpr V forward(V a, V b) {
    V high = max(a, b);
    V gap = select(a == b, V(0), abs(a - b));
    return high + log1p(exp(-gap));
  }
  template <class V>
  TENON_INLINE static constexpr Grads<V, 2> backward(V a, V b, V y, V dy) {
    return {dy * exp(a - y), dy * exp(b - y)};
  }
};

}  // namespace tenon::inline TENON_ISA::op
